"""SOCKS5 (RFC 1928) with user and password (RFC 1929): codecs for both sides, and a client.

An address is ATYP, host and port; a request and a reply are VER, a code, RSV and an address.
A host is a name, or the 4 or 16 bytes of an IP address (as socket.inet_pton has them): names
go to the proxy as names.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from frpd.errors import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

VERSION: Final = 5
AUTH_VERSION: Final = 1
MAX_TEXT_BYTES: Final = 255
"""Most bytes of a name, a user or a password: one byte holds the length."""

Host: TypeAlias = str | bytes

_IPV4, _NAME, _IPV6 = 1, 3, 4
_ADDRESS_BYTES: Final = {_IPV4: 4, _IPV6: 16}
_PORT_BYTES: Final = 2
_AUTH_SUCCESS: Final = 0


class Method(enum.IntEnum):
    """How a client authenticates."""

    NONE = 0x00
    USER_PASSWORD = 0x02
    NOT_ACCEPTABLE = 0xFF


class Command(enum.IntEnum):
    """What a client asks for."""

    CONNECT = 1
    BIND = 2
    UDP_ASSOCIATE = 3


class Reply(enum.IntEnum):
    """What became of it."""

    SUCCEEDED = 0
    GENERAL_FAILURE = 1
    NOT_ALLOWED = 2
    NETWORK_UNREACHABLE = 3
    HOST_UNREACHABLE = 4
    CONNECTION_REFUSED = 5
    TTL_EXPIRED = 6
    COMMAND_NOT_SUPPORTED = 7
    ADDRESS_NOT_SUPPORTED = 8


REPLY_WORDS: Final = {
    Reply.SUCCEEDED: "succeeded",
    Reply.GENERAL_FAILURE: "general SOCKS server failure",
    Reply.NOT_ALLOWED: "connection not allowed by ruleset",
    Reply.NETWORK_UNREACHABLE: "network unreachable",
    Reply.HOST_UNREACHABLE: "host unreachable",
    Reply.CONNECTION_REFUSED: "connection refused",
    Reply.TTL_EXPIRED: "TTL expired",
    Reply.COMMAND_NOT_SUPPORTED: "command not supported",
    Reply.ADDRESS_NOT_SUPPORTED: "address type not supported",
}


def reply_words(code: int) -> str:
    """Return a reply code in words; codes that nobody has assigned as numbers."""
    try:
        return REPLY_WORDS[Reply(code)]
    except ValueError:
        return f"unknown reply {code}"


@dataclass(frozen=True, slots=True)
class Packet:
    """A request (code is a Command) or a reply (code is a Reply).

    Attributes:
        code: as it came; it may be none that is assigned.
        host: an IP address, or a name whose bytes beyond ASCII are surrogates.
        port: 0 to 65535.
    """

    code: int
    host: Host
    port: int


def encode_packet(code: Command | Reply, host: Host, port: int) -> bytes:
    """Return a request or a reply.

    Raises:
        LocalProtocolError: see encode_address.
    """
    return bytes((VERSION, code, 0)) + encode_address(host, port)


def encode_address(host: Host, port: int) -> bytes:
    """Return ATYP, host and port.

    Raises:
        LocalProtocolError: a name that is empty, too long or not ASCII; no address; no port.
    """
    if not 0 <= port <= 0xFFFF:
        raise LocalProtocolError(f"{port} is no port")
    return _encode_host(host) + port.to_bytes(_PORT_BYTES, "big")


def _encode_host(host: Host) -> bytes:
    if isinstance(host, str):
        if not host.isascii() or not 0 < len(host) <= MAX_TEXT_BYTES:
            raise LocalProtocolError(f"{host[:MAX_TEXT_BYTES]!r} cannot be asked of a SOCKS proxy")
        return bytes((_NAME, len(host))) + host.encode("ascii")
    for kind, size in _ADDRESS_BYTES.items():
        if len(host) == size:
            return bytes((kind,)) + host
    raise LocalProtocolError(f"{len(host)} bytes are no IP address")


def decode_packet(data: Buffer) -> tuple[Packet, int] | None:
    """Return the request or reply at the front and its length; None before it is whole.

    Raises:
        RemoteProtocolError: it is none, whatever follows.
    """
    head = bytes(data[:3])
    if head and head[0] != VERSION:
        raise RemoteProtocolError(f"SOCKS version {head[0]}, expected {VERSION}")
    if len(head) < 3:
        return None
    if head[2]:
        raise RemoteProtocolError(f"reserved SOCKS byte {head[2]}, expected 0")
    found = decode_address(data[3:])
    if found is None:
        return None
    host, port, length = found
    return Packet(head[1], host, port), 3 + length


def decode_address(data: Buffer) -> tuple[Host, int, int] | None:
    """Return host, port and length of the address at the front; None before it is whole.

    Raises:
        RemoteProtocolError: a type that is not assigned, or an empty name.
    """
    front = bytes(data[: 2 + MAX_TEXT_BYTES + _PORT_BYTES])
    if not front:
        return None
    kind, begin = front[0], 1
    if kind == _NAME:
        if len(front) < 2:
            return None
        size, begin = front[1], 2
        if not size:
            raise RemoteProtocolError("SOCKS address with an empty name")
    elif kind in _ADDRESS_BYTES:
        size = _ADDRESS_BYTES[kind]
    else:
        raise RemoteProtocolError(f"unknown SOCKS address type {kind}")
    end = begin + size
    if len(front) < end + _PORT_BYTES:
        return None
    raw = front[begin:end]
    host = raw.decode("ascii", "surrogateescape") if kind == _NAME else raw
    return host, int.from_bytes(front[end : end + _PORT_BYTES], "big"), end + _PORT_BYTES


class _Stage(enum.Enum):
    """What the client waits for."""

    METHOD = "method"
    AUTH = "auth"
    REPLY = "reply"
    READY = "ready"
    REFUSED = "refused"


class Socks5Client:
    """Asks one proxy for one tunnel. After an error it is of no use any more.

    Send what ``data_to_send`` returns, at first and after each ``receive_data``, until
    ``is_ready`` or ``refusal`` says how it ended; then ``take_rest`` has the tunnel's
    first bytes.

    Args:
        host: a name in ASCII, or an IP address.
        port: at that host.
        credentials: user and password, offered beside no authentication, as Go does.

    Raises:
        LocalProtocolError: one of them does not fit into the protocol.
    """

    __slots__ = ("_auth", "_outgoing", "_received", "_request", "_stage", "refusal")

    def __init__(
        self, host: Host, port: int, credentials: tuple[bytes, bytes] | None = None
    ) -> None:
        self.refusal: str | None = None
        """Why there will be no tunnel, once the proxy has said so."""
        self._request = encode_packet(Command.CONNECT, host, port)
        self._auth = b"" if credentials is None else _encode_auth(*credentials)
        methods = (Method.NONE, Method.USER_PASSWORD) if self._auth else (Method.NONE,)
        self._outgoing = bytes((VERSION, len(methods), *methods))
        self._received = bytearray()  # never more than a reply and what one receive_data brought
        self._stage = _Stage.METHOD

    @property
    def is_ready(self) -> bool:
        """Whether the tunnel is open."""
        return self._stage is _Stage.READY

    def data_to_send(self) -> bytes:
        """Return what to send now, each byte once."""
        outgoing, self._outgoing = self._outgoing, b""
        return outgoing

    def receive_data(self, data: Buffer) -> None:
        """Take bytes of the proxy.

        Raises:
            RemoteProtocolError: it does not speak SOCKS5 as the RFCs say.
        """
        self._received += data
        if self._stage is _Stage.METHOD:
            self._receive_method()
        if self._stage is _Stage.AUTH:
            self._receive_auth()
        if self._stage is _Stage.REPLY:
            self._receive_reply()

    def take_rest(self) -> bytes:
        """Return the bytes behind the proxy's reply, each once."""
        if not self.is_ready:
            return b""
        rest = bytes(self._received)
        self._received.clear()
        return rest

    def _receive_method(self) -> None:
        method = self._take_pair(VERSION)
        if method is None:
            return
        if method == Method.NOT_ACCEPTABLE:
            self._refuse(
                "it takes no way to authenticate that we can offer"
                if self._auth
                else "it wants a user and a password, and none are given"
            )
        elif method == Method.NONE:
            self._ask()
        elif method == Method.USER_PASSWORD and self._auth:
            self._outgoing += self._auth
            self._stage = _Stage.AUTH
        else:
            raise RemoteProtocolError(f"SOCKS method {method} was never offered")

    def _receive_auth(self) -> None:
        status = self._take_pair(AUTH_VERSION)
        if status is None:
            return
        if status == _AUTH_SUCCESS:
            self._ask()
        else:
            self._refuse("it does not accept the user and password given")

    def _receive_reply(self) -> None:
        front = bytes(self._received[:2])
        if len(front) == 2 and front[0] == VERSION and front[1] != Reply.SUCCEEDED:
            self._refuse(reply_words(front[1]))  # some proxies leave the address out then
            return
        found = decode_packet(self._received)
        if found is not None:
            del self._received[: found[1]]
            self._stage = _Stage.READY

    def _take_pair(self, version: int) -> int | None:
        if self._received and self._received[0] != version:
            raise RemoteProtocolError(f"SOCKS version {self._received[0]}, expected {version}")
        if len(self._received) < 2:
            return None
        value = self._received[1]
        del self._received[:2]
        return value

    def _ask(self) -> None:
        self._outgoing += self._request
        self._stage = _Stage.REPLY

    def _refuse(self, why: str) -> None:
        self.refusal = why
        self._stage = _Stage.REFUSED


def _encode_auth(user: bytes, password: bytes) -> bytes:
    if not 0 < len(user) <= MAX_TEXT_BYTES or len(password) > MAX_TEXT_BYTES:
        raise LocalProtocolError(
            f"SOCKS wants a user of 1 to {MAX_TEXT_BYTES} bytes and a password of no more"
        )
    return b"".join(
        (bytes((AUTH_VERSION, len(user))), user, bytes((len(password),)), password),
    )
