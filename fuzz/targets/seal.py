"""Sealed records: a true stream that is bent, cut, repeated and mixed, and noise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from frpd.errors import RemoteProtocolError
from frpd.proto.seal import MAX_RECORD_BYTES, RecordReader, RecordWriter, SealedCodec, SealedControl
from fuzz.reading import Choices, Reading, cut, read, same_bytes

_KEY: Final = bytes(range(32))
_OTHER_KEY: Final = bytes(range(1, 33))
# Written once, since libsodium draws the header itself: nothing, "hello", 40 times "a", and
# "bye" as the last record.
_PLAIN: Final = (b"", b"hello", b"a" * 40, b"bye")
_HEADER: Final = bytes.fromhex("d42f8f70baef205893891b6734a9e8fd5b33f38b3ac66d20")
_RECORDS: Final = tuple(
    map(
        bytes.fromhex,
        (
            "0011d9fe23f31ca43cd7f0d3c01807309532db",
            "0016a52429423f55d77d6ac56e137923f2ce52f2b3d1f11b",
            "0039eddbea9112853b36a53a2de2a0728c4baa52e8eb9b285ab8703457726640"  # noqa: ISC004
            "c636fbe6201f2c25c89d4b5a09660754dadc6f442b5837c6556ede",
            "0014fe1c6eee09d754fa9595fb86c8ff28ae8ff710bf",
        ),
    )
)


def one(data: bytes) -> None:
    """What opens is a beginning of what was sealed, ended by its true end; noise opens nothing."""
    choices = Choices(data)
    plan, form = choices.byte(), choices.byte()
    if form & 1:
        rest = choices.rest()
        _expect(rest, plan, _OTHER_KEY, ())
        _round_trip(rest, plan)
    else:
        _expect(_bent(choices), plan, _KEY, _PLAIN)


def _bent(choices: Choices) -> bytes:
    """Return the true records in an order, and with changes, that the input chooses."""
    parts = [_HEADER]
    following = 0
    while choices:
        what = choices.byte()
        index = (following if what & 8 else what >> 4) % len(_RECORDS)
        record = _RECORDS[index]
        following = index + 1
        if what & 7 == 1:
            at = choices.byte() % len(record)
            record = record[:at] + bytes((record[at] ^ choices.byte(),)) + record[at + 1 :]
        elif what & 7 == 2:
            record = record[: choices.byte() % len(record)]
        elif what & 7 == 3:
            record = choices.take(choices.byte() & 63)
        elif what & 7 == 4:
            record = _HEADER + record
        parts.append(record)
    return b"".join(parts)


def _expect(stream: bytes, plan: int, key: bytes, true: tuple[bytes, ...]) -> None:
    whole, pieces = _records(stream, 0, key), _records(stream, plan, key)
    assert tuple(whole.events) == true[: len(whole.events)], whole
    assert tuple(pieces.events) == true[: len(pieces.events)], pieces
    assert whole == pieces
    codecs = SealedCodec(RecordWriter(key), RecordReader(key)), _codec(key)
    same_bytes(
        read(lambda piece: (codecs[0].decode(piece),), cut(stream, 0)),
        read(lambda piece: (codecs[1].decode(piece),), cut(stream, plan)),
    )
    try:
        codecs[1].receive_eof()
    except RemoteProtocolError:
        assert not codecs[1].ended or stream != _HEADER + b"".join(_RECORDS)
    else:
        assert stream == _HEADER + b"".join(_RECORDS), "a cut stream counts as whole"
    control = SealedControl(_OTHER_KEY, key)
    opened = read(lambda piece: (control.decode(piece),), cut(stream, plan))
    assert b"".join(true).startswith(b"".join(opened.events))
    assert control.finished_received <= bool(true)


def _codec(key: bytes) -> SealedCodec:
    return SealedCodec(RecordWriter(key), RecordReader(key))


def _records(stream: bytes, plan: int, key: bytes) -> Reading:
    reader = RecordReader(key)

    def feed(piece: bytes) -> Iterator[bytes]:
        reader.receive_data(piece)
        while (record := reader.next_record()) is not None:
            yield record
        if not reader.ended:
            assert len(reader._held) < 2 + 17 + MAX_RECORD_BYTES

    return read(feed, cut(stream, plan))


def _round_trip(rest: bytes, plan: int) -> None:
    sender, receiver = _codec(_KEY), _codec(_KEY)
    sealed = b"".join(map(sender.encode, cut(rest, plan))) + sender.finish()
    assert b"".join(map(receiver.decode, cut(sealed, plan))) == rest
    receiver.receive_eof()


def seeds() -> Iterator[bytes]:
    """Yield the true stream, some that are not, and noise."""
    yield b"\0\0\x08\x08\x08\x08"
    yield b"\x05\0\x08\x08\x08\x08"
    yield b"\x05\0\x08\x08\x00"
    yield b"\x01\0\x08\x09\x05\x01"
    yield b"\x03\0\x08\x0a\x07\x0b\x10abcdefghijklmnop"
    yield b"\x05\x01" + bytes(24) + b"\0\x11" + bytes(17)
