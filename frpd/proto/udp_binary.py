"""Datagrams on the work stream of a udp proxy between two frpd ends (``udp-binary``).

A record is

    u8 k | u16 n | k bytes: the visitor | n bytes: the datagram

in network byte order. The server names the visitor by 4 or 16 bytes of address, two
of port, and four of scope where an IPv6 address has one; the client answers with
the same bytes and need not understand them. So neither end has to remember what the
other one knows, and either may forget a visitor at any time. A record of three zero
bytes says that its sender is alive. docs/protocol.md has a test vector.
"""

from __future__ import annotations

import ipaddress
from struct import Struct
from typing import TYPE_CHECKING, Final

from frpd.errors import RemoteProtocolError

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

MAX_DATAGRAM_BYTES: Final = 65507
"""The most that IPv4 carries."""
MAX_VISITOR_BYTES: Final = 22
KEEPALIVE: Final = b"\0\0\0"

_HEAD = Struct(">BH")
_HEAD_BYTES = _HEAD.size
_PORT = Struct(">H")
_SCOPE = Struct(">I")
_V4_BYTES = 6
_V6_BYTES = 18

_unpack_head = _HEAD.unpack_from


class BinaryPackets:
    """Both directions of one work stream."""

    __slots__ = ("_error", "_rest")

    keepalive = KEEPALIVE
    max_datagram_bytes = MAX_DATAGRAM_BYTES

    def __init__(self) -> None:
        self._rest = b""
        self._error = ""

    @staticmethod
    def name_visitor(host: str, port: int, scope: int = 0) -> bytes:
        """Return how the server names a visitor.

        Args:
            host: an IPv4 or IPv6 literal without a zone.
            port: its port.
            scope: of a link-local IPv6 address, else 0.
        """
        name = ipaddress.ip_address(host).packed + _PORT.pack(port)
        return name + _SCOPE.pack(scope) if scope else name

    @staticmethod
    def describe_visitor(name: bytes) -> str:
        """Return such a name for people; any bytes are allowed."""
        if len(name) not in (_V4_BYTES, _V6_BYTES, MAX_VISITOR_BYTES):
            return name.hex()
        size = 4 if len(name) == _V4_BYTES else 16
        host = ipaddress.ip_address(name[:size])
        port = _PORT.unpack_from(name, size)[0]
        return f"{host}:{port}" if size == 4 else f"[{host}]:{port}"

    @staticmethod
    def append(out: bytearray, visitor: bytes, datagram: Buffer) -> None:
        """Append a record to ``out``; at most ``max_datagram_bytes`` of datagram."""
        out += _HEAD.pack(len(visitor), len(datagram))
        out += visitor
        out += datagram

    def receive_data(self, data: Buffer) -> dict[bytes, list[Buffer]]:
        """Return the datagrams that ``data`` completes: by visitor, each in order.

        They are views of ``data`` and live as long. What is kept for the next call
        is less than one record.

        Raises:
            RemoteProtocolError: the peer sent something illegal, now or earlier.
        """
        if self._error:
            raise RemoteProtocolError(self._error)
        if self._rest:
            data = self._rest + data
        view = memoryview(data)
        found: dict[bytes, list[Buffer]] = {}
        at, end = 0, len(view)
        while end - at >= _HEAD_BYTES:
            name_bytes, size = _unpack_head(view, at)
            if not 0 < name_bytes <= MAX_VISITOR_BYTES or size > MAX_DATAGRAM_BYTES:
                self._check_keepalive(name_bytes, size)
            start = at + _HEAD_BYTES + name_bytes
            stop = start + size
            if stop > end:
                break
            if name_bytes:
                name = bytes(view[at + _HEAD_BYTES : start])
                if name in found:
                    found[name].append(view[start:stop])
                else:
                    found[name] = [view[start:stop]]
            at = stop
        self._rest = bytes(view[at:])
        return found

    def _check_keepalive(self, name_bytes: int, size: int) -> None:
        if name_bytes or size:
            self._rest = b""
            self._error = f"udp-binary: record of {name_bytes} + {size} bytes"
            raise RemoteProtocolError(self._error)
