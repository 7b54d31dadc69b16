"""The far end of a KCP conversation, every datagram of which is the test's to see."""

from __future__ import annotations

import socket
from contextlib import suppress
from itertools import count

from frpd.proto.kcp.connection import KcpConnection
from frpd.proto.kcp_parting import Farewell, Kind, read_farewell
from tests.helpers.peers import Wire
from tests.helpers.world import World

NUMBERS = count(0x0EADBE00)


def udp_socket(world: World, port: int) -> socket.socket:
    """Return a socket from which datagrams go to a port, and to no other."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.connect(("127.0.0.1", port))
    world.stack.callback(sock.close)
    return sock


class KcpPeer(Wire):
    """A conversation of the test's; as a Wire has it, what came is in ``received``.

    Attributes:
        sent: all datagrams that went out; ``heard`` those that came.
        answers: whether anything is sent by itself: acknowledgements, repetitions.
        is_deaf: what comes is lost, and nothing is answered.
        is_go: it makes nothing of what is beside KCP.
    """

    def __init__(
        self,
        world: World,
        port: int,
        *,
        conversation: int | None = None,
        sock: socket.socket | None = None,
    ) -> None:
        self.sent: list[bytes] = []
        self.heard: list[bytes] = []
        self.answers = True
        self.is_deaf = self.is_go = False
        self.conversation = next(NUMBERS) if conversation is None else conversation
        self.kcp = KcpConnection(self.conversation, now=world.loop.now())
        self._read_bytes = 0
        self._ends_at: int | None = None
        super().__init__(world, udp_socket(world, port) if sock is None else sock)

    def _adapt(self, sock: socket.socket) -> None:
        """Nothing: this is no socket of TCP."""

    @property
    def sent_bytes(self) -> int:
        return sum(map(len, self.sent))

    def write(self, data: bytes) -> None:
        assert self.kcp.send(data) == len(data)
        self.flush()

    def say(self, *datagrams: bytes) -> None:
        """Send datagrams as they are."""
        for datagram in datagrams:
            self.sent.append(datagram)
            with suppress(ConnectionRefusedError):
                self.sock.send(datagram)

    def flush(self) -> None:
        now = self._world.loop.now()
        self.kcp.handle_deadline(now)
        self.say(*self.kcp.datagrams_to_send(now))

    def pump(self) -> None:
        if self.sock.fileno() < 0:
            return
        with suppress(BlockingIOError, ConnectionRefusedError):
            while True:
                datagram = self.sock.recv(65536)
                if not self.is_deaf:
                    self._take(datagram)
        data = self.kcp.read(1 << 30)
        self.received += data
        self._read_bytes += len(data)
        if self._ends_at is not None and self._read_bytes >= self._ends_at:
            self.end = self.end or "eof"
        if self.answers and not self.is_deaf:
            self.flush()

    def _take(self, datagram: bytes) -> None:
        self.heard.append(datagram)
        self.heard_bytes += len(datagram)
        farewell = read_farewell(datagram)
        if farewell is None:
            self.kcp.receive_datagram(datagram, self._world.loop.now())
        elif self.is_go:
            pass
        elif farewell.kind is Kind.RESET:
            self.end = self.end or "reset"
        elif farewell.kind is not Kind.TAKEN:
            self._ends_at = farewell.position
            if self.answers:
                taken = Farewell(self.conversation, Kind.TAKEN, farewell.position, farewell.kind)
                self.say(taken.encode())

    def reset(self) -> None:
        self.say(Farewell(self.conversation, Kind.RESET).encode())
        self.close()
