"""SOCKS5 (RFC 1928) with user and password (RFC 1929): the proxy's side of one connection.

Feed what comes, send what ``data_to_send`` returns, until ``request`` or ``refusal`` is
there. Whoever carries the request out says ``reply``; behind a good one the bytes of
``take_rest`` are the tunnel's first. And the datagrams of an association.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from frpd.errors import RemoteProtocolError
from frpd.proto.socks5 import (
    AUTH_VERSION,
    MAX_TEXT_BYTES,
    VERSION,
    Method,
    Packet,
    Reply,
    decode_address,
    decode_packet,
    encode_address,
    encode_packet,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from frpd.proto.buffer import Buffer
    from frpd.proto.socks5 import Host

MAX_HANDSHAKE_BYTES: Final = 2 + 255 + 3 + 2 * MAX_TEXT_BYTES + 3 + 2 + MAX_TEXT_BYTES + 2
"""Most bytes of a greeting, a login and a request; what comes behind them is the tunnel's."""
NOWHERE: Final = bytes(4)
"""The address of replies that have none to tell: 0.0.0.0."""

_AUTH_FAILED: Final = 1
_ADDRESS_TYPES: Final = b"\x01\x03\x04"
_DATAGRAM_HEAD: Final = bytes(3)  # reserved, and no fragment


class _Stage(enum.Enum):
    """What the proxy waits for."""

    GREETING = "greeting"
    LOGIN = "login"
    REQUEST = "request"
    ASKED = "asked"
    READY = "ready"
    REFUSED = "refused"


class Socks5Server:
    """One visitor's handshake. After an error it is of no use any more.

    Args:
        admits: says whether a user with a password may enter; None to demand neither.

    Attributes:
        request: what the visitor asks for, once it has.
        refusal: why it gets nothing, once that is clear; what is to be sent says so to it.
    """

    __slots__ = ("_admits", "_outgoing", "_received", "_stage", "refusal", "request")

    def __init__(self, admits: Callable[[bytes, bytes], bool] | None = None) -> None:
        self.request: Packet | None = None
        self.refusal: str | None = None
        self._admits = admits
        self._outgoing = b""
        self._received = bytearray()
        self._stage = _Stage.GREETING

    def data_to_send(self) -> bytes:
        """Return what to send now, each byte once."""
        outgoing, self._outgoing = self._outgoing, b""
        return outgoing

    def receive_data(self, data: Buffer) -> None:
        """Take bytes of the visitor.

        Raises:
            RemoteProtocolError: it does not speak SOCKS5 as the RFCs say.
        """
        self._received += data
        if self._stage is _Stage.GREETING:
            self._receive_greeting()
        if self._stage is _Stage.LOGIN:
            self._receive_login()
        if self._stage is _Stage.REQUEST:
            self._receive_request()

    def reply(self, code: Reply, host: Host = NOWHERE, port: int = 0) -> None:
        """Answer the request; to be called once, when there is one."""
        self._outgoing += encode_packet(code, host, port)
        self._stage = _Stage.READY if code is Reply.SUCCEEDED else _Stage.REFUSED

    def take_rest(self) -> bytes:
        """Return the bytes behind a request that was granted, each once."""
        if self._stage is not _Stage.READY:
            return b""
        rest = bytes(self._received)
        self._received.clear()
        return rest

    def _receive_greeting(self) -> None:
        received = self._received
        if received and received[0] != VERSION:
            raise RemoteProtocolError(f"SOCKS version {received[0]}, expected {VERSION}")
        if len(received) < 2 or len(received) < 2 + received[1]:
            return
        offered = received[2 : 2 + received[1]]
        del received[: 2 + received[1]]
        method = Method.NONE if self._admits is None else Method.USER_PASSWORD
        if method not in offered:
            self._outgoing += bytes((VERSION, Method.NOT_ACCEPTABLE))
            self._refuse(
                "it offers no user and password"
                if self._admits is not None
                else "it does not offer to go without authentication"
            )
            return
        self._outgoing += bytes((VERSION, method))
        self._stage = _Stage.REQUEST if self._admits is None else _Stage.LOGIN

    def _receive_login(self) -> None:
        received = self._received
        if received and received[0] != AUTH_VERSION:
            raise RemoteProtocolError(f"login version {received[0]}, expected {AUTH_VERSION}")
        texts = []
        at = 1
        for _ in ("user", "password"):
            if len(received) <= at or len(received) < at + 1 + received[at]:
                return
            texts.append(bytes(received[at + 1 : at + 1 + received[at]]))
            at += 1 + received[at]
        del received[:at]
        assert self._admits is not None
        if self._admits(*texts):
            self._outgoing += bytes((AUTH_VERSION, 0))
            self._stage = _Stage.REQUEST
        else:
            self._outgoing += bytes((AUTH_VERSION, _AUTH_FAILED))
            self._refuse("wrong user or password")

    def _receive_request(self) -> None:
        version, reserved, kind = self._received[:1], self._received[2:3], self._received[3:4]
        is_request = version == bytes((VERSION,)) and reserved == b"\0"
        if is_request and kind and kind not in _ADDRESS_TYPES:
            self.reply(Reply.ADDRESS_NOT_SUPPORTED)
            self.refusal = f"unknown SOCKS address type {kind[0]}"
            return
        found = decode_packet(self._received)
        if found is not None:
            self.request, length = found
            del self._received[:length]
            self._stage = _Stage.ASKED

    def _refuse(self, reason: str) -> None:
        self.refusal = reason
        self._stage = _Stage.REFUSED


def decode_datagram(data: Buffer) -> tuple[Host, int, Buffer] | None:
    """Return host, port and payload of a visitor's datagram; None for one to be dropped.

    That is, one that is malformed, or a fragment: who does not put them together again
    drops them (RFC 1928 section 7).
    """
    if len(data) < len(_DATAGRAM_HEAD) or data[2]:
        return None
    begin = len(_DATAGRAM_HEAD)
    try:
        found = decode_address(data[begin:])
    except RemoteProtocolError:
        return None
    if found is None:
        return None
    host, port, length = found
    return host, port, data[begin + length :]


def encode_datagram(host: Host, port: int, payload: Buffer) -> bytes:
    """Return a datagram for a visitor: who has sent it, and what."""
    return b"".join((_DATAGRAM_HEAD, encode_address(host, port), payload))
