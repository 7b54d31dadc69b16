"""One loop on a clock that stands still, real sockets, and turns until a fact is true."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from frpd.net.stream import SocketStream
from frpd.selector_loop import SelectorLoop
from frpd.workers import WorkerPool
from tests.helpers.clock import MockClock

# Real milliseconds that one turn waits for the kernel, and how many turns a fact may take.
TURN_SECONDS = 0.002
PATIENCE_TURNS = 4000
QUIET_WAITS = 6


class Pumped(Protocol):
    """A scripted peer: its sockets are served between the loop's turns."""

    def pump(self) -> None:
        """Send and receive what is possible now."""


class Census:
    """What a program holds: descriptors, watches and timers."""

    def __init__(self, loop: SelectorLoop) -> None:
        self._loop = loop
        self.fds = self.count_fds()
        self.watches = loop.watch_count
        self.timers = loop.timer_count

    @staticmethod
    def count_fds() -> int:
        return len(os.listdir("/proc/self/fd"))

    def is_back(self) -> bool:
        """Whether the program holds no more than it did at the start.

        Fewer descriptors are no leak: what an earlier test left to the garbage collector, or
        to a worker, may go at any moment.
        """
        return self.count_fds() <= self.fds and self._loop.watch_count == self.watches

    def timers_are_back(self) -> bool:
        return self._loop.timer_count == self.timers


class World:
    """A loop, its clock, and the scripted peers that live beside it."""

    def __init__(self) -> None:
        self.clock = MockClock()
        self.loop = SelectorLoop(self.clock)
        self.pool = WorkerPool(self.loop)
        self.peers: list[Pumped] = []
        self.stack = ExitStack()
        self.owners = ExitStack()  # what has to be closed while the loop lives

    def close(self) -> None:
        self.owners.close()
        self.pool.close()
        self.loop.close()
        self.stack.close()

    def turn(self, count: int = 1) -> None:
        """Run turns without waiting; peers are served before each of them."""
        for _ in range(count):
            self._pump()
            self.loop.run_turn(0.0)
        self._pump()

    def until(self, fact: Callable[[], object], what: str = "") -> None:
        """Run turns until ``fact()`` is true."""
        for _ in range(PATIENCE_TURNS):
            self._pump()
            if fact():
                return
            self.loop.run_turn(TURN_SECONDS)
        pytest.fail(f"never came true: {what or fact}")

    def settle(self) -> None:
        """Run turns until all that was under way has arrived."""
        for _ in range(QUIET_WAITS):
            self.turn(3)
            self.loop.run_turn(TURN_SECONDS)
        self.turn(2)

    def advance(self, seconds: float) -> None:
        """Let time pass at once, and what comes due happen."""
        self.clock.advance(seconds)
        self.settle()

    def pass_time(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass in steps, so that peers can answer in between."""
        left = seconds
        while left > 0:
            self.clock.advance(min(step, left))
            left -= step
            self.turn(2)
            self.loop.run_turn(TURN_SECONDS)  # a busy kernel takes its time on loopback
            self.turn(2)

    def census(self) -> Census:
        return Census(self.loop)

    def pair(self) -> tuple[SocketStream, socket.socket]:
        """Return an endpoint of the loop, and the socket at its other end."""
        near, far = self.sockets()
        return SocketStream(self.loop, near, ("near", 1)), far

    def endpoints(self) -> tuple[SocketStream, SocketStream]:
        """Return two endpoints of the loop that are joined."""
        near, far = self.sockets()
        return (
            SocketStream(self.loop, near, ("far-end", 2)),
            SocketStream(self.loop, far, ("near-end", 1)),
        )

    def sockets(self) -> tuple[socket.socket, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            far = socket.create_connection(server.getsockname(), timeout=10)
            near, _ = server.accept()
        for sock in (near, far):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.stack.callback(sock.close)
        return near, far

    def _pump(self) -> None:
        for peer in list(self.peers):
            peer.pump()


class FixedEntropy:
    """Satisfies frpd.entropy.Entropy: counts up, and never jitters."""

    def __init__(self) -> None:
        self.drawn = 0
        self.spreads: list[float] = []

    def token_bytes(self, count: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(count, "big")

    def jitter(self, value: float, spread: float) -> float:
        self.spreads.append(spread)
        return value


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()
