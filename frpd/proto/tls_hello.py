"""The server name of a TLS ClientHello, read without taking part in the handshake.

For routing by name: nothing is decrypted, answered or changed. The reader keeps
no bytes that anybody needs; whoever feeds it also keeps what it fed, and passes
that on untouched. Strict where a server behind us could read another name than
we did: an extension or a name given twice is refused. Sources: RFC 8446 4.1.2 and
5.1, RFC 6066 3; with encrypted ClientHello the outer name is what is seen.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from frpd.errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from frpd.proto.buffer import Buffer

MAX_HELLO_BYTES: Final = 65536
"""Most bytes until the hello is complete, the heads of its records included.

Post-quantum key shares make about 1,800 bytes usual; OpenSSL refuses above 131,396.
"""
MAX_RECORDS: Final = 4096
"""Most records that one hello may be cut into."""
MAX_RECORD_BYTES: Final = 16384
"""RFC 8446 5.1: no plain record is longer."""
MAX_NAME_BYTES: Final = 253
UNRECOGNIZED_NAME: Final = 112
"""Alert: nobody here has that name (RFC 6066 3)."""

_RECORD_HEAD_BYTES: Final = 5
_MESSAGE_HEAD_BYTES: Final = 4
_ALERT: Final = 21
_HANDSHAKE: Final = 22
_FATAL: Final = 2
_LAST_MINOR: Final = 4
_CLIENT_HELLO: Final = 1
_RANDOM_BYTES: Final = 32
_MAX_SESSION_ID_BYTES: Final = 32
_SERVER_NAME: Final = 0
_HOST_NAME: Final = 0

# Underscores and hyphens at an end are no host names by the letter, and are in use.
_NAME = re.compile(rb"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")


def alert(description: int) -> bytes:
    """Return a fatal alert as a record that every version of TLS understands."""
    return bytes((_ALERT, 3, 1, 0, 2, _FATAL, description))


class HelloReader:
    """Reads the first handshake message of a connection. After an error it stays failed.

    Args:
        max_bytes: the hello has to be complete within so many bytes.

    Attributes:
        done: the hello is complete and ``server_name`` holds.
        server_name: in lower case, without a dot at its end; "" when the client
            names nobody, and until ``done``.
    """

    __slots__ = (
        "_body",
        "_error",
        "_head",
        "_max_bytes",
        "_payload_left",
        "_records",
        "_seen",
        "done",
        "server_name",
    )

    def __init__(self, max_bytes: int = MAX_HELLO_BYTES) -> None:
        self.done = False
        self.server_name = ""
        self._max_bytes = max_bytes
        self._seen = 0
        self._records = 0
        self._head = bytearray()
        self._payload_left = 0
        self._body = bytearray()
        self._error: str | None = None

    def feed(self, data: Buffer) -> None:
        """Read on; what follows the hello is not looked at.

        Raises:
            RemoteProtocolError: this is no ClientHello, it is too long, or its
                name is no host name; now or earlier.
        """
        if self._error is not None:
            raise RemoteProtocolError(self._error)
        try:
            with memoryview(data) as view:
                self._read(view)
        except RemoteProtocolError as error:
            self._error = str(error)
            self._body.clear()
            raise

    def _read(self, view: memoryview) -> None:
        position = 0
        while position < len(view) and not self.done:
            wanted = self._payload_left or _RECORD_HEAD_BYTES - len(self._head)
            count = min(wanted, len(view) - position, self._max_bytes - self._seen)
            part = view[position : position + count]
            if self._payload_left:
                self._receive_payload(part)
            else:
                self._receive_head(part)
            position += count
            self._seen += count
            if self._seen >= self._max_bytes and not self.done:
                raise RemoteProtocolError(f"tls: no hello within {self._max_bytes} bytes")

    def _receive_head(self, part: memoryview) -> None:
        self._head += part
        if len(self._head) < _RECORD_HEAD_BYTES:
            return
        kind, major, minor = self._head[:3]
        length = int.from_bytes(self._head[3:])
        self._head.clear()
        if kind == _ALERT:
            raise RemoteProtocolError("tls: an alert instead of a hello")
        if kind != _HANDSHAKE or major != 3 or minor > _LAST_MINOR:
            raise RemoteProtocolError("tls: not a handshake")
        if not 0 < length <= MAX_RECORD_BYTES:
            raise RemoteProtocolError(f"tls: record of {length} bytes")
        self._records += 1
        if self._records > MAX_RECORDS:
            raise RemoteProtocolError(f"tls: hello in more than {MAX_RECORDS} records")
        self._payload_left = length

    def _receive_payload(self, part: memoryview) -> None:
        self._payload_left -= len(part)
        body = self._body
        body += part
        if body[0] != _CLIENT_HELLO:
            raise RemoteProtocolError(f"tls: handshake message {body[0]} instead of a hello")
        if len(body) < _MESSAGE_HEAD_BYTES:
            return
        end = _MESSAGE_HEAD_BYTES + int.from_bytes(body[1:_MESSAGE_HEAD_BYTES])
        if end > self._max_bytes:
            raise RemoteProtocolError(f"tls: hello of {end} bytes")
        if len(body) >= end:
            self.server_name = _server_name(bytes(body[_MESSAGE_HEAD_BYTES:end]))
            self.done = True
            body.clear()


class _Cursor:
    """Reads the fields of a structure; none may reach beyond its end."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def take(self, count: int) -> bytes:
        taken = self._data[self._position : self._position + count]
        if len(taken) < count:
            raise RemoteProtocolError("tls: a field ends behind the hello")
        self._position += count
        return taken

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width))

    def vector(self, width: int) -> bytes:
        """Take what a length of ``width`` bytes announces."""
        return self.take(self.number(width))

    def end(self) -> None:
        if self:
            raise RemoteProtocolError("tls: bytes behind the last field")


def _server_name(hello: bytes) -> str:
    """Return the name in a ClientHello, given without its message head."""
    fields = _Cursor(hello)
    if fields.number(2) >> 8 != 3:
        raise RemoteProtocolError("tls: unknown version")
    fields.take(_RANDOM_BYTES)
    if len(fields.vector(1)) > _MAX_SESSION_ID_BYTES:
        raise RemoteProtocolError("tls: session id too long")
    ciphers = fields.vector(2)
    if not ciphers or len(ciphers) % 2 or not fields.vector(1):
        raise RemoteProtocolError("tls: no cipher suites or compression methods")
    if not fields:  # SSL 3.0 and the oldest TLS 1.0 know no extensions
        return ""
    extensions = fields.vector(2)
    fields.end()
    names = dict(_entries(extensions, "extension", 2)).get(_SERVER_NAME)
    return "" if names is None else _host_name(names)


def _host_name(extension: bytes) -> str:
    """Return the host name in the body of a server_name extension."""
    fields = _Cursor(extension)
    names = fields.vector(2)
    fields.end()
    if not names:
        raise RemoteProtocolError("tls: empty list of names")
    # Other kinds of names were never defined; RFC 6066 gives them the same shape.
    name = dict(_entries(names, "name", 1)).get(_HOST_NAME)
    if name is None:
        return ""
    host = name.lower().removesuffix(b".")
    if len(host) > MAX_NAME_BYTES or not _NAME.fullmatch(host):
        raise RemoteProtocolError("tls: the server name is no host name")
    return host.decode("ascii")


def _entries(data: bytes, what: str, width: int) -> Iterator[tuple[int, bytes]]:
    """Yield kind and body of each entry; a kind is ``width`` bytes and comes once."""
    fields = _Cursor(data)
    kinds: set[int] = set()
    while fields:
        kind = fields.number(width)
        if kind in kinds:
            raise RemoteProtocolError(f"tls: {what} of type {kind} twice")
        kinds.add(kind)
        yield kind, fields.vector(2)
