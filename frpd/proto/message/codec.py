"""Messages to frames and back: type byte, signed 64-bit length, JSON body.

As tolerant as Go's decoder (frp pkg/msg, golib msg/json): unknown names are
ignored, missing ones are zero, null is allowed, names match in any case, the
last duplicate wins. Bounded in everything: the type is checked before the
length, the length before anything is kept for it. Knows no encryption: the
caller decrypts what it feeds, and takes the rest out where that begins.
"""

from __future__ import annotations

import json
from struct import Struct
from typing import TYPE_CHECKING, Final, NoReturn

from frpd.errors import LocalProtocolError, RemoteProtocolError
from frpd.proto.buffer import Buffer, ReceiveBuffer
from frpd.proto.message.fields import RECORDS, Record, WrongTypeError

if TYPE_CHECKING:
    from frpd.proto.message.types import Message

MAX_BODY_BYTES: Final = 10240
"""Every frp refuses longer bodies."""

_HEADER = Struct(">Bq")
_BUFFER_LIMIT_BYTES: Final = 4 * 1024 * 1024
"""One unfinished message and the largest read of a caller that drains; see receive_data."""
_MAX_DIGITS: Final = 20
"""Of a 64-bit integer with its sign."""


def encode_message(message: Message) -> bytes:
    """Return the frame of ``message``, without its zero values.

    Raises:
        LocalProtocolError: the body would be longer than peers accept, or a
            text in it cannot be written as UTF-8.
    """
    try:
        body = RECORDS[message.TYPE].write(message).encode()
    except UnicodeEncodeError:
        raise LocalProtocolError(f"{_name(message)} holds text that is not Unicode") from None
    if len(body) > MAX_BODY_BYTES:
        raise LocalProtocolError(
            f"{_name(message)} of {len(body)} bytes; a peer takes {MAX_BODY_BYTES}"
        )
    return _HEADER.pack(message.TYPE, len(body)) + body


def decode_message(frame: bytes) -> Message:
    """Return the message that ``frame`` is, no more and no less.

    Raises:
        RemoteProtocolError: it is none, or not just one.
    """
    body_bytes = len(frame) - _HEADER.size
    record = RECORDS.get(frame[0]) if 0 <= body_bytes <= MAX_BODY_BYTES else None
    if record is None or _HEADER.unpack_from(frame)[1] != body_bytes:
        raise RemoteProtocolError("not one message of a known type")
    message: Message = record.cls()
    try:
        _read_body(frame[_HEADER.size :], record, message)
    except (WrongTypeError, ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"{_name(message)}: {_reason(error)}") from None
    return message


def message_text(message: Message) -> str:
    """Return the JSON of ``message`` alone, without its zero values."""
    return RECORDS[message.TYPE].write(message)


def read_text(text: str, into: Message) -> None:
    """Set the fields that JSON ``text`` names.

    Raises:
        RemoteProtocolError: it is no object, or a value does not fit.
    """
    try:
        _read_body(text.encode("utf-8", "replace"), RECORDS[into.TYPE], into)
    except (WrongTypeError, ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"{_name(into)}: {_reason(error)}") from None


class MessageDecoder:
    """Cuts a byte stream into messages.

    Feed with receive_data, then call next_message until it returns None, or
    stop after any message and take_rest: what follows belongs to someone else
    (a cipher, a relay). After an error the decoder stays failed.
    """

    __slots__ = ("_body_bytes", "_buffer", "_error", "_last", "_record")

    def __init__(self) -> None:
        self._buffer = ReceiveBuffer(_BUFFER_LIMIT_BYTES)
        self._record: Record | None = None
        self._body_bytes = 0
        self._error: str | None = None
        self._last: tuple[int, bytes] | None = None

    @property
    def last_frame(self) -> bytes:
        """The frame of the last message, as it came; b"" before the first."""
        if self._last is None:
            return b""
        kind, body = self._last
        return _HEADER.pack(kind, len(body)) + body

    def receive_data(self, data: Buffer) -> None:
        """Add bytes; call next_message next. Ignored once the decoder has failed.

        Raises:
            LimitError: the caller let 4 MiB pile up without next_message.
        """
        if self._error is None:
            self._buffer.extend(data)

    def receive_eof(self) -> None:
        """Check, after the last next_message, that the stream ended between messages.

        Raises:
            RemoteProtocolError: it ended inside one.
        """
        if self._record is not None or self._buffer:
            self._fail("stream ends inside a message")

    def next_message(self) -> Message | None:
        """Return the next message, or None if more bytes are needed.

        A body of ``null`` is a message with all fields zero.

        Raises:
            RemoteProtocolError: the peer sent something illegal, now or earlier.
        """
        record = self._record
        if record is None:
            record = self._read_header()
            if record is None:
                return None
        if len(self._buffer) < self._body_bytes:
            return None
        self._record = None
        message: Message = record.cls()
        body = self._buffer.take(self._body_bytes)
        self._last = (record.cls.TYPE, body)
        try:
            _read_body(body, record, message)
        except (WrongTypeError, ValueError, RecursionError) as error:
            self._fail(f"{_name(message)}: {_reason(error)}")
        return message

    def take_rest(self) -> bytes:
        """Remove and return the bytes behind the last message; b"" after an error."""
        if self._record is None:
            return self._buffer.take_all()
        header = _HEADER.pack(self._record.cls.TYPE, self._body_bytes)
        self._record = None
        return header + self._buffer.take_all()

    def _read_header(self) -> Record | None:
        if self._error is not None:
            raise RemoteProtocolError(self._error)
        header = self._buffer.peek(_HEADER.size)
        if not header:
            return None
        record = RECORDS.get(header[0])
        if record is None:
            self._fail(f"unknown message type 0x{header[0]:02x}")
        if len(header) < _HEADER.size:
            return None
        length = _HEADER.unpack(header)[1]
        if not 0 <= length <= MAX_BODY_BYTES:
            self._fail(f"{record.cls.__name__}: message length {length} is not allowed")
        self._buffer.take(_HEADER.size)
        self._record = record
        self._body_bytes = length
        return record

    def _fail(self, reason: str) -> NoReturn:
        self._error = reason
        self._record = None
        self._buffer.take_all()
        raise RemoteProtocolError(reason)


def _read_body(body: bytes, record: Record, message: Message) -> None:
    # Bytes that are not UTF-8 become the replacement character, as in Go.
    value = _parse(body.decode("utf-8", "replace"))
    if type(value) is tuple:
        record.read(value, message)
    elif value is not None:
        raise WrongTypeError("body is not an object")


def _parse_int(digits: str) -> int | float:
    """Return the integer, or infinity (no field takes it) for more than 64 bits."""
    return int(digits) if len(digits) <= _MAX_DIGITS else float("inf")


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which are not JSON."""
    raise ValueError(name)


_parse = json.JSONDecoder(
    object_pairs_hook=tuple,
    parse_int=_parse_int,
    parse_constant=_refuse_constant,
).decode


def _reason(error: Exception) -> str:
    if isinstance(error, WrongTypeError):
        return str(error)
    if isinstance(error, RecursionError):
        return "body is nested too deeply"
    return "body is not JSON"


def _name(message: Message) -> str:
    return type(message).__name__
