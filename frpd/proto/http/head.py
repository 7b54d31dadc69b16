"""Heads of HTTP/1 messages, read strictly and only once. RFC 9112 sections 2 to 6.

What is derived here (host, path, framing, connection options) is all that
routing, authentication and relaying go by: nobody reads the text a second time.
Where the RFC lets a recipient repair a message, we refuse it, since the service
behind us might repair it otherwise. What is allowed nevertheless:

- up to MAX_EMPTY_LINES empty lines before a request line (RFC 9112 2.2);
- obs-text in field values and reason phrases, as browsers and servers send it;
- in targets all visible ASCII but "#", as browsers leave ``|`` or ``"`` bare;
- responses without a reason phrase, also without the space before it;
- status codes from 100 to 999; Content-Length beside 204, 304 and HEAD.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from frpd.proto.http.body import MAX_SIZE, ChunkedBody, FixedBody, NoBody, UntilClose
from frpd.proto.http.errors import HttpError
from frpd.proto.http.fields import TCHAR, VCHAR, is_token, parse_fields, split_list

if TYPE_CHECKING:
    from frpd.proto.http.body import Framing
    from frpd.proto.http.fields import Fields

HEAD_BYTES: Final = 32 * 1024
"""Most bytes of a head. nginx has 4 times 8 KiB, Node.js 16 KiB, Apache 8 KiB a line."""
START_LINE_BYTES: Final = 8 * 1024
"""Most bytes of a request or status line. RFC 9112 asks for 8000 at least."""
FIELD_COUNT: Final = 100
"""Most fields of a head, as in Apache."""
MAX_EMPTY_LINES: Final = 4
"""Most empty lines before a request line."""
MAX_PORT: Final = 65535
MAX_LENGTH_DIGITS: Final = 19

Version: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a head."""

    head_bytes: int = HEAD_BYTES
    start_line_bytes: int = START_LINE_BYTES
    field_count: int = FIELD_COUNT


DEFAULT_LIMITS: Final = Limits()


class Form(Enum):
    """What a request target looks like. RFC 9112 3.2."""

    ORIGIN = "origin"
    ABSOLUTE = "absolute"
    AUTHORITY = "authority"
    ASTERISK = "asterisk"


@dataclass(slots=True, eq=False)
class _Head:
    version: Version
    fields: Fields
    """Names as sent, values without the white space around them, in order; latin-1."""
    names: list[str]
    """The fields' names in lower case, in the same order."""
    options: frozenset[str]
    """What Connection lists, in lower case."""
    wants_close: bool
    """No other message will follow on this connection."""
    chunked: bool
    content_length: int | None

    def get(self, name: str) -> str | None:
        """Return the first value of the field ``name``, given in any case."""
        name = name.lower()
        return self.fields[self.names.index(name)][1] if name in self.names else None

    def get_all(self, name: str) -> list[str]:
        """Return the values of all fields ``name``, given in any case."""
        name = name.lower()
        if (count := self.names.count(name)) < 2:
            return [self.fields[self.names.index(name)][1]] if count else []
        return [field[1] for own, field in zip(self.names, self.fields, strict=True) if own == name]


@dataclass(slots=True, eq=False)
class RequestHead(_Head):
    """A request as parse_request() found it."""

    method: str
    target: str
    """As sent."""
    form: Form
    host: str
    """The authority as sent: that of the target if it has one, or Host; "" if there is none."""
    path: str
    """For routing, as in frp: no query, percent-decoded, as UTF-8. "*", or "" for CONNECT."""
    body: Framing
    """Fresh."""
    expects_continue: bool
    upgrade: str
    """What Upgrade offers if Connection lists it, without h2c, or ""."""


@dataclass(slots=True, eq=False)
class ResponseHead(_Head):
    """A response as parse_response() found it; response_framing() knows its body."""

    status: int
    reason: str


_EMPTY = rf"(?:\r\n){{0,{MAX_EMPTY_LINES}}}"
_TARGET = r"[\x21\x22\x24-\x7e]"
_REQUEST_LINE = re.compile(rf"{_EMPTY}({TCHAR}++) ({_TARGET}++) HTTP/1\.([01])\r\n")
_STATUS_LINE = re.compile(rf"HTTP/1\.([01]) ([1-9][0-9]{{2}})(?: ({VCHAR}*+))?\r\n")
_OTHER_VERSION = re.compile(rf"{_EMPTY}{TCHAR}++ {_TARGET}++ HTTP/[0-9]\.[0-9]\r\n")
_EMPTY_LINES = re.compile(rb"(?:\r\n)*")
# A line end may still be under way at the end of what has come.
_GARBAGE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n|\Z)|(?<!\r)\n")

# A name or a bracketed IPv6 literal. What RFC 3986 allows beyond names that anyone
# resolves (sub-delims, percent-encoding, IPvFuture) is refused; UTF-8 is for host.py.
_NAME = r"(?:[0-9A-Za-z._~\-\x80-\xff]++|\[[0-9A-Fa-f:.]{2,45}+\])"
_AUTHORITY = re.compile(rf"{_NAME}(?::([0-9]{{0,5}}+))?")
_ABSOLUTE = re.compile(r"https?://([^/?]++)(/[^?]*+)?(\?.*+)?", re.IGNORECASE | re.ASCII)
_DIGITS = re.compile(rf"[0-9]{{1,{MAX_LENGTH_DIGITS}}}")
_PROTOCOL = re.compile(rf"{TCHAR}++(?:/{TCHAR}++)?")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")

_NO_OPTIONS: Final[frozenset[str]] = frozenset()
# What nearly every Connection field says, as it is spelled: nothing to take apart.
_USUAL_OPTIONS: Final = {
    value: frozenset((value.lower(),))
    for value in ("close", "Close", "keep-alive", "Keep-Alive", "upgrade", "Upgrade")
}
_SPECIAL: Final = frozenset(
    {"connection", "content-length", "expect", "transfer-encoding", "upgrade"}
)


def head_end(
    buffer: bytes | bytearray, searched_from: int = 0, limits: Limits = DEFAULT_LIMITS
) -> int:
    """Return the length of the head at the front of ``buffer``, or 0: it has not all come.

    Args:
        buffer: all that has come; leading empty lines count as part of the head.
        searched_from: how long ``buffer`` was at the last call for this head.
        limits: its bounds.

    Raises:
        HttpError: 431 or 414, too long; 400 or 505, what has come cannot become a head.
    """
    start = 0
    if buffer.startswith(b"\r\n"):
        start = _skip_empty_lines(buffer)
    end = buffer.find(b"\r\n\r\n", max(start, searched_from - 3))
    if end >= 0:
        if end + 4 - start > limits.head_bytes:
            raise HttpError(431, "head too long")
        return end + 4
    _check_unfinished(buffer, start, searched_from, limits)
    return 0


def parse_request(head: bytes | bytearray, limits: Limits = DEFAULT_LIMITS) -> RequestHead:
    """Read a request's head: all bytes up to head_end().

    Raises:
        HttpError: 400, 414, 417, 431, 501 or 505.
    """
    text = str(head, "latin-1")
    match = _REQUEST_LINE.match(text)
    if match is None or match.end() - match.start(1) > limits.start_line_bytes:
        _refuse_request_line(text, limits)
    method, target, minor = match.groups()
    version = (1, 1) if minor == "1" else (1, 0)
    fields = parse_fields(text, match.end(), limits.field_count)
    names = [name.lower() for name, _ in fields]
    form, host, path = _parse_target(method, target)
    own_host = _host_field(fields, names, version)
    special = _SPECIAL.intersection(names)
    # By position, here and in parse_response(): names would cost as much as the object.
    result = RequestHead(
        version, fields, names, _NO_OPTIONS, minor == "0", False, None,
        method, target, form, own_host if host is None else host, path, _NO_BODY, False, "",
    )  # fmt: skip
    if special:
        _read_request_fields(result, special)
    return result


def parse_response(head: bytes | bytearray, limits: Limits = DEFAULT_LIMITS) -> ResponseHead:
    """Read a response's head: all bytes up to head_end().

    Raises:
        HttpError: 502, whatever is wrong with it.
    """
    text = str(head, "latin-1")
    match = _STATUS_LINE.match(text)
    if match is None or match.end() > limits.start_line_bytes:
        raise HttpError(502, "bad status line")
    try:
        fields = parse_fields(text, match.end(), limits.field_count)
        names = [name.lower() for name, _ in fields]
        minor, status, reason = match.groups("")
        version = (1, 1) if minor == "1" else (1, 0)
        result = ResponseHead(
            version, fields, names, _NO_OPTIONS, minor == "0", False, None, int(status), reason
        )  # fmt: skip
        special = _SPECIAL.intersection(names)
        if special:
            _read_common_fields(result, special)
    except HttpError as error:
        raise HttpError(502, error.reason) from error
    return result


def response_framing(response: ResponseHead, method: str) -> Framing:
    """Return the fresh framing of ``response`` to a request with ``method``. RFC 9112 6.3."""
    status = response.status
    if method == "HEAD" or status < 200 or status in (204, 304):
        return _NO_BODY
    if method == "CONNECT" and status < 300:
        return _NO_BODY
    if response.chunked:
        return ChunkedBody()
    if response.content_length is not None:
        return FixedBody(response.content_length)
    return UntilClose()


# NoBody has no state.
_NO_BODY: Final = NoBody()


def _skip_empty_lines(buffer: bytes | bytearray) -> int:
    match = _EMPTY_LINES.match(buffer)
    assert match is not None
    if match.end() > 2 * MAX_EMPTY_LINES:
        raise HttpError(400, "empty lines instead of a request")
    return match.end()


def _check_unfinished(
    buffer: bytes | bytearray, start: int, searched_from: int, limits: Limits
) -> None:
    """Refuse what has come of a head if no more of it is needed for that."""
    if _GARBAGE.search(buffer, max(start, searched_from - 1)):
        raise HttpError(400, "control character or bare line end")
    line_end = buffer.find(b"\r\n", start, start + limits.start_line_bytes)
    if line_end < 0:
        if len(buffer) - start >= limits.start_line_bytes:
            raise HttpError(414, "start line too long")
    elif searched_from < line_end + 2:
        line = str(buffer[start : line_end + 2], "latin-1")
        if not (_REQUEST_LINE.match(line) or _STATUS_LINE.match(line)):
            _refuse_request_line(line, limits)
    if len(buffer) - start >= limits.head_bytes:
        raise HttpError(431, "head too long")


def _refuse_request_line(text: str, limits: Limits) -> NoReturn:
    start = len(text) - len(text.lstrip("\r\n"))
    if text.find("\r\n", start, start + limits.start_line_bytes) < 0:
        raise HttpError(414, "request line too long")
    if _OTHER_VERSION.match(text):
        raise HttpError(505, "neither HTTP/1.0 nor HTTP/1.1")
    raise HttpError(400, "bad request line")


def _parse_target(method: str, target: str) -> tuple[Form, str | None, str]:
    """Return form, authority (None: it is left to Host) and path."""
    if method == "CONNECT":
        _check_authority(target, port_needed=True)
        return Form.AUTHORITY, target, ""
    if target[0] == "/":
        path = target.partition("?")[0]
        return Form.ORIGIN, None, _decoded(path) if "%" in path else path
    if target == "*":
        if method != "OPTIONS":
            raise HttpError(400, "asterisk without OPTIONS")
        return Form.ASTERISK, None, "*"
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise HttpError(400, "bad request target")
    _check_authority(match[1])
    if match[2] is None and match[3] is None and method == "OPTIONS":
        return Form.ABSOLUTE, match[1], "*"
    return Form.ABSOLUTE, match[1], _decoded(match[2] or "/")


def _decoded(path: str) -> str:
    if "%" not in path:
        return path
    return _ESCAPE.sub(_decoded_byte, path.encode("ascii")).decode("utf-8", "replace")


def _decoded_byte(match: re.Match[bytes]) -> bytes:
    if match[1] is None or match[1] == b"00":
        raise HttpError(400, "bad escape in the path")
    return bytes((int(match[1], 16),))


def _check_authority(authority: str, *, port_needed: bool = False) -> None:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise HttpError(400, "bad host")
    port = match[1]
    if port and int(port) > MAX_PORT:
        raise HttpError(400, "bad port")
    if port_needed and not (port and int(port)):
        raise HttpError(400, "no port")


def _host_field(fields: Fields, names: list[str], version: Version) -> str:
    count = names.count("host")
    if count > 1:
        raise HttpError(400, "more than one Host")
    if not count:
        if version == (1, 1):
            raise HttpError(400, "no Host")
        return ""
    host = fields[names.index("host")][1]
    if host:
        _check_authority(host)
    return host


def _read_common_fields(head: _Head, special: frozenset[str]) -> None:
    """Set connection options and framing."""
    if "connection" in special:
        values = head.get_all("connection")
        usual = _USUAL_OPTIONS.get(values[0]) if len(values) == 1 else None
        head.options = options = usual or frozenset(map(str.lower, split_list(values)))
        old = head.version == (1, 0)
        head.wants_close = "close" in options or (old and "keep-alive" not in options)
    length = "content-length" in special
    if "transfer-encoding" in special:
        if length:
            raise HttpError(400, "both Content-Length and Transfer-Encoding")
        if head.version == (1, 0):
            raise HttpError(400, "Transfer-Encoding in HTTP/1.0")
        _check_codings(head.get_all("transfer-encoding"))
        head.chunked = True
    elif length:
        head.content_length = _length(head.get_all("content-length"))


def _check_codings(values: list[str]) -> None:
    """Accept nothing but ``chunked``, once. RFC 9112 6.1."""
    if len(values) == 1 and values[0].lower() == "chunked":
        return
    codings = [coding.lower() for coding in split_list(values)]
    if not codings or not all(map(is_token, codings)) or "chunked" in codings[:-1]:
        raise HttpError(400, "bad Transfer-Encoding")
    if codings == ["chunked"]:
        raise HttpError(400, "empty element in Transfer-Encoding")
    raise HttpError(501, "unknown transfer coding")


def _length(values: list[str]) -> int:
    if len(values) > 1:
        raise HttpError(400, "more than one Content-Length")
    if not _DIGITS.fullmatch(values[0]) or (length := int(values[0])) > MAX_SIZE:
        raise HttpError(400, "bad Content-Length")
    return length


def _read_request_fields(head: RequestHead, special: frozenset[str]) -> None:
    """Set what a request's own fields say."""
    _read_common_fields(head, special)
    if head.chunked:
        head.body = ChunkedBody()
    elif head.content_length:
        head.body = FixedBody(head.content_length)
    if head.form is Form.AUTHORITY and not head.body.over:
        raise HttpError(400, "CONNECT with content")
    if head.version == (1, 0):
        return
    if "expect" in special:
        if [value.lower() for value in head.get_all("expect")] != ["100-continue"]:
            raise HttpError(417, "unknown expectation")
        head.expects_continue = True
    if "upgrade" in special and "upgrade" in head.options:
        offers = split_list(head.get_all("upgrade"))
        head.upgrade = ", ".join(
            offer for offer in offers if _PROTOCOL.fullmatch(offer) and offer.lower() != "h2c"
        )
