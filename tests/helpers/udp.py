"""UDP in the tests: sockets, visitors, and services on loopback."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.helpers.programs import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import TracebackType

BUFFER_BYTES = 4 << 20
LOCAL = "127.0.0.1"


def has_ipv6() -> bool:
    """Return whether ::1 can be used here."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def udp_socket(host: str = LOCAL, port: int = 0) -> socket.socket:
    """Return a bound socket with a time limit and a large buffer."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    sock.settimeout(SECONDS)
    sock.bind((host, port))
    return sock


class UdpVisitor:
    """One visitor of a udp proxy; closed by ``with``."""

    def __init__(self, port: int, host: str = LOCAL) -> None:
        self.sock = udp_socket("::1" if ":" in host else LOCAL)
        self.sock.connect((host, port))

    def __enter__(self) -> UdpVisitor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.send(data)

    def receive(self, seconds: float = SECONDS) -> bytes | None:
        """Return the next datagram; None if none came in time."""
        self.sock.settimeout(seconds)
        try:
            return self.sock.recv(65536)
        except (TimeoutError, ConnectionRefusedError):
            return None

    def ask(self, data: bytes, seconds: float = SECONDS) -> bytes | None:
        """Send a datagram once and return the next one that comes."""
        self.send(data)
        return self.receive(seconds)

    def ask_until_answered(
        self, data: bytes, tries: int = 30, late: Collection[bytes] = ()
    ) -> bytes:
        """Ask again and again, as the programs that speak UDP do; wait for late answers too.

        Answers in ``late`` belong to what was asked before, and are passed over.
        """
        for earlier in range(tries):
            with suppress(ConnectionRefusedError):
                answer = self.ask(data, SECONDS / tries)
                while answer in late:
                    answer = self.receive(SECONDS / tries)
                if answer is not None:
                    for _ in range(earlier):
                        if self.receive(SECONDS / tries) is None:
                            break
                    return answer
        raise AssertionError(f"no answer to {tries} questions")


class UdpService:
    """A UDP service on loopback in a thread of its own.

    Attributes:
        peers: whom datagrams came from, in the order of their first one.
    """

    def __init__(
        self,
        answer: Callable[[bytes], bytes | None] = lambda data: data,
        host: str = LOCAL,
        port: int = 0,
    ) -> None:
        self.sock = udp_socket(host, port)
        self.port: int = self.sock.getsockname()[1]
        self.peers: dict[tuple[str, int], int] = {}
        self._answer = answer
        self._thread = threading.Thread(target=self._run, name="udp service", daemon=True)
        self._thread.start()

    def __enter__(self) -> UdpService:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop. Idempotent."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)  # wakes the thread, though it is not connected
        self._thread.join(SECONDS)
        self.sock.close()

    def _run(self) -> None:
        self.sock.settimeout(None)
        while True:
            try:
                data, peer = self.sock.recvfrom(65536)
            except ConnectionRefusedError:
                continue
            except OSError:
                return
            if not data and peer is None:
                return
            self.peers[peer[:2]] = self.peers.get(peer[:2], 0) + 1
            answer = self._answer(data)
            if answer is not None:
                with suppress(OSError):
                    self.sock.sendto(answer, peer)
