"""frpd.proto.message.fields: the way of one field, below messages and frames."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.proto.message.fields import RECORDS, Record, WrongTypeError
from frpd.proto.message.types import (
    MESSAGES,
    DetectBehavior,
    NatHoleResp,
    NewProxy,
    PortsRange,
    UdpAddress,
    UdpPacket,
)


@dataclass
class Sample:
    """One field of each plain kind."""

    text: str = ""
    flag: bool = False
    number: int = 0
    items: list[str] = field(default_factory=list)
    table: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""
    from_: int = field(default=0, metadata={"json": "From"})
    shown: str = field(default="", metadata={"always": True})


SAMPLE = Record(Sample)
Pairs = tuple[tuple[str, Any], ...]


def read(*pairs: tuple[str, Any], into: Sample | None = None) -> Sample:
    record = into or Sample()
    SAMPLE.read(pairs, record)
    return record


def test_every_message_has_its_record() -> None:
    assert {byte: record.cls for byte, record in RECORDS.items()} == MESSAGES


@pytest.mark.parametrize(
    ("name", "value", "attribute"),
    [
        ("text", "x", "text"),
        ("TEXT", "x", "text"),
        ("From", 1, "from_"),
        ("from", 1, "from_"),
        ("item\u017f", ["x"], "items"),
    ],
)
def test_a_name_is_found_as_written_or_in_another_case(
    name: str, value: object, attribute: str
) -> None:
    assert getattr(read((name, value)), attribute) == value


@pytest.mark.parametrize("name", ["from_", "text ", "", "unknown"])
def test_other_names_are_ignored_whatever_they_hold(name: str) -> None:
    assert read((name, ((("deep", [None]),)))) == Sample()


def test_the_last_of_repeated_names_wins_and_null_is_no_value() -> None:
    assert read(("text", "a"), ("Text", "b"), ("text", None)).text == "b"
    assert read(("number", 3), ("number", None), ("flag", True), ("flag", None)) == Sample(
        flag=True, number=3
    )
    assert read(("raw", "YQ=="), ("raw", None)).raw == b"a"


def test_null_empties_what_go_holds_by_reference() -> None:
    filled = Sample(items=["a"], table={"a": "1"})
    assert read(("items", None), ("table", None), into=filled) == Sample()


def test_a_repeated_map_is_merged_and_a_repeated_list_is_replaced() -> None:
    got = read(
        ("table", (("a", "1"), ("b", "1"))),
        ("table", (("b", "2"),)),
        ("items", ["a", "b"]),
        ("items", ["c"]),
    )
    assert got == Sample(items=["c"], table={"a": "1", "b": "2"})


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("text", 1, "text: not a string"),
        ("TEXT", True, "text: not a string"),
        ("flag", 0, "flag: not true or false"),
        ("number", True, "number: not an integer of 64 bits"),
        ("number", 2**63, "number: not an integer of 64 bits"),
        ("number", -(2**63) - 1, "number: not an integer of 64 bits"),
        ("from", "1", "From: not an integer of 64 bits"),
        ("items", "a", "items: not a list"),
        ("items", [()], "items: not a string"),
        ("table", ["a"], "table: not an object"),
        ("table", (("a", 1),), "table: not a string"),
        ("raw", "YQ", "raw: not base64"),
        ("raw", "YQ==YQ==", "raw: not base64"),
        ("raw", "Y Q==", "raw: not base64"),
        ("raw", [], "raw: not a string"),
    ],
)
def test_a_wrong_type_is_named_by_the_field_s_own_name(
    name: str, value: object, reason: str
) -> None:
    with pytest.raises(WrongTypeError) as caught:
        read((name, value))
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("behavior", "reason"),
    [
        ((("candidate_ports", [(), (("to", "x"),)]),), "candidate_ports: to: not an integer of"),
        ((("candidate_ports", [()]), ("candidate_ports", 1)), "candidate_ports: not a list"),
        ((("candidate_ports", [1]),), "candidate_ports: not an object"),
        ([], "not an object"),
    ],
)
def test_a_wrong_type_inside_is_named_by_its_whole_way(behavior: object, reason: str) -> None:
    with pytest.raises(WrongTypeError, match=f"^detect_behavior: {reason}"):
        Record(NatHoleResp).read((("DETECT_BEHAVIOR", behavior),), NatHoleResp())


def test_a_port_has_16_bits() -> None:
    record, start = RECORDS[ord("s")], MESSAGES[ord("s")]()
    record.read((("src_port", 65535), ("src_port", None), ("dst_port", 0)), start)
    assert record.write(start) == '{"src_port":65535}'
    for wrong in (65536, -1, True):
        with pytest.raises(WrongTypeError, match="src_port: not an integer from 0 to 65535"):
            record.read((("src_port", wrong),), start)


def test_null_clears_a_pointer_and_leaves_a_struct() -> None:
    packet, resp = UdpPacket(l=UdpAddress("h", 1)), NatHoleResp(detect_behavior=DetectBehavior())
    Record(UdpPacket).read((("l", None),), packet)
    Record(NatHoleResp).read((("detect_behavior", None),), resp)
    assert packet.l is None
    assert resp.detect_behavior == DetectBehavior()


def test_a_repeated_object_is_merged_field_by_field() -> None:
    packet = UdpPacket()
    Record(UdpPacket).read((("l", (("IP", "h"),)), ("L", (("Port", 5),))), packet)
    assert packet.l == UdpAddress("h", 5)


def test_objects_of_a_list_start_empty_and_null_empties_the_list() -> None:
    behavior = DetectBehavior(candidate_ports=[PortsRange(1, 2)])
    Record(DetectBehavior).read((("candidate_ports", [(("to", 9),), None]),), behavior)
    assert behavior.candidate_ports == [PortsRange(0, 9), PortsRange()]
    Record(DetectBehavior).read((("candidate_ports", None),), behavior)
    assert behavior == DetectBehavior()


def test_zero_values_are_left_out_except_where_go_writes_them() -> None:
    assert SAMPLE.write(Sample()) == '{"shown":""}'
    assert Record(UdpAddress).write(UdpAddress()) == '{"IP":"","Port":0,"Zone":""}'


def test_fields_are_written_compactly_in_their_order_under_their_json_names() -> None:
    full = Sample(text="é", flag=True, number=-1, items=["a"], table={"k": "v"}, raw=b"a", from_=2)
    assert SAMPLE.write(full) == (
        '{"text":"é","flag":true,"number":-1,"items":["a"],"table":{"k":"v"},"raw":"YQ==",'
        '"From":2,"shown":""}'
    )
    ranges = DetectBehavior(candidate_ports=[PortsRange(1, 2), PortsRange()])
    assert Record(DetectBehavior).write(ranges) == '{"candidate_ports":[{"from":1,"to":2},{}]}'


@given(st.text(), st.lists(st.text()), st.dictionaries(st.text(), st.text()), st.binary())
def test_what_is_written_is_json_and_reads_back_equal(
    text: str, items: list[str], table: dict[str, str], raw: bytes
) -> None:
    before = Sample(text=text, items=items, table=table, raw=raw, shown=text)
    pairs: Pairs = json.loads(SAMPLE.write(before), object_pairs_hook=tuple)
    assert read(*pairs) == before


def test_an_unpaired_surrogate_never_gets_in() -> None:
    bad, good = "\udc80é", "\ufffdé"
    got = read(("text", bad), ("items", [bad]), ("table", ((bad, bad),)))
    assert got == Sample(text=good, items=[good], table={good: good})


def test_negotiation_object_is_plain_data_without_surrogates() -> None:
    login = MESSAGES[ord("o")]()
    value = (("\ud800", ["\udfff", 1.5, None, (("a", True),)]), ("b", ()))
    RECORDS[ord("o")].read((("frpd", value),), login)
    got: Any = login
    assert got.frpd == {"\ufffd": ["\ufffd", 1.5, None, {"a": True}], "b": {}}


def test_a_number_that_json_cannot_hold_is_refused_inside_the_negotiation_object() -> None:
    # It could not be written again, where server plugins are asked about a login.
    with pytest.raises(WrongTypeError, match=r"^frpd: holds a number beyond 64 bits$"):
        RECORDS[ord("o")].read((("frpd", (("a", [float("inf")]),)),), MESSAGES[ord("o")]())


def test_reading_leaves_the_defaults_of_later_messages_alone() -> None:
    RECORDS[ord("p")].read((("headers", (("a", "1"),)), ("locations", ["/"])), NewProxy())
    assert NewProxy() == NewProxy(headers={}, locations=[])


def test_a_kind_of_field_without_a_row_is_noticed_at_once() -> None:
    @dataclass
    class Newer:
        share: float = 0.0

    with pytest.raises(KeyError, match="float"):
        Record(Newer)
