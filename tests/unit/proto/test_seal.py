from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings as sodium

from frpd.errors import LocalProtocolError, RemoteProtocolError
from frpd.proto.buffer import Buffer
from frpd.proto.seal import (
    MAX_RECORD_BYTES,
    RecordReader,
    RecordWriter,
    SealedCodec,
    SealedControl,
)
from frpd.proto.wrappers import StreamCodec
from tests.unit.proto.vectors import load

STREAMS: list[dict[str, Any]] = load("seal")["streams"]
KEY = b"k" * 32
OTHER = b"o" * 32
HEADER_BYTES = 24
RECORD_OVERHEAD_BYTES = 2 + 17


def read_all(reader: RecordReader, data: bytes) -> list[bytes]:
    reader.receive_data(data)
    records = []
    while (record := reader.next_record()) is not None:
        records.append(record)
    return records


def control_pair() -> tuple[SealedControl, SealedControl]:
    return SealedControl(KEY, OTHER), SealedControl(OTHER, KEY)


def started_pair() -> tuple[SealedControl, SealedControl]:
    left, right = control_pair()
    assert left.decode(right.start()) == right.decode(left.start()) == b""
    return left, right


def cut(wire: bytes) -> tuple[bytes, list[bytes]]:
    """Return the header and the records of a direction."""
    records = []
    position = HEADER_BYTES
    while position < len(wire):
        end = position + 2 + int.from_bytes(wire[position : position + 2], "big")
        records.append(wire[position:end])
        position = end
    return wire[:HEADER_BYTES], records


def raw_record(state: Any, plain: bytes, tag: int) -> bytes:
    head = (len(plain) + 17).to_bytes(2, "big")
    return head + sodium.crypto_secretstream_xchacha20poly1305_push(state, plain, head, tag)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream["name"])
def test_documented_streams_open_whole_and_byte_by_byte(stream: dict[str, Any]) -> None:
    wire = bytes.fromhex(stream["wire"])
    expected = [bytes.fromhex(record["plain"]) for record in stream["records"]]
    whole = RecordReader(bytes.fromhex(stream["key"]))
    assert read_all(whole, wire) == expected
    slow = RecordReader(bytes.fromhex(stream["key"]))
    opened = []
    for byte in wire:
        opened += read_all(slow, bytes([byte]))
    assert opened == expected
    for reader in (whole, slow):
        assert reader.ended == stream["records"][-1]["final"]
        assert reader.take_rest() == bytes.fromhex(stream["rest"])


def test_records_are_as_large_as_stated() -> None:
    writer = RecordWriter(KEY)
    first = writer.write(b"")
    assert len(first) == HEADER_BYTES + RECORD_OVERHEAD_BYTES
    assert len(writer.write(bytes(10))) == RECORD_OVERHEAD_BYTES + 10
    two = writer.write(memoryview(bytes(MAX_RECORD_BYTES + 1)), final=True)
    assert len(two) == MAX_RECORD_BYTES + 1 + 2 * RECORD_OVERHEAD_BYTES
    reader = RecordReader(KEY)
    assert list(map(len, read_all(reader, first))) == [0]


def test_only_the_last_of_several_records_is_final() -> None:
    plain = bytes(2 * MAX_RECORD_BYTES)
    reader = RecordReader(KEY)
    reader.receive_data(RecordWriter(KEY).write(plain, final=True))
    steps = [(reader.next_record(), reader.ended) for _ in range(3)]
    half = plain[:MAX_RECORD_BYTES]
    assert steps == [(half, False), (half, True), (None, True)]


def test_a_writer_tells_what_it_has_written() -> None:
    writer = RecordWriter(KEY)
    steps = [(writer.started, writer.ended)]
    for final in (False, True):
        writer.write(b"", final=final)
        steps.append((writer.started, writer.ended))
    assert steps == [(False, False), (True, False), (True, True)]


def test_nothing_is_written_behind_the_last_record() -> None:
    writer = RecordWriter(KEY)
    writer.write(b"x", final=True)
    assert writer.ended
    with pytest.raises(LocalProtocolError, match="behind the last record"):
        writer.write(b"y")


def test_what_follows_a_final_record_is_handed_over_unopened() -> None:
    reader = RecordReader(KEY)
    reader.receive_data(RecordWriter(KEY).write(b"start", final=True) + b"raw ")
    assert reader.next_record() == b"start"
    reader.receive_data(b"bytes")
    assert reader.next_record() is None
    assert reader.take_rest() == b"raw bytes"
    reader.receive_eof()


def test_a_first_record_can_be_followed_by_sealed_payload() -> None:
    writer, reader = RecordWriter(KEY), RecordReader(KEY)
    wire = writer.write(b"start") + SealedCodec(writer, RecordReader(OTHER)).encode(b"payload")
    reader.receive_data(wire)
    assert reader.next_record() == b"start"
    assert SealedCodec(RecordWriter(OTHER), reader).decode(b"") == b"payload"


def test_a_stream_under_another_key_can_follow_a_final_record() -> None:
    wire = RecordWriter(KEY).write(b"visitor", final=True) + RecordWriter(OTHER).write(b"payload")
    reader = RecordReader(KEY)
    reader.receive_data(wire)
    assert reader.next_record() == b"visitor"
    payload = SealedCodec(RecordWriter(KEY), RecordReader(OTHER))
    assert payload.decode(reader.take_rest()) == b"payload"


@pytest.mark.parametrize("length", [0, 16, 17 + MAX_RECORD_BYTES + 1, 0xFFFF])
def test_a_length_that_no_record_has_is_refused_before_the_box(length: int) -> None:
    writer, reader = RecordWriter(KEY), RecordReader(KEY)
    read_all(reader, writer.write(b""))
    with pytest.raises(RemoteProtocolError, match=f"^seal: record of {length} bytes$"):
        read_all(reader, length.to_bytes(2, "big"))


def test_the_first_record_has_a_limit_of_its_own() -> None:
    writer = RecordWriter(KEY)
    first, later = writer.write(b"123"), writer.write(b"12345")
    reader = RecordReader(KEY, first_limit_bytes=3)
    assert read_all(reader, first + later) == [b"123", b"12345"]
    with pytest.raises(RemoteProtocolError, match="record of 20 bytes"):
        read_all(RecordReader(KEY, first_limit_bytes=2), first[: HEADER_BYTES + 2])


@pytest.mark.parametrize(
    "tag",
    [
        sodium.crypto_secretstream_xchacha20poly1305_TAG_PUSH,
        sodium.crypto_secretstream_xchacha20poly1305_TAG_REKEY,
    ],
)
def test_other_tags_are_refused(tag: int) -> None:
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    header = sodium.crypto_secretstream_xchacha20poly1305_init_push(state, KEY)
    with pytest.raises(RemoteProtocolError, match=f"record with tag {tag}"):
        read_all(RecordReader(KEY), header + raw_record(state, b"x", tag))


def test_the_length_is_authenticated() -> None:
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    header = sodium.crypto_secretstream_xchacha20poly1305_init_push(state, KEY)
    box = sodium.crypto_secretstream_xchacha20poly1305_push(state, b"x", b"\x00\x13")
    with pytest.raises(RemoteProtocolError, match="does not open"):
        read_all(RecordReader(KEY), header + b"\x00\x12" + box)


def test_replayed_reordered_and_omitted_records_do_not_open() -> None:
    writer = RecordWriter(KEY)
    wire = writer.write(b"one") + writer.write(b"two") + writer.write(b"three", final=True)
    header, (one, two, three) = cut(wire)
    for order in ([one, one], [two, one], [one, three], [three], [one, two, two]):
        reader = RecordReader(KEY)
        with pytest.raises(RemoteProtocolError, match=r"^seal: a record does not open$"):
            read_all(reader, header + b"".join(order))
        assert not reader.ended
    assert read_all(RecordReader(KEY), header + one + two + three) == [b"one", b"two", b"three"]


def test_a_record_of_another_key_does_not_open() -> None:
    with pytest.raises(RemoteProtocolError, match="does not open"):
        read_all(RecordReader(OTHER), RecordWriter(KEY).write(b"x"))


def test_a_reader_stays_failed_and_holds_nothing() -> None:
    reader = RecordReader(KEY)
    with pytest.raises(RemoteProtocolError):
        read_all(reader, bytes(HEADER_BYTES) + b"\x00\x00more")
    reader.receive_data(b"ignored")
    assert reader.take_rest() == b""
    with pytest.raises(RemoteProtocolError, match="record of 0 bytes"):
        reader.next_record()
    with pytest.raises(RemoteProtocolError, match="record of 0 bytes"):
        reader.receive_eof()


@pytest.mark.parametrize("sent", [0, 10, HEADER_BYTES, HEADER_BYTES + 5, None])
def test_an_end_without_a_last_record_is_a_truncation(sent: int | None) -> None:
    reader = RecordReader(KEY)
    read_all(reader, RecordWriter(KEY).write(b"x")[:sent])
    with pytest.raises(RemoteProtocolError, match=r"^seal: the stream was cut short$"):
        reader.receive_eof()


def payload_pair() -> tuple[SealedCodec, SealedCodec]:
    return (
        SealedCodec(RecordWriter(KEY), RecordReader(OTHER)),
        SealedCodec(RecordWriter(OTHER), RecordReader(KEY)),
    )


def test_payload_travels_both_ways_and_ends() -> None:
    codecs: tuple[StreamCodec, StreamCodec] = payload_pair()
    assert codecs[1].decode(codecs[0].encode(b"hello")) == b"hello"
    left, right = payload_pair()
    for data in (b"a", b"", bytes(70000), bytearray(b"b"), memoryview(b"c")):
        assert right.decode(left.encode(data)) == data
        assert left.decode(right.encode(data)) == data
    before = right.ended
    assert right.decode(left.finish()) == b""
    assert (before, right.ended) == (False, True)
    assert left.finish() == b""
    right.receive_eof()
    with pytest.raises(LocalProtocolError):
        left.encode(b"late")
    with pytest.raises(RemoteProtocolError, match="cut short"):
        left.receive_eof()


def test_nothing_stays_nothing_and_sends_no_header() -> None:
    codec, _ = payload_pair()
    assert codec.encode(b"") == b""


def test_a_direction_without_payload_ends_properly() -> None:
    left, right = payload_pair()
    assert right.decode(left.finish()) == b""
    right.receive_eof()


def test_data_behind_the_last_record_is_refused_for_good() -> None:
    left, right = payload_pair()
    wire = left.encode(b"x") + left.finish() + b"!"
    with pytest.raises(RemoteProtocolError, match=r"^seal: data behind the last record$"):
        right.decode(wire)
    with pytest.raises(RemoteProtocolError, match=r"^seal: data behind the last record$"):
        right.decode(b"")
    with pytest.raises(RemoteProtocolError, match=r"^seal: data behind the last record$"):
        right.receive_eof()


def test_control_starts_with_an_empty_record_each_way() -> None:
    left, right = control_pair()
    hello = left.start()
    assert len(hello) == HEADER_BYTES + RECORD_OVERHEAD_BYTES
    assert left.start() == b""
    before = right.finished_received
    assert right.decode(hello) == b""
    assert (before, right.finished_received) == (False, True)
    assert not left.finished_received


def test_control_starts_by_itself_with_the_first_data() -> None:
    left, right = control_pair()
    assert left.encode(b"") == b""
    assert right.decode(left.encode(b"message")) == b"message"
    assert right.finished_received
    assert left.start() == b""
    assert right.decode(left.encode(b"more")) == b"more"


def test_control_that_ends_unused_still_proves_its_key() -> None:
    left, right = control_pair()
    assert right.decode(left.finish()) == b""
    assert right.finished_received
    assert right.ended
    assert left.finish() == b""


def test_control_takes_nothing_before_finished() -> None:
    _, right = control_pair()
    wire = RecordWriter(KEY).write(b"x")
    with pytest.raises(RemoteProtocolError, match="record of 18 bytes"):
        right.decode(wire[: HEADER_BYTES + 2])
    assert not right.finished_received


@pytest.mark.parametrize("size", [1, HEADER_BYTES, HEADER_BYTES + 1, HEADER_BYTES + 18])
def test_half_of_finished_is_not_finished(size: int) -> None:
    left, right = control_pair()
    assert right.decode(left.start()[:size]) == b""
    assert not right.finished_received


def test_finished_of_another_token_fails() -> None:
    right = SealedControl(OTHER, b"z" * 32)
    with pytest.raises(RemoteProtocolError, match="does not open"):
        right.decode(SealedControl(KEY, OTHER).start())
    assert not right.finished_received


def test_a_direction_reflected_to_its_sender_fails() -> None:
    left, _ = control_pair()
    with pytest.raises(RemoteProtocolError, match="does not open"):
        left.decode(left.start())


def decode_to_the_end(codec: SealedCodec, wire: Buffer) -> bytes:
    plain = codec.decode(wire)
    codec.receive_eof()
    return plain


PIECES = st.lists(
    st.binary(max_size=60) | st.sampled_from([bytes(MAX_RECORD_BYTES + 1)]), max_size=5
)


@given(PIECES, st.data())
def test_any_split_opens_to_the_same_bytes(pieces: list[bytes], data: st.DataObject) -> None:
    left, right = control_pair()
    wire = b"".join([left.start(), *map(left.encode, pieces), left.finish()])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    plain = b"".join(
        right.decode(memoryview(wire)[start:end])
        for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)
    )
    assert plain == b"".join(pieces)
    right.receive_eof()


@given(st.lists(st.binary(max_size=20), max_size=3), st.data())
def test_any_flipped_bit_is_refused(pieces: list[bytes], data: st.DataObject) -> None:
    left, right = control_pair()
    wire = bytearray(b"".join([left.start(), *map(left.encode, pieces), left.finish()]))
    bit = data.draw(st.integers(0, 8 * len(wire) - 1))
    wire[bit // 8] ^= 1 << bit % 8
    with pytest.raises(RemoteProtocolError):
        decode_to_the_end(right, wire)


HOSTILE = st.lists(
    st.binary(max_size=60)
    | st.builds(lambda size: (size + 17).to_bytes(2, "big") + bytes(size + 17), st.integers(0, 40)),
    max_size=4,
)


@given(HOSTILE, st.booleans())
def test_hostile_bytes_give_nothing_or_remote_protocol_errors(
    chunks: list[bytes], finished: bool
) -> None:
    right = started_pair()[1] if finished else control_pair()[1]
    for chunk in chunks:
        try:
            assert right.decode(chunk) == b""
        except RemoteProtocolError:
            with pytest.raises(RemoteProtocolError):
                right.decode(b"")
            return
    assert right.finished_received == finished
    assert not right.ended
