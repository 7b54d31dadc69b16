"""The HTTP exchange ahead of a WebSocket (RFC 6455, section 4), as frp has it.

No sub-protocol, no extension. The client's request is byte for byte that of Go
frp (recorded from 0.21 and 0.31): its server looks for the path as the very
first thing behind ``GET ``, and demands an Origin.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from frpd.errors import RemoteProtocolError

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

FRP_PATH: Final = "/~!frp"
MAX_HEAD_BYTES: Final = 8 * 1024
KEY_BYTES: Final = 16
MAX_QUOTED_BYTES: Final = 100
"""Most of a peer's text that an error repeats."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION: Final = "13"
_END: Final = b"\r\n\r\n"
_TOKEN: Final = frozenset(
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

_REASONS: Final = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
}


def accept_value(key: bytes) -> bytes:
    """Return what proves that the server has read this Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


@dataclass(frozen=True, slots=True)
class _Head:
    """A start line and the fields below it; names are lower-case, repeated values joined."""

    start: str
    fields: dict[str, str]

    def has_token(self, name: str, token: str) -> bool:
        """Return whether a comma-separated field names ``token``, in any case."""
        values = self.fields.get(name, "").lower().split(",")
        return token in (value.strip() for value in values)


class _Refused(Exception):
    """A request that gets an answer other than 101."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _HeadReader:
    """Collects bytes up to the empty line, and gives up what comes behind it."""

    __slots__ = ("_held", "_scanned")

    def __init__(self) -> None:
        self._held = bytearray()  # at most the longest head, and the piece that completes it
        self._scanned = 0

    def receive_data(self, data: Buffer) -> tuple[_Head, bytes] | None:
        """Return the head and the bytes behind it, once it is whole.

        Raises:
            _Refused: it is too long, or is none.
        """
        held = self._held
        held += data
        end = held.find(_END, self._scanned)
        if (len(held) if end < 0 else end) > MAX_HEAD_BYTES:
            raise _Refused(431, f"head of more than {MAX_HEAD_BYTES} bytes")
        if end < 0:
            self._scanned = max(0, len(held) - len(_END) + 1)
            return None
        return _parse(bytes(held[:end])), bytes(held[end + len(_END) :])


def _parse(text: bytes) -> _Head:
    start, *lines = text.decode("latin-1").split("\r\n")
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or not _TOKEN.issuperset(name) or _is_unsafe(value):
            raise _Refused(400, "damaged header field")
        name, value = name.lower(), value.strip(" \t")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    if _is_unsafe(start):
        raise _Refused(400, "damaged start line")
    return _Head(start, fields)


def _is_unsafe(text: str) -> bool:
    return any(char < " " and char != "\t" for char in text)


def _quoted(text: str) -> str:
    return repr(text[:MAX_QUOTED_BYTES])


class ClientHandshake:
    """The client's side: send ``request()``, then give it the answer.

    Args:
        host: as the Host field and the origin name it, without brackets.
        port: behind the host; None for a host alone, as frp has it in wss.
        key: 16 random bytes.
        path: where the server expects it.
        origin: None for ``http://`` and the host.
    """

    def __init__(
        self,
        host: str,
        port: int | None,
        key: bytes,
        *,
        path: str = FRP_PATH,
        origin: str | None = None,
    ) -> None:
        assert len(key) == KEY_BYTES
        name = f"[{host}]" if ":" in host else host
        self._host = name if port is None else f"{name}:{port}"
        self._key = base64.b64encode(key)
        self._path = path
        self._origin = f"http://{self._host}".lower() if origin is None else origin
        self._reader = _HeadReader()

    def request(self) -> bytes:
        """Return the bytes to begin with."""
        lines = (
            f"GET {self._path} HTTP/1.1",
            f"Host: {self._host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {self._key.decode('ascii')}",
            f"Origin: {self._origin}",
            f"Sec-WebSocket-Version: {_VERSION}",
        )
        return "\r\n".join(lines).encode("latin-1", "replace") + _END

    def receive_data(self, data: Buffer) -> bytes | None:
        """Return the bytes behind the server's answer, once that is whole.

        Raises:
            RemoteProtocolError: the server does not agree to a WebSocket.
        """
        try:
            found = self._reader.receive_data(data)
        except _Refused as error:
            raise RemoteProtocolError(f"websocket: {error} in the answer") from None
        if found is None:
            return None
        head, rest = found
        self._check(head)
        return rest

    def _check(self, head: _Head) -> None:
        version, _, status = head.start.partition(" ")
        if not version.startswith("HTTP/1."):
            raise RemoteProtocolError(f"websocket: {_quoted(head.start)} is no HTTP answer")
        if status[:3] != "101" or status[3:4] not in ("", " "):
            raise RemoteProtocolError(
                f"websocket: the server answered {_quoted(status)} to a request for {self._path}"
            )
        if not (head.has_token("upgrade", "websocket") and head.has_token("connection", "upgrade")):
            raise RemoteProtocolError("websocket: the server switched to something else")
        accept = head.fields.get("sec-websocket-accept", "").encode("latin-1")
        if not hmac.compare_digest(accept, accept_value(self._key)):
            raise RemoteProtocolError("websocket: the answer is not to our request")
        if {"sec-websocket-extensions", "sec-websocket-protocol"} & head.fields.keys():
            raise RemoteProtocolError("websocket: the server chose what was not offered")


class ServerHandshake:
    """The server's side: give it the request, then send ``answer``, also if it was refused.

    Args:
        path: the only one that is served; a query behind it is ignored.
    """

    def __init__(self, *, path: str = FRP_PATH) -> None:
        self.answer = b""
        """What to send: 101, or the refusal after an error."""
        self._path = path
        self._reader = _HeadReader()

    def receive_data(self, data: Buffer) -> bytes | None:
        """Return the bytes behind the client's request, once that is whole.

        An Origin is not asked for: the ones that matter come from browsers.

        Raises:
            RemoteProtocolError: it asks for something else; ``answer`` says so.
        """
        try:
            found = self._reader.receive_data(data)
            if found is None:
                return None
            head, rest = found
            key = self._check(head)
        except _Refused as error:
            self.answer = _refusal(error)
            raise RemoteProtocolError(f"websocket: {error}") from None
        self.answer = (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_value(key) + _END
        )
        return rest

    def _check(self, head: _Head) -> bytes:
        """Return the key of a request that can be served."""
        method, _, rest = head.start.partition(" ")
        target, _, version = rest.partition(" ")
        if not (version.startswith("HTTP/1.") and version > "HTTP/1.0"):
            raise _Refused(400, f"request line {_quoted(head.start)}")
        if method != "GET":
            raise _Refused(405, f"method {_quoted(method)}")
        if target.partition("?")[0] != self._path:
            raise _Refused(404, f"path {_quoted(target)}")
        if not (head.has_token("upgrade", "websocket") and head.has_token("connection", "upgrade")):
            raise _Refused(400, "the request asks for no upgrade to websocket")
        if head.fields.get("sec-websocket-version") != _VERSION:
            raise _Refused(426, "not version 13")
        key = head.fields.get("sec-websocket-key", "").encode("latin-1")
        try:
            length = len(base64.b64decode(key, validate=True))
        except binascii.Error:
            length = 0
        if length != KEY_BYTES:
            raise _Refused(400, "damaged Sec-WebSocket-Key")
        return key


def _refusal(error: _Refused) -> bytes:
    body = f"{error}\n".encode()
    extra = f"Sec-WebSocket-Version: {_VERSION}\r\n" if error.status == 426 else ""
    head = (
        f"HTTP/1.1 {error.status} {_REASONS[error.status]}\r\n{extra}"
        "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
