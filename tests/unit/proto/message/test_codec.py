from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frpd.errors import LimitError, LocalProtocolError, RemoteProtocolError
from frpd.proto.message.codec import (
    MAX_BODY_BYTES,
    MessageDecoder,
    decode_message,
    encode_message,
)
from frpd.proto.message.types import (
    MESSAGES,
    ClientSpec,
    CloseProxy,
    DetectBehavior,
    Login,
    LoginResp,
    Message,
    NatHoleResp,
    NewProxy,
    NewWorkConn,
    Ping,
    PortsRange,
    ReqWorkConn,
    StartWorkConn,
    UdpAddress,
    UdpPacket,
)
from tests.unit.proto.vectors import load

ENCODED_V021: list[dict[str, str]] = load("messages")["encoded"]
ENCODED_V070: list[dict[str, str]] = load("messages_v070")["encoded"]
DECODER_CASES: list[dict[str, str]] = load("messages")["decoder_cases"]

REFUSALS = {
    "empty body": "Ping: body is not JSON",
    "wrong json type": "NewProxy: remote_port: not an integer of 64 bits",
    "unknown type byte": "unknown message type 0x7a",
    "length 10241 refused": "CloseProxy: message length 10241 is not allowed",
    "negative length refused": "Ping: message length -1 is not allowed",
    "truncated body": "stream ends inside a message",
}


def frame(type_byte: str, body: str | bytes) -> bytes:
    raw = body.encode() if isinstance(body, str) else body
    return type_byte.encode() + len(raw).to_bytes(8, "big", signed=True) + raw


def decode(wire: bytes) -> Message:
    """Decode exactly one message and an end of stream."""
    decoder = MessageDecoder()
    decoder.receive_data(wire)
    message = decoder.next_message()
    decoder.receive_eof()
    assert message is not None
    assert decoder.next_message() is None
    return message


def as_json(message: Message) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(encode_message(message)[9:])
    return written


def without_zeros(value: dict[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in value.items() if item}


def test_every_message_of_the_table_has_its_own_type_byte() -> None:
    assert all(byte == cls.TYPE for byte, cls in MESSAGES.items())
    assert len(set(MESSAGES.values())) == len(MESSAGES)
    assert bytes(MESSAGES).decode() == "o1p2cwrsv3h4uinmd56"


@pytest.mark.parametrize("case", ENCODED_V070, ids=lambda case: case["name"])
def test_what_frp_070_wrote_is_read_and_written_again_byte_by_byte(case: dict[str, str]) -> None:
    wire = bytes.fromhex(case["wire_hex"])
    assert encode_message(decode(wire)) == wire


@pytest.mark.parametrize("case", ENCODED_V021, ids=lambda case: case["name"])
def test_what_frp_021_wrote_is_read_without_a_loss(case: dict[str, str]) -> None:
    message = decode(bytes.fromhex(case["wire_hex"]))
    assert ord(case["type"]) == message.TYPE
    assert as_json(message) == without_zeros(json.loads(case["json"]))
    assert decode(encode_message(message)) == message


@pytest.mark.parametrize("case", DECODER_CASES, ids=lambda case: case["name"])
def test_decoder_decides_as_frp_021_did(case: dict[str, str]) -> None:
    wire = bytes.fromhex(case["wire_hex"])
    if case["error"]:
        with pytest.raises(RemoteProtocolError) as caught:
            decode(wire)
        assert str(caught.value) == REFUSALS[case["name"]]
    else:
        parsed = json.loads(case["parsed"]) or {}
        assert as_json(decode(wire)) == without_zeros(parsed)


@pytest.mark.parametrize(
    ("type_byte", "body", "expected"),
    [
        ("w", '{"Run_Id":"a","run_id":"b","RUN_ID":"c"}', NewWorkConn(run_id="c")),
        ("w", '{"run_id":"b","RUN_ID":"c","run_id":"d"}', NewWorkConn(run_id="d")),
        ("w", '{"run_id":"a","run_id":null}', NewWorkConn(run_id="a")),
        ("w", '{"RUN_ID":null}', NewWorkConn()),
        (
            "h",
            '{"time\u017ftamp":5,"PRIVILEGE_\u212aEY":"k"}',
            Ping(privilege_key="k", timestamp=5),
        ),
        ("h", '{"timestamp":-0,"TIMESTAMP":null}', Ping()),
        ("h", '{"timestamp":-9223372036854775808}', Ping(timestamp=-(2**63))),
        ("h", ' \r\n\t{"x":[1e400,{"y":null}],"z":%s}\n' % ("9" * 9000), Ping()),
        ("h", "null", Ping()),
        ("w", b'{"run_id":"\xff"}', NewWorkConn(run_id="\ufffd")),
        ("w", r'{"run_id":"\ud800x\u003c"}', NewWorkConn(run_id="\ufffdx<")),
        ("w", r'{"run_id":"\ud83d\ude00"}', NewWorkConn(run_id="\U0001f600")),
        (
            "p",
            '{"headers":{"a":null},"locations":[null]}',
            NewProxy(headers={"a": ""}, locations=[""]),
        ),
        ("p", '{"headers":{"a":"1"},"headers":{"b":"2"}}', NewProxy(headers={"a": "1", "b": "2"})),
        ("p", '{"headers":{"a":"1"},"headers":null}', NewProxy()),
        ("p", '{"locations":["a"],"locations":null,"use_encryption":null}', NewProxy()),
        ("o", '{"client_spec":{}}', Login(client_spec=ClientSpec())),
        ("o", '{"client_spec":null}', Login()),
        (
            "o",
            '{"client_spec":{"type":"a"},"client_spec":null,"client_spec":{"always_auth_pass":true}}',
            Login(client_spec=ClientSpec("a", always_auth_pass=True)),
        ),
        (
            "u",
            '{"c":"YQ=\\r\\n=","l":{"ip":"1.2.3.4","PORT":5},"r":null}',
            UdpPacket(b"a", UdpAddress("1.2.3.4", 5)),
        ),
        ("u", '{"c":null,"l":{"IP":"x"},"l":null}', UdpPacket()),
        ("s", '{"src_port":65535,"dst_port":null}', StartWorkConn(src_port=65535)),
        (
            "m",
            '{"detect_behavior":{"candidate_ports":null}}',
            NatHoleResp(detect_behavior=DetectBehavior()),
        ),
        (
            "m",
            '{"detect_behavior":{"candidate_ports":[null,{"FROM":1}]}}',
            NatHoleResp(
                detect_behavior=DetectBehavior(candidate_ports=[PortsRange(), PortsRange(1)])
            ),
        ),
    ],
)
def test_tolerance_of_go(type_byte: str, body: str | bytes, expected: Message) -> None:
    assert decode(frame(type_byte, body)) == expected


@pytest.mark.parametrize(
    ("type_byte", "body", "reason"),
    [
        ("w", '{"run_id":1}', "NewWorkConn: run_id: not a string"),
        ("w", '{"RUN_ID":[]}', "NewWorkConn: run_id: not a string"),
        ("p", '{"use_encryption":1}', "NewProxy: use_encryption: not true or false"),
        ("h", '{"timestamp":1.0}', "Ping: timestamp: not an integer of 64 bits"),
        ("h", '{"timestamp":1e3}', "Ping: timestamp: not an integer of 64 bits"),
        ("h", '{"timestamp":true}', "Ping: timestamp: not an integer of 64 bits"),
        ("h", '{"timestamp":9223372036854775808}', "Ping: timestamp: not an integer of 64 bits"),
        ("h", '{"timestamp":%s}' % ("9" * 9000), "Ping: timestamp: not an integer of 64 bits"),
        ("s", '{"src_port":-1}', "StartWorkConn: src_port: not an integer from 0 to 65535"),
        ("s", '{"dst_port":65536}', "StartWorkConn: dst_port: not an integer from 0 to 65535"),
        ("p", '{"locations":{}}', "NewProxy: locations: not a list"),
        ("p", '{"locations":[1]}', "NewProxy: locations: not a string"),
        ("p", '{"metas":[]}', "NewProxy: metas: not an object"),
        ("p", '{"metas":{"a":1}}', "NewProxy: metas: not a string"),
        ("o", '{"client_spec":""}', "Login: client_spec: not an object"),
        ("o", '{"client_spec":{"type":1}}', "Login: client_spec: type: not a string"),
        ("u", '{"c":"YQ"}', "UdpPacket: c: not base64"),
        ("u", '{"c":"é==="}', "UdpPacket: c: not base64"),
        ("u", '{"c":1}', "UdpPacket: c: not a string"),
        ("u", '{"r":{"Port":"1"}}', "UdpPacket: r: Port: not an integer of 64 bits"),
        (
            "m",
            '{"detect_behavior":{"candidate_ports":{}}}',
            "NatHoleResp: detect_behavior: candidate_ports: not a list",
        ),
        ("h", "[]", "Ping: body is not an object"),
        ("h", "1", "Ping: body is not an object"),
        ("h", '"a"', "Ping: body is not an object"),
        ("h", "{", "Ping: body is not JSON"),
        ("h", "{}{}", "Ping: body is not JSON"),
        ("h", "\ufeff{}", "Ping: body is not JSON"),
        ("h", '{"x":NaN}', "Ping: body is not JSON"),
        ("h", '{"x":-Infinity}', "Ping: body is not JSON"),
        ("h", '{"x":01}', "Ping: body is not JSON"),
        ("h", '{"x":"\n"}', "Ping: body is not JSON"),
        ("h", "[" * MAX_BODY_BYTES, "Ping: body is nested too deeply"),
        ("h", '{"a":' * 2048, "Ping: body is nested too deeply"),
    ],
)
def test_refusals_name_the_message_and_the_field(type_byte: str, body: str, reason: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(frame(type_byte, body))
    assert str(caught.value) == reason


def test_type_byte_is_judged_before_the_length_arrives() -> None:
    decoder = MessageDecoder()
    decoder.receive_data(b"GE")
    with pytest.raises(RemoteProtocolError, match="unknown message type 0x47"):
        decoder.next_message()


def test_length_is_judged_before_the_body_arrives() -> None:
    decoder = MessageDecoder()
    decoder.receive_data(b"o" + (2**62).to_bytes(8, "big"))
    with pytest.raises(RemoteProtocolError, match="length 4611686018427387904 is not allowed"):
        decoder.next_message()


def test_decoder_stays_failed_and_keeps_nothing() -> None:
    decoder = MessageDecoder()
    decoder.receive_data(b"zrest")
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="0x7a"):
            decoder.next_message()
        decoder.receive_data(encode_message(Ping()))
        assert decoder.take_rest() == b""
    decoder.receive_eof()


def test_rest_begins_right_behind_the_message() -> None:
    decoder = MessageDecoder()
    decoder.receive_data(encode_message(LoginResp(run_id="a")) + b"sixteen bytes iv" + b"z")
    assert decoder.next_message() == LoginResp(run_id="a")
    assert decoder.take_rest() == b"sixteen bytes ivz"
    assert decoder.next_message() is None


@pytest.mark.parametrize("cut", [0, 3, 9, 12])
def test_rest_of_an_unfinished_message_is_whole(cut: int) -> None:
    wire = encode_message(NewWorkConn(run_id="abc"))[:cut]
    decoder = MessageDecoder()
    decoder.receive_data(wire)
    assert decoder.next_message() is None
    assert decoder.take_rest() == wire
    decoder.receive_eof()


@pytest.mark.parametrize("cut", [1, 9, 12])
def test_end_of_stream_inside_a_message_is_an_error(cut: int) -> None:
    decoder = MessageDecoder()
    decoder.receive_data(encode_message(NewWorkConn(run_id="abc"))[:cut])
    assert decoder.next_message() is None
    with pytest.raises(RemoteProtocolError, match="stream ends inside a message"):
        decoder.receive_eof()


def test_bytes_that_nobody_decodes_are_bounded() -> None:
    decoder = MessageDecoder()
    decoder.receive_data(bytes(4 * 1024 * 1024))
    with pytest.raises(LimitError):
        decoder.receive_data(b"x")


def test_the_longest_body_that_peers_take_is_written_and_a_longer_one_is_not() -> None:
    overhead = len('{"proxy_name":""}')
    longest = CloseProxy("é" * ((MAX_BODY_BYTES - overhead) // 2) + "x")
    assert len(encode_message(longest)) == 9 + MAX_BODY_BYTES
    assert decode(encode_message(longest)) == longest
    with pytest.raises(LocalProtocolError, match="CloseProxy of 10241 bytes; a peer takes 10240"):
        encode_message(CloseProxy(longest.proxy_name + "x"))


def test_text_that_is_not_unicode_is_not_written() -> None:
    with pytest.raises(LocalProtocolError, match="CloseProxy holds text that is not Unicode"):
        encode_message(CloseProxy("\udcff"))


def test_negotiation_object_travels_and_is_left_out_when_none() -> None:
    offer: dict[str, object] = {"v": 1, "features": ["a", {"b": None}], "pub": "é"}
    assert decode(encode_message(Login(frpd=offer))) == Login(frpd=offer)
    assert encode_message(LoginResp()) == frame("1", "{}")
    assert encode_message(LoginResp(frpd={})) == frame("1", "{}")


@pytest.mark.parametrize("garbage", ["1", '"x"', "[{}]", "null", "true", "1e999"])
def test_negotiation_object_of_another_type_counts_as_absent(garbage: str) -> None:
    assert decode(frame("o", f'{{"frpd":{garbage},"user":"u"}}')) == Login(user="u")


def test_negotiation_object_may_hold_anything_but_depth() -> None:
    assert decode(frame("o", r'{"frpd":{"a":"\udfff","a":[1.5,"x"]}}')) == Login(
        frpd={"a": [1.5, "x"]}
    )
    with pytest.raises(RemoteProtocolError, match="nested too deeply"):
        decode(frame("o", '{"frpd":' + '{"":' * 900 + "1" + "}" * 901))


def test_secrets_do_not_appear_in_a_repr() -> None:
    shown = repr(Login(privilege_key="hush")) + repr(NewProxy(sk="hush", http_pwd="hush"))
    assert "hush" not in shown


TEXT = st.text(max_size=20)
INT64 = st.integers(-(2**63), 2**63 - 1)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": TEXT,
    "int": INT64,
    "Uint16": st.integers(0, 65535),
    "bool": st.booleans(),
    "bytes": st.binary(max_size=40),
    "list[str]": st.lists(TEXT, max_size=3),
    "dict[str, str]": st.dictionaries(TEXT, TEXT, max_size=3),
    "dict[str, object] | None": st.none() | st.dictionaries(TEXT, INT64, min_size=1, max_size=3),
}


def records(cls: type[Any]) -> st.SearchStrategy[Any]:
    return st.builds(cls, **{item.name: VALUES[str(item.type)] for item in dataclasses.fields(cls)})


VALUES["list[PortsRange]"] = st.lists(records(PortsRange), max_size=3)
for nested in (ClientSpec, UdpAddress, DetectBehavior):
    VALUES[f"{nested.__name__} | None"] = st.none() | records(nested)

ANY_MESSAGE: st.SearchStrategy[Message] = st.one_of(*map(records, MESSAGES.values()))


@given(ANY_MESSAGE)
def test_every_message_comes_back_equal(message: Message) -> None:
    assert decode(encode_message(message)) == message


@given(st.lists(ANY_MESSAGE, max_size=4), st.data())
def test_any_split_gives_the_same_messages(messages: list[Message], data: st.DataObject) -> None:
    wire = b"".join(map(encode_message, messages)) + b"r"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    decoder = MessageDecoder()
    seen = []
    for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        decoder.receive_data(memoryview(wire)[start:end])
        while (message := decoder.next_message()) is not None:
            seen.append(message)
    assert seen == messages
    assert decoder.take_rest() == b"r"


def test_one_byte_at_a_time_gives_the_same_messages() -> None:
    messages = [Login(user="u"), ReqWorkConn(), StartWorkConn(src_port=1)]
    decoder = MessageDecoder()
    seen = []
    for byte in b"".join(map(encode_message, messages)):
        decoder.receive_data(bytes([byte]))
        seen.append(decoder.next_message())
    assert [message for message in seen if message is not None] == messages


JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
FIELD_NAMES = sorted({item.name for cls in MESSAGES.values() for item in dataclasses.fields(cls)})
BODY = st.dictionaries(st.sampled_from(FIELD_NAMES), JSON_VALUE, max_size=4).map(json.dumps)
FRAMED = st.builds(frame, st.sampled_from(bytes(MESSAGES).decode()), st.binary(max_size=60) | BODY)


@given(FRAMED | st.binary(max_size=60))
@example(frame("o", '{"frpd": {}}'))
def test_random_bytes_give_messages_or_remote_protocol_errors(wire: bytes) -> None:
    decoder = MessageDecoder()
    decoder.receive_data(wire)
    try:
        while (message := decoder.next_message()) is not None:
            assert decode(encode_message(message)) == message
        decoder.receive_eof()
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            decoder.next_message()


def test_a_frame_alone_is_decoded_as_in_a_stream() -> None:
    start = StartWorkConn(proxy_name="web", src_addr="192.0.2.7", src_port=5)
    assert decode_message(encode_message(start)) == start


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"s",
        encode_message(Ping()) + b"x",
        encode_message(Ping())[:-1],
        b"\x7a" + encode_message(Ping())[1:],
        encode_message(Ping())[:-2] + b"[]",
        b"h" + (MAX_BODY_BYTES + 1).to_bytes(8, "big") + b" " * (MAX_BODY_BYTES + 1),
    ],
)
def test_what_is_not_one_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_message(frame)


def test_a_group_s_strategy_is_told_under_our_own_name() -> None:
    told = NewProxy(group_strategy="source_hash")
    assert encode_message(told) == frame("p", '{"frpd_group_strategy":"source_hash"}')
    assert encode_message(NewProxy()) == frame("p", "{}")
