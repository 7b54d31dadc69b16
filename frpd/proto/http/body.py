"""How a body is framed: how many of the next bytes belong to it. RFC 9112 sections 6 and 7.

A tracker never holds payload and changes nothing: the bytes that it counts go
on verbatim, framing included. Payload whose length is known may pass unseen
(spliced) and is only reported. Chunked framing is read more strictly than the
RFC asks for, since the one behind us reads it again: no white space beside a
chunk size, extensions by the grammar and bounded, CRLF only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from frpd.errors import LocalProtocolError
from frpd.proto.http.errors import HttpError
from frpd.proto.http.fields import TCHAR, parse_fields

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

MAX_EXTENSION_BYTES: Final = 256
"""Most bytes of extensions behind one chunk size."""
MAX_EXTENSIONS_BYTES: Final = 16 * 1024
"""Most bytes of extensions in one body; see CVE-2023-39326 and CVE-2024-22019."""
MAX_TRAILER_BYTES: Final = 8 * 1024
"""Most bytes of trailer fields."""
MAX_TRAILER_FIELDS: Final = 32
"""Most trailer fields."""
ENDLESS: Final = 1 << 62
"""What opaque() says of a body that lasts until its connection closes."""

# What a trailer must not change: framing, routing, authentication (RFC 9110 6.5.1).
FORBIDDEN_TRAILERS: Final = frozenset(
    {
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
    }
)

MAX_SIZE: Final = (1 << 63) - 1
"""Greatest length: those behind us count with 64 bits and a sign."""
_MAX_SIZE_DIGITS: Final = 16
_MAX_LINE_BYTES: Final = 2 + _MAX_SIZE_DIGITS + MAX_EXTENSION_BYTES + 2
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*"'
_EXTENSIONS = rf"(?:;{TCHAR}++(?:=(?:{TCHAR}++|{_QUOTED}))?)*"
_SIZE_LINE = rf"([0-9A-Fa-f]{{1,{_MAX_SIZE_DIGITS}}}+)({_EXTENSIONS})\r\n"
_SIZE_LINE_BEGUN = rf"(?:[0-9A-Fa-f]{{1,{_MAX_SIZE_DIGITS}}}+(?:;[\t\x20-\x7e]*+)?\r?)?"
# Beside a whole line stands what an unfinished one may look like, to refuse others at once.
_FIRST_SIZE = re.compile(_SIZE_LINE.encode())
_FIRST_SIZE_BEGUN = re.compile(_SIZE_LINE_BEGUN.encode())
_NEXT_SIZE = re.compile(rf"\r\n{_SIZE_LINE}".encode())
_NEXT_SIZE_BEGUN = re.compile(rf"\r(?:\n{_SIZE_LINE_BEGUN})?".encode())
_PLAIN_NEXT = re.compile(rb"\r\n([1-9a-fA-F][0-9A-Fa-f]{0,14})\r\n").match
_TRAILER_LINE = re.compile(rb"[^\r\n]*+\r\n")
_TRAILER_LINE_BEGUN = re.compile(rb"[\t\x20-\x7e\x80-\xff]*+\r?+")


class Framing(Protocol):
    """Where a body ends. One for each message; after an HttpError it is of no more use."""

    over: bool
    """The body is complete."""

    def opaque(self) -> int:
        """Return how many of the next bytes are pure payload; 0: they must be shown to take()."""
        ...

    def passed(self, nbytes: int) -> None:
        """Count ``nbytes`` of payload that went by unseen: at most opaque()."""
        ...

    def take(self, data: Buffer) -> int:
        """Return how many leading bytes of ``data`` belong to this body, framing included.

        Raises:
            HttpError: 400, the chunks are malformed.
        """
        ...

    def eof(self) -> None:
        """The source has ended.

        Raises:
            HttpError: 400, the body is not complete.
        """
        ...


class NoBody:
    """A message without content."""

    __slots__ = ("over",)

    def __init__(self) -> None:
        self.over = True

    def opaque(self) -> int:
        """See Framing."""
        return 0

    def passed(self, nbytes: int) -> None:
        """See Framing."""
        if nbytes:
            raise LocalProtocolError("payload of a message that has none")

    def take(self, data: Buffer) -> int:
        """See Framing."""
        del data
        return 0

    def eof(self) -> None:
        """See Framing."""


class FixedBody:
    """Content-Length bytes."""

    __slots__ = ("_left", "over")

    def __init__(self, nbytes: int) -> None:
        self._left = nbytes
        self.over = not nbytes

    def opaque(self) -> int:
        """See Framing."""
        return self._left

    def passed(self, nbytes: int) -> None:
        """See Framing."""
        if nbytes > self._left:
            raise LocalProtocolError("more payload than the message has")
        self._left -= nbytes
        self.over = not self._left

    def take(self, data: Buffer) -> int:
        """See Framing."""
        taken = min(self._left, len(data))
        self._left -= taken
        self.over = not self._left
        return taken

    def eof(self) -> None:
        """See Framing."""
        if self._left:
            raise HttpError(400, "body cut short")


class UntilClose:
    """All bytes until the connection closes: responses only."""

    __slots__ = ("over",)

    def __init__(self) -> None:
        self.over = False

    def opaque(self) -> int:
        """See Framing."""
        return 0 if self.over else ENDLESS

    def passed(self, nbytes: int) -> None:
        """See Framing."""
        if nbytes and self.over:
            raise LocalProtocolError("payload after the end")

    def take(self, data: Buffer) -> int:
        """See Framing."""
        return 0 if self.over else len(data)

    def eof(self) -> None:
        """See Framing."""
        self.over = True


class ChunkedBody:
    """Chunks and trailers. Holds at most one unfinished framing line."""

    __slots__ = (
        "_begun",
        "_extension_room",
        "_held",
        "_left",
        "_line",
        "_line_room",
        "_trailer_fields",
        "_trailer_room",
        "over",
    )

    def __init__(self) -> None:
        self._left = 0  # payload of the chunk under way
        self.over = False
        self._line = _FIRST_SIZE  # the framing that comes next,
        self._begun = _FIRST_SIZE_BEGUN  # how it may begin,
        self._line_room = _MAX_LINE_BYTES  # how long it may be,
        self._held = b""  # and what of it has come
        self._extension_room = MAX_EXTENSIONS_BYTES
        self._trailer_room = MAX_TRAILER_BYTES
        self._trailer_fields = 0

    def opaque(self) -> int:
        """See Framing."""
        return self._left

    def passed(self, nbytes: int) -> None:
        """See Framing."""
        if nbytes > self._left:
            raise LocalProtocolError("more payload than the chunk has")
        self._left -= nbytes

    def take(self, data: Buffer) -> int:
        """See Framing."""
        position, end = 0, len(data)
        while position < end and not self.over:
            left = self._left
            # What take_line() does with most chunks, without its calls. A chunk that reaches
            # beyond the data may be longer than a position can be.
            while 0 < left < end - position and (match := _PLAIN_NEXT(data, position + left)):
                position = match.end()
                left = int(match[1], 16)
            step = min(left, end - position)
            position += step
            self._left = left - step
            if position < end:
                position = self.take_line(data, position)
        return position

    def take_line(self, data: Buffer, position: int) -> int:
        """Read one line of framing at ``position``; return where it, or ``data``, ends.

        Only when opaque() is 0 and the body is not over.
        """
        if self._held:
            return self._take_held(data, position)
        match = self._line.match(data, position)
        if match is None:
            self._hold(bytes(data[position : position + self._line_room + 1]))
            return len(data)
        self._line_read(match)
        return match.end()

    def eof(self) -> None:
        """See Framing."""
        if not self.over:
            raise HttpError(400, "chunked body cut short")

    def _take_held(self, data: Buffer, position: int) -> int:
        held = self._held
        line = held + bytes(data[position : position + self._line_room])
        match = self._line.match(line)
        if match is None:
            self._hold(line)
            return len(data)
        self._held = b""
        self._line_read(match)
        return position + match.end() - len(held)

    def _hold(self, line: bytes) -> None:
        """Keep a line that has not ended, if it can still become one."""
        if len(line) >= self._line_room or not self._begun.fullmatch(line):
            self._fail(
                "malformed chunk" if self._line is not _TRAILER_LINE else "malformed trailer"
            )
        self._held = line

    def _line_read(self, match: re.Match[bytes]) -> None:
        if self._line is _TRAILER_LINE:
            self._trailer_read(match[0])
            return
        extensions = len(match[2])
        if extensions:
            self._extension_room -= extensions
            if extensions > MAX_EXTENSION_BYTES or self._extension_room < 0:
                self._fail("too long chunk extensions")
        size = int(match[1], 16)
        if size > MAX_SIZE:
            self._fail("chunk size overflows")
        self._left = size
        if size:
            self._line, self._begun = _NEXT_SIZE, _NEXT_SIZE_BEGUN
        else:
            self._line, self._begun = _TRAILER_LINE, _TRAILER_LINE_BEGUN
            self._line_room = MAX_TRAILER_BYTES

    def _trailer_read(self, line: bytes) -> None:
        if line == b"\r\n":
            self.over = True
            return
        self._trailer_room -= len(line)
        self._trailer_fields += 1
        if self._trailer_room < 0 or self._trailer_fields > MAX_TRAILER_FIELDS:
            self._fail("too many trailers")
        ((name, _),) = parse_fields(f"\n{line.decode('latin-1')}\r\n", 1, 1)
        if name.lower() in FORBIDDEN_TRAILERS:
            self._fail("forbidden trailer")

    def _fail(self, reason: str) -> NoReturn:
        raise HttpError(400, reason)


class Dechunker:
    """Payload out of chunks, for a visitor who cannot read them. Trailers are dropped."""

    __slots__ = ("_body",)

    def __init__(self) -> None:
        self._body = ChunkedBody()

    @property
    def over(self) -> bool:
        """The body is complete."""
        return self._body.over

    def feed(self, data: Buffer) -> bytes:
        """Return the payload in ``data``; what lies behind the body's end is left out.

        Raises:
            HttpError: 400, the chunks are malformed.
        """
        body = self._body
        pieces = []
        position, end = 0, len(data)
        while position < end and not body.over:
            if length := min(body.opaque(), end - position):
                pieces.append(data[position : position + length])
                body.passed(length)
                position += length
            else:
                position = body.take_line(data, position)
        return b"".join(pieces)

    def eof(self) -> None:
        """The source has ended.

        Raises:
            HttpError: 400, the body is not complete.
        """
        self._body.eof()
