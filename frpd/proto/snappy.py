"""Snappy's framing format around python-snappy's block codec.

Source: framing_format.txt of google/snappy. Each encode gives complete chunks,
as Go frp's unbuffered writer does: a byte that waits would stall an
interactive protocol. The decoder believes no length before it has checked it.
There is no end marker: a stream may end after any chunk.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NoReturn

import snappy
from crc32c import crc32c

from frpd.errors import RemoteProtocolError

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

MAX_BLOCK_BYTES: Final = 65536
"""Most plain bytes in one chunk."""
MAX_CHUNK_BYTES: Final = 4 + 32 + MAX_BLOCK_BYTES + MAX_BLOCK_BYTES // 6
"""Most bytes behind a chunk's head: checksum and a block at its worst. Go refuses more as well."""

_IDENTIFIER: Final = b"\xff\x06\x00\x00sNaPpY"
_COMPRESSED: Final = 0x00
_UNCOMPRESSED: Final = 0x01
_LAST_UNSKIPPABLE: Final = 0x7F
_STREAM_IDENTIFIER: Final = 0xFF
_CHECKSUM_BYTES: Final = 4
_HEAD_BYTES: Final = 4
_HEAD = Struct("<I")  # type in the low byte, length in the other three
_HEAD_AND_CHECKSUM = Struct("<II")
_MAX_PREAMBLE_BYTES: Final = 5


def _masked_checksum(block: Buffer) -> int:
    crc: int = crc32c(block)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _chunk(block: Buffer) -> bytes:
    """Return one chunk; compressed only if that saves at least an eighth."""
    body: Buffer = snappy.compress(block)
    kind = _COMPRESSED
    if len(body) >= len(block) - len(block) // 8:
        kind, body = _UNCOMPRESSED, block
    head = kind | (len(body) + _CHECKSUM_BYTES) << 8
    return _HEAD_AND_CHECKSUM.pack(head, _masked_checksum(block)) + body


class SnappyEncoder:
    """One direction, outgoing."""

    __slots__ = ("_identifier",)

    def __init__(self) -> None:
        self._identifier = _IDENTIFIER

    def encode(self, data: Buffer) -> bytes:
        """Return ``data`` as complete chunks, behind the identifier if it is the first.

        Nothing gives nothing, not even the identifier.
        """
        if not data:
            return b""
        chunks = [self._identifier]
        self._identifier = b""
        with memoryview(data) as view:
            for start in range(0, len(view), MAX_BLOCK_BYTES):
                with view[start : start + MAX_BLOCK_BYTES] as block:
                    chunks.append(_chunk(block))
        return b"".join(chunks)


class SnappyDecoder:
    """One direction, incoming. After an error it stays failed.

    Holds back at most one unfinished chunk (MAX_CHUNK_BYTES and its head).
    """

    __slots__ = ("_error", "_held", "_identified", "_needed")

    def __init__(self) -> None:
        self._held = bytearray()
        self._needed = _HEAD_BYTES
        self._identified = False
        self._error: str | None = None

    def decode(self, data: Buffer) -> bytes:
        """Return the plain bytes of all chunks that ``data`` completes.

        However hostile the input, the output is at most 22 times as long as
        ``data`` and what was held back before it: no element of a block yields
        more than 64 bytes for 3.

        Raises:
            RemoteProtocolError: the stream is not snappy, or a chunk is
                damaged or too long; now or earlier.
        """
        if self._error is not None:
            raise RemoteProtocolError(self._error)
        held = self._held
        held += data
        if len(held) < self._needed:
            return b""
        blocks: list[Buffer] = []
        with memoryview(held) as view:
            position = self._decode_chunks(view, blocks)
        del held[:position]
        return b"".join(blocks)

    def _decode_chunks(self, view: memoryview, blocks: list[Buffer]) -> int:
        """Append the plain blocks of all whole chunks; return where they end."""
        position = 0
        while len(view) - position >= _HEAD_BYTES:
            (head,) = _HEAD.unpack_from(view, position)
            kind, length = head & 0xFF, head >> 8
            self._check_head(kind, length)
            end = position + _HEAD_BYTES + length
            if end > len(view):
                self._needed = end - position
                return position
            if kind <= _UNCOMPRESSED:
                blocks.append(self._block(kind, view[position + _HEAD_BYTES : end]))
            elif kind == _STREAM_IDENTIFIER and bytes(view[position:end]) != _IDENTIFIER:
                self._fail("wrong stream identifier")
            position = end
        self._needed = _HEAD_BYTES
        return position

    def _check_head(self, kind: int, length: int) -> None:
        if not self._identified:
            if kind != _STREAM_IDENTIFIER:
                self._fail("no stream identifier")
            self._identified = True
        if length > MAX_CHUNK_BYTES:
            self._fail(f"chunk of {length} bytes")
        if kind <= _UNCOMPRESSED:
            if length < _CHECKSUM_BYTES:
                self._fail("chunk without a checksum")
            if kind == _UNCOMPRESSED and length > _CHECKSUM_BYTES + MAX_BLOCK_BYTES:
                self._fail(f"uncompressed chunk of {length} bytes")
        elif kind <= _LAST_UNSKIPPABLE:
            self._fail(f"unknown chunk type 0x{kind:02x}")

    def _block(self, kind: int, body: memoryview) -> bytes:
        """Return the plain block of a data chunk whose head was checked."""
        if kind == _UNCOMPRESSED:
            block = bytes(body[_CHECKSUM_BYTES:])
        else:
            self._check_preamble(body[_CHECKSUM_BYTES : _CHECKSUM_BYTES + _MAX_PREAMBLE_BYTES])
            try:
                block = snappy.uncompress(body[_CHECKSUM_BYTES:])
            except snappy.UncompressError:
                self._fail("damaged block")
        if _masked_checksum(block) != _HEAD.unpack_from(body)[0]:
            self._fail("wrong checksum")
        return block

    def _check_preamble(self, preamble: memoryview) -> None:
        """Check the block's own statement of its plain length, a little-endian varint."""
        plain_bytes = 0
        for index, byte in enumerate(preamble):
            plain_bytes |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                if plain_bytes > MAX_BLOCK_BYTES:
                    self._fail(f"block of {plain_bytes} plain bytes")
                return
        self._fail("block without a length")

    def _fail(self, reason: str) -> NoReturn:
        self._error = f"snappy: {reason}"
        self._held = bytearray()
        raise RemoteProtocolError(self._error)
