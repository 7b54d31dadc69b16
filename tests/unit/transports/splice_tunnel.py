"""Visitors and services on real sockets, with two relays and a trunk between each two."""

from __future__ import annotations

import socket
import struct
import time
from collections import deque
from contextlib import suppress

from frpd.net.endpoint import Endpoint
from frpd.net.pipes import PipePool
from frpd.net.stream import SocketStream
from frpd.proto.yamux.session import YamuxSession
from frpd.proto.yamux.window import WindowBudget
from frpd.relay.relay import Relay, RelayResult
from frpd.relay.splice_half import SpliceHalf
from frpd.transports.mux import MuxLink
from frpd.transports.mux_stream import MuxStream
from tests.helpers.world import World
from tests.unit.transports.links import fail

KIB = 1024
MIB = 1024 * KIB
CHUNK = 64 * KIB
SOCKET_BYTES = 128 * KIB


def pattern(size: int, seed: int = 0) -> bytes:
    """Return bytes in which no two pieces of one length are alike for long."""
    words = bytes((index * 31 + index // 251 + seed) % 251 for index in range(min(size, 65_521)))
    return (words * (size // max(len(words), 1) + 1))[:size]


def small_sockets(world: World) -> tuple[socket.socket, socket.socket]:
    """Return a connection whose kernel buffers hold little, so that it blocks soon."""
    pair = world.sockets()
    for sock in pair:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
    return pair


class Peer:
    """A visitor or a service: sends what it was told to, reads while ``reads``."""

    def __init__(self, world: World, sock: socket.socket) -> None:
        self.sock = sock
        self.got = bytearray()
        self.end = ""  # "eof" or "reset"
        self.reads = True
        self.most_read = 1 << 20  # in one turn
        self.most_sent = 1 << 20
        self._unsent: deque[memoryview] = deque()
        self._ends = False
        world.peers.append(self)

    def say(self, data: bytes) -> None:
        self._unsent.append(memoryview(data))

    def say_no_more(self) -> None:
        """End our direction behind what was said."""
        self._ends = True

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self.end = "gone"

    @property
    def all_said(self) -> bool:
        return not self._unsent

    def pump(self) -> None:
        if self.sock.fileno() < 0:
            return
        try:
            self._send()
            self._receive()
        except (ConnectionResetError, BrokenPipeError):
            self._unsent.clear()
            self.end = "reset"

    def _send(self) -> None:
        left = self.most_sent
        with suppress(BlockingIOError):
            while self._unsent and left > 0:
                first = self._unsent[0]
                sent = self.sock.send(first[: min(left, CHUNK)])
                left -= sent
                self._unsent[0] = first[sent:]
                if not self._unsent[0]:
                    self._unsent.popleft()
        if self._ends and not self._unsent:
            self._ends = False
            with suppress(OSError):  # reset meanwhile
                self.sock.shutdown(socket.SHUT_WR)

    def _receive(self) -> None:
        left = self.most_read
        with suppress(BlockingIOError):
            while self.reads and not self.end and left > 0:
                data = self.sock.recv(min(left, CHUNK))
                left -= len(data)
                self.got += data
                if not data:
                    self.end = "eof"


class Visit:
    """One visitor, one service, and the relays between them: ``near`` is the visitor's."""

    def __init__(self, world: World) -> None:
        self.results: list[RelayResult] = []
        user, user_far = small_sockets(world)
        service, service_far = small_sockets(world)
        self.user = Peer(world, user_far)
        self.service = Peer(world, service_far)
        self.user_end = SocketStream(world.loop, user, ("user", 1))
        self.service_end = SocketStream(world.loop, service, ("service", 2))
        self.near: Relay | None = None
        self.far: Relay | None = None
        self.stream: Endpoint | None = None
        self.far_stream: Endpoint | None = None

    @property
    def is_over(self) -> bool:
        return len(self.results) == 2

    def splicing(self) -> str:
        """Return which directions are spliced; "in" is towards the service."""
        assert self.near is not None
        assert self.far is not None
        halves = {
            "near in": self.near._ab,
            "near out": self.near._ba,
            "far in": self.far._ba,
            "far out": self.far._ab,
        }
        return ", ".join(name for name, half in halves.items() if isinstance(half, SpliceHalf))


class Tunnel:
    """frps and frpc, as far as bytes are concerned.

    Args:
        world: its loop serves both ends.
        pipe_bytes: of each pipe.
        budget_bytes: of each end's pool.
        mux: whether a trunk carries all, or each visitor has a connection of its own.
        windows: of the far end.
    """

    def __init__(
        self,
        world: World,
        *,
        pipe_bytes: int = 64 * KIB,
        budget_bytes: int = 4 * MIB,
        mux: bool = True,
        windows: WindowBudget | None = None,
        b_half_closes: bool = True,
    ) -> None:
        self.world = world
        self.near_pool = PipePool(pipe_bytes, budget_bytes)
        self.far_pool = PipePool(pipe_bytes, budget_bytes)
        self.visits: list[Visit] = []
        self.closed: list[str] = []
        self.mux = mux
        self._b_half_closes = b_half_closes
        self._accepted: list[MuxStream] = []
        if mux:
            self._make_trunk(windows)

    def _make_trunk(self, windows: WindowBudget | None) -> None:
        world = self.world
        now = world.loop.now()
        near, far = small_sockets(world)
        self.near_carrier = SocketStream(world.loop, near, ("far-end", 2))
        self.far_carrier = SocketStream(world.loop, far, ("near-end", 1))
        self.near = MuxLink(
            world.loop,
            self.near_carrier,
            YamuxSession(is_client=True, now=now, keepalive_seconds=None, windows=windows),
            on_stream=lambda stream: stream.abort(),
            on_closed=self.closed.append,
        )
        self.far = MuxLink(
            world.loop,
            self.far_carrier,
            YamuxSession(is_client=False, now=now, keepalive_seconds=None, windows=windows),
            on_stream=self._accepted.append,
            on_closed=self.closed.append,
        )

    def visit(self) -> Visit:
        """Let a visitor come; return once the relays are there."""
        visit = Visit(self.world)
        visit.stream, visit.far_stream = self.join()
        visit.near = self._relay(visit.user_end, visit.stream, self.near_pool, visit)
        visit.far = self._relay(visit.service_end, visit.far_stream, self.far_pool, visit)
        self.visits.append(visit)
        return visit

    def join(self) -> tuple[Endpoint, Endpoint]:
        if not self.mux:
            return self.world.endpoints()
        opened: list[MuxStream] = []
        self.near.open_stream(opened.append, fail)
        self.world.until(lambda: self._accepted, "an open")
        return opened[0], self._accepted.pop()

    def _relay(self, a: Endpoint, b: Endpoint, pipes: PipePool, visit: Visit) -> Relay:
        return Relay(
            self.world.loop,
            a,
            b,
            b_half_closes=self._b_half_closes,
            pipes=pipes,
            on_done=visit.results.append,
        )

    # The trunk's far end can stand still, as if its process did.

    def stall_trunk(self) -> None:
        self.far_carrier.watch(None, None)

    def resume_trunk(self) -> None:
        self.far_carrier.watch(self.far._trunk_readable, self.far._trunk_writable)

    def warm_up(self, visit: Visit) -> None:
        """Upload until the direction is spliced and its window has grown; forget what came."""
        data = pattern(4 * MIB)
        visit.user.say(data)
        self.world.until(lambda: len(visit.service.got) == len(data), "the warm-up")
        assert visit.service.got == data
        visit.service.got.clear()
        assert visit.splicing() in {"near in, far in", "near in"}

    def clog(self, visit: Visit) -> bytes:
        """Stall the trunk, let a visitor fill it, and return what it said.

        A frame of that visitor is started then, and its relay would read on.
        """
        self.stall_trunk()
        said = b""
        while not self.near._trunk_blocked:
            said += pattern(CHUNK, len(said))
            visit.user.say(said[-CHUNK:])
            self.world.settle()
        return said

    @property
    def pipes_are_home(self) -> bool:
        return self.near_pool.lent == self.far_pool.lent == 0

    def close(self) -> None:
        for visit in self.visits:
            for relay in (visit.near, visit.far):
                assert relay is not None
                relay.abort("over")
            for peer in (visit.user, visit.service):
                peer.sock.close()
                self.world.peers.remove(peer)
        if self.mux:
            self.near.abort("over")
            self.far.abort("over")
        self.world.turn(3)
        assert self.pipes_are_home
        self.near_pool.close()
        self.far_pool.close()


def is_idle(world: World) -> bool:
    """Return whether the loop only waits: a turn lasts until its time is over."""
    world.settle()
    begun = time.monotonic()
    for _ in range(3):
        world.loop.run_turn(0.03)
    return time.monotonic() - begun > 0.06
