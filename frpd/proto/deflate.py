"""``deflate``: compression between two frpd ends, in records.

A direction is a run of records, each of which can be read when it is there:

    u8 kind || u24 length of the body, big-endian || body

- kind 0, stored: the body is plain, 1 to 65,536 bytes.
- kind 1, deflated: the body, 1 to 81,920 bytes, is the next piece of ONE raw
  deflate stream (RFC 1951, window 32 KiB) that runs through all records of
  kind 1 of the direction. It ends at a byte boundary with all of its plain
  bytes out (Z_SYNC_FLUSH), and never ends the stream (no final block). It
  inflates to at most 65,536 bytes and to at most 32 times its own length;
  a writer that does better appends empty stored blocks (00 00 00 ff ff).

There is no end marker: a stream may end after any record. Stored bytes are not
part of the deflate stream's history. When to store is the writer's choice.

The reader so gets at most 32 times what was received, whoever sent it. The
library is zlib-ng, or the standard library's zlib where that is missing: they
understand each other.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from frpd.errors import RemoteProtocolError

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

MAX_BLOCK_BYTES: Final = 65536
"""Most plain bytes in one record."""
MAX_DEFLATED_BYTES: Final = MAX_BLOCK_BYTES + MAX_BLOCK_BYTES // 4
"""Longest body; at its worst zlib-ng writes 9 bits for each byte."""
MAX_RATIO: Final = 32
"""Most plain bytes for each byte of a deflated body."""
STORED_AFTER_FAILURE: Final = 16
"""Records that are stored after one that saved less than an eighth."""

_STORED: Final = 0
_DEFLATED: Final = 1
_HEAD = Struct(">I")  # kind in the high byte, length in the other three
_HEAD_BYTES: Final = 4
_LENGTH_BITS: Final = 24
_EMPTY_BLOCK: Final = b"\x00\x00\x00\xff\xff"
_LEVEL: Final = 1
_RAW_WINDOW_BITS: Final = -15
_PROBE_BYTES: Final = 4096
"""Of a record that tries whether it is worth it: failing costs 16 times less than a full one."""
_MIN_BYTES: Final = 16
"""Shorter records are stored untried: a flush alone costs 5 bytes."""


class _Deflater(Protocol):
    def compress(self, data: Buffer, /) -> bytes: ...
    def flush(self, mode: int, /) -> bytes: ...


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: Buffer, max_length: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Library:
    """zlib, by whatever name: a module with its interface and the exception it raises."""

    module: Any
    error: type[Exception]

    def deflater(self) -> _Deflater:
        """Return a new outgoing stream."""
        stream: _Deflater = self.module.compressobj(_LEVEL, zlib.DEFLATED, _RAW_WINDOW_BITS)
        return stream

    def inflater(self) -> _Inflater:
        """Return a new incoming stream."""
        stream: _Inflater = self.module.decompressobj(_RAW_WINDOW_BITS)
        return stream


def find_library() -> Library:
    """Return zlib-ng if it is installed, else zlib."""
    try:
        from zlib_ng import zlib_ng  # noqa: PLC0415 - an optional extra
    except ImportError:
        return Library(zlib, zlib.error)
    return Library(zlib_ng, zlib_ng.error)  # type: ignore[arg-type]  # stub has an instance


LIBRARY: Final = find_library()
IS_WORTH_IT: Final = LIBRARY.module is not zlib
"""Whether it costs less than snappy does; with the standard library's zlib it costs more."""


class DeflateEncoder:
    """One direction, outgoing."""

    __slots__ = ("_deflater", "_library", "_probing", "_to_store")

    def __init__(self, library: Library = LIBRARY) -> None:
        self._library = library
        self._deflater: _Deflater | None = None
        self._to_store = 0
        self._probing = True

    def encode(self, data: Buffer) -> bytes:
        """Return ``data`` as complete records; nothing for nothing."""
        parts: list[Buffer] = []
        with memoryview(data) as view:
            start = 0
            while start < len(view):
                start = self._add_record(view, start, parts)
            encoded = b"".join(parts)
            parts.clear()
        return encoded

    def _add_record(self, view: memoryview, start: int, parts: list[Buffer]) -> int:
        """Append one record of what begins at ``start``; return where its block ends."""
        store = self._to_store > 0 or len(view) - start < _MIN_BYTES
        if store:
            self._to_store = max(self._to_store - 1, 0)
        limit = _PROBE_BYTES if self._probing and not store else MAX_BLOCK_BYTES
        block = view[start : start + limit]
        kind, body = (_STORED, block) if store else (_DEFLATED, self._deflate(block))
        parts += (_HEAD.pack(kind << _LENGTH_BITS | len(body)), body)
        return start + len(block)

    def _deflate(self, block: memoryview) -> bytes:
        deflater = self._deflater
        if deflater is None:
            deflater = self._deflater = self._library.deflater()
        body = deflater.compress(block) + deflater.flush(zlib.Z_SYNC_FLUSH)
        self._probing = 8 * (len(block) - len(body)) < len(block)
        if self._probing:
            self._to_store = STORED_AFTER_FAILURE
        missing = len(block) - MAX_RATIO * len(body)
        if missing > 0:
            body += _EMPTY_BLOCK * -(-missing // (MAX_RATIO * len(_EMPTY_BLOCK)))
        return body


class DeflateDecoder:
    """One direction, incoming. After an error it stays failed.

    Holds back at most one unfinished record.
    """

    __slots__ = ("_error", "_held", "_inflater", "_library", "_needed")

    def __init__(self, library: Library = LIBRARY) -> None:
        self._library = library
        self._inflater: _Inflater | None = None
        self._held = bytearray()
        self._needed = _HEAD_BYTES
        self._error: str | None = None

    def decode(self, data: Buffer) -> bytes:
        """Return the plain bytes of all records that ``data`` completes.

        At most MAX_RATIO times as many as ``data`` and what was held back.

        Raises:
            RemoteProtocolError: a record is damaged, or longer than allowed,
                or inflates to more than allowed; now or earlier.
        """
        if self._error is not None:
            raise RemoteProtocolError(self._error)
        held = self._held
        held += data
        if len(held) < self._needed:
            return b""
        blocks: list[Buffer] = []
        with memoryview(held) as view:
            position = self._decode_records(view, blocks)
            plain = b"".join(blocks)
            blocks.clear()
        del held[:position]
        return plain

    def _decode_records(self, view: memoryview, blocks: list[Buffer]) -> int:
        """Append the plain blocks of all whole records; return where they end."""
        position = 0
        while len(view) - position >= _HEAD_BYTES:
            (head,) = _HEAD.unpack_from(view, position)
            kind, length = head >> _LENGTH_BITS, head & (1 << _LENGTH_BITS) - 1
            self._check_head(kind, length)
            end = position + _HEAD_BYTES + length
            if end > len(view):
                self._needed = end - position
                return position
            body = view[position + _HEAD_BYTES : end]
            blocks.append(body if kind == _STORED else self._inflate(body))
            position = end
        self._needed = _HEAD_BYTES
        return position

    def _check_head(self, kind: int, length: int) -> None:
        if kind > _DEFLATED:
            self._fail(f"unknown record kind {kind}")
        limit = MAX_BLOCK_BYTES if kind == _STORED else MAX_DEFLATED_BYTES
        if not 0 < length <= limit:
            self._fail(f"record of {length} bytes")

    def _inflate(self, body: memoryview) -> bytes:
        inflater = self._inflater
        if inflater is None:
            inflater = self._inflater = self._library.inflater()
        limit = min(MAX_BLOCK_BYTES, MAX_RATIO * len(body))
        try:
            block = inflater.decompress(body, limit + 1)
        except self._library.error:
            self._fail("damaged record")
        if len(block) > limit:
            self._fail(f"record of {len(body)} bytes inflates to more than {limit}")
        if inflater.eof:
            self._fail("record ends the stream")
        return block

    def _fail(self, reason: str) -> NoReturn:
        self._error = f"deflate: {reason}"
        self._held = bytearray()
        raise RemoteProtocolError(self._error)


class DeflateCodec:
    """Both directions; a StreamCodec (frpd.proto.wrappers)."""

    __slots__ = ("decode", "encode")

    def __init__(self, library: Library = LIBRARY) -> None:
        self.encode = DeflateEncoder(library).encode
        self.decode = DeflateDecoder(library).decode

    def finish(self) -> bytes:
        """Nothing tells the end."""
        return b""

    def receive_eof(self) -> None:
        """Any end may be the true one."""
