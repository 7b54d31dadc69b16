"""Frames that carry one byte stream: golden, against another implementation, and hostile."""

from __future__ import annotations

import base64
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, SERVER, Protocol, State

from frpd.errors import RemoteProtocolError
from frpd.proto.buffer import Buffer
from frpd.proto.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MAX_FRAME_BYTES,
    PING,
    PONG,
    TEXT,
    WebSocketCodec,
    encode_frame,
    xor_mask,
)
from tests.unit.proto.websocket.recordings import ALL, FOLDER, Recorded, recorded

MASK = b"\x37\xfa\x21\x3d"
RECORDED = pytest.mark.parametrize("connection", ALL, ids=range(len(ALL)))
SIDES = pytest.mark.parametrize("is_client", [True, False], ids=["client", "server"])


def codec(*, is_client: bool, opcode: int = BINARY) -> WebSocketCodec:
    return WebSocketCodec((lambda: MASK) if is_client else None, opcode=opcode)


def from_peer(opcode: int, payload: bytes, *, to_client: bool, last: bool = True) -> bytes:
    """Return a frame as our peer would send it."""
    frame = encode_frame(opcode, payload, None if to_client else MASK)
    return frame if last else bytes((frame[0] & 0x7F,)) + frame[1:]


def decode_all(end: WebSocketCodec, stream: bytes, sizes: list[int] | None = None) -> bytes:
    """Return the payload of a stream that comes in pieces of these sizes, over and over."""
    got = bytearray()
    position = 0
    for size in itertools.cycle(sizes or [len(stream)]):
        if position >= len(stream):
            return bytes(got)
        got += end.decode(memoryview(stream)[position : position + size])
        position += size
    raise AssertionError


def failed(end: WebSocketCodec, stream: bytes, reason: str) -> None:
    """Check that a stream is refused for a reason, at once and for ever, and the peer told."""
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match=reason):
            end.decode(stream)
    code = codec(is_client=end._mask_source is None)
    code.decode(end.answers())
    with pytest.raises(RemoteProtocolError, match=r"code 1002$"):
        code.receive_eof()
    assert end.finish() == end.answers() == b""


# Masks.


@given(data=st.binary(max_size=200), mask=st.binary(min_size=4, max_size=4))
def test_a_mask_is_laid_over_each_byte(data: bytes, mask: bytes) -> None:
    assert xor_mask(data, mask) == bytes(a ^ b for a, b in zip(data, itertools.cycle(mask)))


@pytest.mark.parametrize("size", [4095, 4096, 4097, 4098, 4099, 8192, 70_001])
def test_a_mask_is_laid_over_long_data(size: int) -> None:
    data = bytes(index * 7 & 0xFF for index in range(size))
    assert xor_mask(data, MASK) == bytes(a ^ b for a, b in zip(data, itertools.cycle(MASK)))
    assert xor_mask(memoryview(data), MASK) == xor_mask(bytearray(data), MASK)


# Against Go frp, as recorded.


@RECORDED
@pytest.mark.parametrize("size", [1, 2, 7, 100_000])
def test_recorded_frames_are_read_and_written_alike(connection: Recorded, size: int) -> None:
    """Both ends of the recording agree with a reading that knows only RFC 6455's drawing."""
    for stream, reader in (
        (connection.from_client, codec(is_client=False)),
        (connection.from_server, codec(is_client=True)),
    ):
        frames = list(plain_frames(stream))
        payload = b"".join(body for opcode, _, body in frames if opcode != CLOSE)
        assert decode_all(reader, stream, [size]) == payload
        assert reader.ended == any(opcode == CLOSE for opcode, _, _ in frames)
        reader.receive_eof()
        again = b"".join(encode_frame(opcode, body, mask) for opcode, mask, body in frames)
        assert again == stream


def plain_frames(stream: bytes) -> list[tuple[int, bytes | None, bytes]]:
    """Return opcode, mask and payload of each frame; no fragments."""
    frames = []
    while stream:
        opcode, length, position = stream[0] & 0x7F, stream[1] & 0x7F, 2
        if length == 126:
            length, position = int.from_bytes(stream[2:4], "big"), 4
        mask = None
        if stream[1] & 0x80:
            mask, position = stream[position : position + 4], position + 4
        body = stream[position : position + length]
        if mask is not None:
            body = bytes(a ^ b for a, b in zip(body, itertools.cycle(mask)))
        frames.append((opcode, mask, body))
        stream = stream[position + length :]
    return frames


def test_go_sends_its_data_as_text_and_ends_by_code_1000() -> None:
    kinds = {
        (opcode, body if opcode == CLOSE else b"")
        for connection in ALL
        for opcode, _, body in plain_frames(connection.from_client)
    }
    assert kinds == {(TEXT, b""), (CLOSE, b"\x03\xe8")}


def test_a_recorded_session_carries_what_its_user_received() -> None:
    session = json.loads((FOLDER / "websocket_nomux_v021.json").read_text(encoding="utf-8"))
    sent = base64.b64decode(session["user_sent_b64"])
    carried = [
        decode_all(codec(is_client=True), connection.from_server)
        for connection in recorded("websocket_nomux_v021")
    ]
    assert any(payload.endswith(sent) for payload in carried)


# Against another implementation.


def other(*, is_client: bool) -> Protocol:
    return Protocol(CLIENT if is_client else SERVER, state=State.OPEN, max_size=None)


@SIDES
@given(
    pieces=st.lists(st.sampled_from([1, 5, 125, 126, 127, 65_535, 65_536]), max_size=5),
    cuts=st.lists(st.sampled_from([1, 3, 1000, 70_000]), min_size=1, max_size=4),
)
def test_another_implementation_reads_what_we_write(
    is_client: bool, pieces: list[int], cuts: list[int]
) -> None:
    ours, theirs = codec(is_client=is_client), other(is_client=not is_client)
    stream = b"".join(ours.encode(bytes([index]) * size) for index, size in enumerate(pieces))
    stream += ours.finish()
    position = 0
    for size in itertools.cycle(cuts):
        if position >= min(len(stream), 2000 * size):
            break
        theirs.receive_data(stream[position : position + size])
        position += size
    theirs.receive_data(stream[position:])
    *data, end = theirs.events_received()
    assert [frame_of(event) for event in data] == [
        (Opcode.BINARY, bytes([index]) * size) for index, size in enumerate(pieces)
    ]
    assert frame_of(end) == (Opcode.CLOSE, b"\x03\xe8")
    ours.decode(b"".join(theirs.data_to_send()))
    assert ours.ended
    ours.receive_eof()


def frame_of(event: object) -> tuple[Opcode, bytes]:
    assert isinstance(event, Frame)
    return event.opcode, bytes(event.data)


@SIDES
@given(
    messages=st.lists(
        st.tuples(st.booleans(), st.binary(max_size=300), st.booleans(), st.binary(max_size=125)),
        max_size=6,
    ),
    cuts=st.lists(st.sampled_from([1, 2, 5, 130]), min_size=1, max_size=4),
)
def test_we_read_what_another_implementation_writes(
    is_client: bool, messages: list[tuple[bool, bytes, bool, bytes]], cuts: list[int]
) -> None:
    ours, theirs = codec(is_client=is_client), other(is_client=not is_client)
    for is_text, data, in_two, ping in messages:
        send = theirs.send_text if is_text else theirs.send_binary
        send(data, fin=not in_two)
        theirs.send_ping(ping)
        if in_two:
            theirs.send_continuation(data, fin=True)
    theirs.send_close(1000)
    got = decode_all(ours, b"".join(theirs.data_to_send()), cuts)
    assert got == b"".join(data * (2 if in_two else 1) for _, data, in_two, _ in messages)
    assert ours.ended
    theirs.receive_data(ours.answers() + ours.finish())
    *pongs, _ = theirs.events_received()
    expected = [(Opcode.PONG, messages[-1][3])] if messages else []
    assert [frame_of(pong) for pong in pongs] == expected
    assert theirs.close_rcvd is not None


# Ours.


@SIDES
def test_any_cut_between_our_own_ends(is_client: bool) -> None:
    sender, reader = codec(is_client=is_client), codec(is_client=not is_client)
    payload = bytes(range(256)) * 300
    stream = b"".join(
        sender.encode(payload[start : start + 9999]) for start in range(0, len(payload), 9999)
    )
    for size in (1, 2, 3, 13, 4099):
        assert decode_all(reader, stream, [size]) == payload
    reader.receive_eof()
    assert sender.encode(b"") == b""


def test_data_goes_out_as_it_was_asked_for() -> None:
    assert codec(is_client=False).encode(b"x") == b"\x82\x01x"
    assert codec(is_client=False, opcode=TEXT).encode(b"x") == b"\x81\x01x"


def test_each_frame_of_a_client_has_its_own_mask() -> None:
    masks = iter([b"aaaa", b"bbbb", b"cccc"])
    end = WebSocketCodec(lambda: next(masks))
    end.decode(b"\x89\x01?")
    frames = end.encode(b"one") + end.answers() + end.finish()
    # The pong was made when the ping came.
    assert [mask for _, mask, _ in plain_frames(frames)] == [b"bbbb", b"aaaa", b"cccc"]


def test_payload_without_a_mask_is_not_copied() -> None:
    stream = bytearray(from_peer(BINARY, b"payload", to_client=True))
    got = codec(is_client=True).decode(stream)
    assert isinstance(got, memoryview)
    stream[-1:] = b"D"
    assert bytes(got) == b"payloaD"


def test_a_faster_way_to_mask_is_used() -> None:
    sizes = []

    def xor(data: Buffer, mask: bytes) -> bytes:
        sizes.append(len(data))
        return xor_mask(data, mask)

    end = WebSocketCodec(None, xor=xor)
    assert end.decode(from_peer(BINARY, b"payload", to_client=False)) == b"payload"
    assert sizes == [7]


def test_frames_without_payload_are_nothing() -> None:
    end = codec(is_client=True)
    assert end.decode(from_peer(BINARY, b"", to_client=True) * 3) == b""
    assert end.decode(from_peer(PONG, b"unasked", to_client=True)) == b""
    assert end.answers() == b""
    assert end.decode(from_peer(TEXT, b"\xff\xfe", to_client=True)) == b"\xff\xfe"


# Pings and ends.


@SIDES
def test_of_several_pings_the_last_is_answered(is_client: bool) -> None:
    end = codec(is_client=is_client)
    end.decode(b"".join(from_peer(PING, b"%d" % n, to_client=is_client) for n in range(1000)))
    assert end.answers() == encode_frame(PONG, b"999", MASK if is_client else None)
    assert end.answers() == b""


@SIDES
def test_an_end_is_answered_when_ours_comes(is_client: bool) -> None:
    end = codec(is_client=is_client)
    stream = from_peer(BINARY, b"last", to_client=is_client)
    stream += from_peer(CLOSE, b"\x03\xe8bye", to_client=is_client)
    assert end.decode(stream + b"\xffjunk") == b"last"
    assert end.ended
    assert end.decode(b"\xffmore junk") == b""
    end.receive_eof()
    assert end.answers() == b""
    assert end.encode(b"still")
    assert end.finish() == encode_frame(CLOSE, b"\x03\xe8", MASK if is_client else None)
    assert end.finish() == b""


def test_no_pong_comes_behind_our_end() -> None:
    end = codec(is_client=True)
    end.decode(from_peer(PING, b"early", to_client=True))
    end.finish()
    end.decode(from_peer(PING, b"late", to_client=True))
    assert end.answers() == b""


def test_an_end_without_a_code_is_a_true_one() -> None:
    end = codec(is_client=True)
    end.decode(from_peer(CLOSE, b"", to_client=True))
    assert end.ended
    end.receive_eof()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [(b"\x03\xe9", "code 1001$"), (b"\x03\xf1too big\xff", "code 1009 too big\ufffd$")],
)
def test_an_end_for_an_error_is_a_loss(payload: bytes, reason: str) -> None:
    end = codec(is_client=True)
    stream = from_peer(BINARY, b"last", to_client=True)
    assert end.decode(stream + from_peer(CLOSE, payload, to_client=True)) == b"last"
    with pytest.raises(RemoteProtocolError, match=reason):
        end.receive_eof()


def test_a_connection_may_end_between_frames_only() -> None:
    stream = from_peer(BINARY, b"payload", to_client=False)
    for cut in range(len(stream) + 1):
        end = codec(is_client=False)
        end.decode(stream[:cut])
        if cut in (0, len(stream)):
            end.receive_eof()
        else:
            with pytest.raises(RemoteProtocolError, match="cut inside a frame"):
                end.receive_eof()


# What is refused.


@SIDES
@pytest.mark.parametrize(
    ("first", "reason"),
    [
        *((bit | BINARY | 0x80, "reserved bits") for bit in (0x40, 0x20, 0x10)),
        *((0x80 | opcode, f"unknown opcode {opcode}$") for opcode in (3, 7, 0xB, 0xF)),
        (CLOSE, "control frame"),
        (PING, "control frame"),
        (0x80 | CONTINUATION, "out of order"),
    ],
)
def test_illegal_frames_are_refused(is_client: bool, first: int, reason: str) -> None:
    failed(codec(is_client=is_client), bytes((first, 0 if is_client else 0x80)), reason)


@SIDES
def test_masks_are_the_clients_alone(is_client: bool) -> None:
    stream = from_peer(BINARY, b"x", to_client=not is_client)
    failed(codec(is_client=is_client), stream, "is masked$" if is_client else "is not masked$")


def test_a_long_control_frame_is_refused() -> None:
    failed(codec(is_client=True), from_peer(PING, bytes(126), to_client=True), "control frame")
    fits = codec(is_client=True)
    fits.decode(from_peer(PING, bytes(125), to_client=True))
    assert fits.answers() == encode_frame(PONG, bytes(125), MASK)


def test_half_a_code_is_refused() -> None:
    failed(codec(is_client=True), from_peer(CLOSE, b"\x03", to_client=True), "half a close code")


def test_a_message_inside_another_is_refused() -> None:
    stream = from_peer(TEXT, b"begun", to_client=True, last=False)
    failed(codec(is_client=True), stream + from_peer(TEXT, b"x", to_client=True), "out of order")


@pytest.mark.parametrize(
    ("length", "is_legal"),
    [
        (b"\x7e\x00\x7d", False),
        (b"\x7e\x00\x7e", True),
        (b"\x7f" + (65_535).to_bytes(8, "big"), False),
        (b"\x7f" + (65_536).to_bytes(8, "big"), True),
        (b"\x7f" + MAX_FRAME_BYTES.to_bytes(8, "big"), True),
        (b"\x7f" + (MAX_FRAME_BYTES + 1).to_bytes(8, "big"), False),
        (b"\x7f" + b"\xff" * 8, False),
    ],
)
def test_lengths_are_short_and_bounded(length: bytes, is_legal: bool) -> None:
    end = codec(is_client=True)
    if is_legal:
        assert end.decode(b"\x82" + length + b"x") == b"x"
    else:
        failed(end, b"\x82" + length, "frame length")


def test_a_huge_frame_is_not_held() -> None:
    end = codec(is_client=True)
    end.decode(b"\x82\x7f" + MAX_FRAME_BYTES.to_bytes(8, "big"))
    for _ in range(100):
        assert len(end.decode(bytes(10_000))) == 10_000
    assert len(end._held) == 0


@SIDES
@given(pieces=st.lists(st.binary(max_size=60), max_size=8))
def test_no_bytes_raise_anything_else(is_client: bool, pieces: list[bytes]) -> None:
    end = codec(is_client=is_client)
    for piece in pieces:
        try:
            assert len(end.decode(piece)) <= len(piece)
        except RemoteProtocolError:
            break
    assert len(end._held) <= 2 + 4 + 125
    end.answers()
    end.finish()
