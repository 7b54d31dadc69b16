"""A loop on a clock that stands still, and socket pairs that are closed afterwards."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from frpd.selector_loop import SelectorLoop
from tests.helpers.clock import MockClock

MakePair = Callable[[], tuple[socket.socket, socket.socket]]


@pytest.fixture
def clock() -> MockClock:
    return MockClock()


@pytest.fixture
def loop(clock: MockClock) -> Iterator[SelectorLoop]:
    made = SelectorLoop(clock)
    yield made
    made.close()


@pytest.fixture
def make_pair() -> Iterator[MakePair]:
    with ExitStack() as stack:

        def make() -> tuple[socket.socket, socket.socket]:
            near, far = socket.socketpair()
            for end in (near, far):
                end.setblocking(False)
                stack.callback(end.close)
            return near, far

        yield make
