"""Sealed records: libsodium's secretstream (XChaCha20-Poly1305) on a byte stream.

Each direction has a key of its own (frpd.proto.seal_keys) and looks so:

    header (24 bytes) then records: u16 length of the box || box

The length is big-endian and authenticated as additional data; the box is 17
bytes longer than its plain text, of which there are at most 16 KiB. The tag of
a record is MESSAGE, or FINAL for the last one. Order, repetition, omission and
the end are all checked by the stream's state: what opens is what was sealed.

Control stream: the first record each way is empty ("finished") and proves the
key; the last is FINAL. Work and visitor streams: the first record carries one
message; if it is FINAL, raw bytes follow it, else sealed payload does. A
visitor's sealed payload needs the sk as well: there the first record is FINAL,
and a new stream of this shape, under a "pay" key, follows it.

libsodium draws the header itself: the one randomness that is not an argument.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from nacl import bindings as sodium
from nacl.exceptions import CryptoError

from frpd.errors import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

MAX_RECORD_BYTES: Final = 16384
"""Most plain bytes in one record."""

_State: TypeAlias = sodium.crypto_secretstream_xchacha20poly1305_state
_init_push = sodium.crypto_secretstream_xchacha20poly1305_init_push
_init_pull = sodium.crypto_secretstream_xchacha20poly1305_init_pull
_push = sodium.crypto_secretstream_xchacha20poly1305_push
_pull = sodium.crypto_secretstream_xchacha20poly1305_pull
_TAG_MESSAGE: Final = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_TAG_FINAL: Final = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL
_HEADER_BYTES: Final = sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES
_OVERHEAD_BYTES: Final = sodium.crypto_secretstream_xchacha20poly1305_ABYTES
_LENGTH = Struct(">H")
_LENGTH_BYTES: Final = 2


class RecordWriter:
    """One direction, outgoing.

    Args:
        key: 32 bytes, for this direction of this stream only.
    """

    __slots__ = ("_ended", "_key", "_state")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._state: _State | None = None  # many a stream never writes in this direction
        self._ended = False

    @property
    def started(self) -> bool:
        """Whether a record was written."""
        return self._state is not None

    @property
    def ended(self) -> bool:
        """Whether the last record was written."""
        return self._ended

    def write(self, data: Buffer, *, final: bool = False) -> bytes:
        """Return ``data`` as records, at least one, behind the header if they are the first.

        Args:
            data: may be empty, which makes an empty record.
            final: nothing sealed follows.

        Raises:
            LocalProtocolError: the last record was written before.
        """
        if self._ended:
            raise LocalProtocolError("seal: data behind the last record")
        self._ended = final
        parts = []
        state = self._state
        if state is None:
            state = self._state = _State()
            parts.append(_init_push(state, self._key))
            self._key = b""
        last = max(len(data) - 1, 0) // MAX_RECORD_BYTES * MAX_RECORD_BYTES
        for start in range(0, last + 1, MAX_RECORD_BYTES):
            plain = bytes(data[start : start + MAX_RECORD_BYTES])
            head = _LENGTH.pack(len(plain) + _OVERHEAD_BYTES)
            tag = _TAG_FINAL if final and start == last else _TAG_MESSAGE
            parts += (head, _push(state, plain, head, tag))
        return b"".join(parts)


class RecordReader:
    """One direction, incoming. After an error it stays failed.

    Feed with receive_data, then call next_record until it returns None, or
    stop at ``ended`` and take_rest: what follows is not sealed. So it never
    holds back more than one unfinished record.

    Args:
        key: 32 bytes, for this direction of this stream only.
        first_limit_bytes: most plain bytes of the first record, before which
            nobody has proved anything.
    """

    __slots__ = ("_ended", "_error", "_held", "_key", "_limit_bytes", "_state")

    def __init__(self, key: bytes, *, first_limit_bytes: int = MAX_RECORD_BYTES) -> None:
        self._key = key
        self._limit_bytes = first_limit_bytes
        self._state: _State | None = None
        self._held = bytearray()
        self._ended = False
        self._error: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the last record was opened."""
        return self._ended

    def receive_data(self, data: Buffer) -> None:
        """Add bytes; call next_record next. Ignored once the reader has failed."""
        if self._error is None:
            self._held += data

    def next_record(self) -> bytes | None:
        """Return the plain bytes of the next record, or None if more are needed.

        None as well behind the last record.

        Raises:
            RemoteProtocolError: a record is too long, or is not the one that
                the peer sealed at this place; now or earlier.
        """
        if self._error is not None:
            raise RemoteProtocolError(self._error)
        state = self._state or self._start()
        held = self._held
        if state is None or self._ended or len(held) < _LENGTH_BYTES:
            return None
        head = bytes(held[:_LENGTH_BYTES])
        (length,) = _LENGTH.unpack(head)
        if not 0 <= length - _OVERHEAD_BYTES <= self._limit_bytes:
            self._fail(f"record of {length} bytes")
        end = _LENGTH_BYTES + length
        if len(held) < end:
            return None
        with memoryview(held) as view:
            box = bytes(view[_LENGTH_BYTES:end])
        del held[:end]
        return self._open(state, box, head)

    def take_rest(self) -> bytes:
        """Remove and return the bytes behind the last record; b"" after an error."""
        rest = bytes(self._held)
        self._held.clear()
        return rest

    def refuse_rest(self) -> None:
        """Check, after the last next_record, that nothing follows the last record.

        Raises:
            RemoteProtocolError: something does.
        """
        if self._ended and self._held:
            self._fail("data behind the last record")

    def receive_eof(self) -> None:
        """Check, after the last next_record, that the peer ended the stream itself.

        Raises:
            RemoteProtocolError: the stream was cut short, or failed earlier.
        """
        if self._error is not None:
            raise RemoteProtocolError(self._error)
        if not self._ended:
            self._fail("the stream was cut short")

    def _start(self) -> _State | None:
        """Take the header if it is complete."""
        if len(self._held) < _HEADER_BYTES:
            return None
        self._state = state = _State()
        _init_pull(state, bytes(self._held[:_HEADER_BYTES]), self._key)
        self._key = b""
        del self._held[:_HEADER_BYTES]
        return state

    def _open(self, state: _State, box: bytes, head: bytes) -> bytes:
        try:
            plain, tag = _pull(state, box, head)
        except CryptoError:
            self._fail("a record does not open")
        if tag == _TAG_FINAL:
            self._ended = True
        elif tag != _TAG_MESSAGE:
            self._fail(f"record with tag {tag}")
        self._limit_bytes = MAX_RECORD_BYTES
        return plain

    def _fail(self, reason: str) -> NoReturn:
        self._error = f"seal: {reason}"
        self._held = bytearray()
        raise RemoteProtocolError(self._error)


class SealedCodec:
    """Sealed payload in both directions; a StreamCodec (frpd.proto.wrappers).

    When our direction ends, send what ``finish`` returns; when the peer's has
    ended, call ``receive_eof``.

    Args:
        writer: maybe with a first record written.
        reader: maybe with a first record read.
    """

    __slots__ = ("_reader", "_writer")

    def __init__(self, writer: RecordWriter, reader: RecordReader) -> None:
        self._writer = writer
        self._reader = reader

    @property
    def ended(self) -> bool:
        """Whether the peer said that nothing follows."""
        return self._reader.ended

    def encode(self, data: Buffer) -> bytes:
        """Return ``data`` as records; b"" for b"".

        Raises:
            LocalProtocolError: after ``finish``.
        """
        return self._writer.write(data) if data else b""

    def decode(self, data: Buffer) -> bytes:
        """Return the plain bytes of all records that ``data`` completes, never more bytes.

        Raises:
            RemoteProtocolError: a record is forged, or stands where it does
                not belong; or something follows the last one.
        """
        reader = self._reader
        reader.receive_data(data)
        plain = []
        while (record := reader.next_record()) is not None:
            plain.append(record)
        reader.refuse_rest()
        return b"".join(plain)

    def finish(self) -> bytes:
        """Return the last record of our direction; b"" if it was written before."""
        return b"" if self._writer.ended else self._writer.write(b"", final=True)

    def receive_eof(self) -> None:
        """Check at the end of the peer's direction that it is the true one.

        Raises:
            RemoteProtocolError: the stream was cut short.
        """
        self._reader.receive_eof()


class StreamSeal:
    """Both directions of a work stream, while its first record is under way.

    Args:
        send_key: "str s2c" on the server, "str c2s" on the client.
        receive_key: the other one.
    """

    __slots__ = ("reader", "writer")

    def __init__(self, send_key: bytes, receive_key: bytes) -> None:
        self.writer = RecordWriter(send_key)
        self.reader = RecordReader(receive_key)

    def payload(self) -> SealedCodec:
        """Return what goes on where the first record stopped."""
        return SealedCodec(self.writer, self.reader)


class SealedControl(SealedCodec):
    """The control stream in both directions; a StreamCodec.

    The server sends ``start`` right behind its LoginResp, the client when it
    has read that. Neither believes the login before ``finished_received``.

    Args:
        send_key: "ctl s2c" on the server, "ctl c2s" on the client.
        receive_key: the other one.
    """

    __slots__ = ("_finished_received",)

    def __init__(self, send_key: bytes, receive_key: bytes) -> None:
        super().__init__(RecordWriter(send_key), RecordReader(receive_key, first_limit_bytes=0))
        self._finished_received = False

    @property
    def finished_received(self) -> bool:
        """Whether the peer has proved that it knows the token and saw the same login."""
        return self._finished_received

    def start(self) -> bytes:
        """Return header and finished; b"" if they were written before."""
        return b"" if self._writer.started else self._writer.write(b"")

    def encode(self, data: Buffer) -> bytes:
        """Return ``data`` as records, behind what ``start`` returns if that is due."""
        return self.start() + self._writer.write(data) if data else b""

    def decode(self, data: Buffer) -> bytes:
        """Return the plain bytes of all records that ``data`` completes.

        Raises:
            RemoteProtocolError: as SealedCodec.decode; a peer with another
                token or another view of the login fails in its first record.
        """
        if self._finished_received:
            return super().decode(data)
        self._reader.receive_data(data)
        if self._reader.next_record() is None:
            return b""
        self._finished_received = True
        return super().decode(b"")

    def finish(self) -> bytes:
        """Return the last record of our direction; b"" if it was written before."""
        return self.start() + super().finish()
