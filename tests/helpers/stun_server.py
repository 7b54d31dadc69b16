"""A small STUN server (RFC 5389, RFC 5780) with two addresses, which xtcp needs of one.

In a test: ``with StunServer() as stun: ... stun.where``. In a network namespace it is a
program: ``python -m tests.helpers.stun_server 198.51.100.1:3478 198.51.100.2:3479``.
"""

from __future__ import annotations

import selectors
import socket
import struct
import sys
import threading
from typing import TYPE_CHECKING

from tests.helpers.ports import free_port

if TYPE_CHECKING:
    from types import TracebackType

    Address = tuple[str, int]

COOKIE = 0x2112A442
BINDING_REQUEST, BINDING_SUCCESS = 0x0001, 0x0101
MAPPED_ADDRESS, XOR_MAPPED_ADDRESS, OTHER_ADDRESS = 0x0001, 0x0020, 0x802C
HEAD = struct.Struct("!HHI12s")


class StunServer:
    """Answers Binding requests in a thread of its own; counts them.

    Args:
        first: where clients are sent to; by default a free port of loopback.
        other: the second address, named in every answer; None for a server without one.
        is_old: tell MAPPED-ADDRESS only, as servers of RFC 3489 do.
    """

    def __init__(
        self,
        first: Address | None = None,
        other: Address | None = ("127.0.0.2", 0),
        *,
        is_old: bool = False,
    ) -> None:
        self.first = first or ("127.0.0.1", free_port())
        self.other = (other[0], other[1] or free_port()) if other else None
        self.requests = 0
        self._is_old = is_old
        self._socks = [_bound(one) for one in (self.first, self.other) if one]
        self._stop, self._told = socket.socketpair()
        self._thread = threading.Thread(target=self.serve, name="stun server", daemon=True)

    @property
    def where(self) -> str:
        """As ``nat_hole_stun_server`` wants it."""
        return f"{self.first[0]}:{self.first[1]}"

    def __enter__(self) -> StunServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.close()
        self._thread.join()
        for sock in self._socks:
            sock.close()
        self._told.close()

    def serve(self) -> None:
        """Answer until the end."""
        with selectors.DefaultSelector() as ready:
            for sock in (*self._socks, self._told):
                ready.register(sock, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    if key.fileobj is self._told:
                        return
                    assert isinstance(key.fileobj, socket.socket)
                    self._answer(key.fileobj)

    def _answer(self, sock: socket.socket) -> None:
        try:
            request, sender = sock.recvfrom(2048)
        except OSError:  # what an earlier answer met
            return
        answer = self.answer(request, sender)
        if answer:
            self.requests += 1
            sock.sendto(answer, sender)

    def answer(self, request: bytes, sender: Address) -> bytes:
        """Return what is said to a datagram; nothing to what is no request."""
        if len(request) < HEAD.size:
            return b""
        kind, size, cookie, transaction = HEAD.unpack_from(request)
        if (kind, size, cookie) != (BINDING_REQUEST, len(request) - HEAD.size, COOKIE):
            return b""
        told = [_attribute(MAPPED_ADDRESS, sender)]
        if not self._is_old:
            told.append(_attribute(XOR_MAPPED_ADDRESS, sender, mask=COOKIE))
        if self.other is not None:
            told.append(_attribute(OTHER_ADDRESS, self.other))
        body = b"".join(told)
        return HEAD.pack(BINDING_SUCCESS, len(body), COOKIE, transaction) + body


def _attribute(kind: int, address: Address, mask: int = 0) -> bytes:
    host, port = address
    number = int.from_bytes(socket.inet_aton(host), "big") ^ mask
    return struct.pack("!HHxBHI", kind, 8, 1, port ^ (mask >> 16), number)


def _bound(address: Address) -> socket.socket:
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(address)
    return sock


def _address(text: str) -> Address:
    host, _, port = text.partition(":")
    return host, int(port)


if __name__ == "__main__":
    stun_server = StunServer(_address(sys.argv[1]), _address(sys.argv[2]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    stun_server.serve()
