"""HandshakeQueue: handshakes are made one in a turn, so that all else is served between.

What a peer sends makes us sign and agree on keys, which takes as long as a hundred reads. When
many come at once, a turn would last as long as all of them. A step that takes long, as one with
a key of RSA does, is followed by a rest, so that handshakes never have more than a quarter of
the time.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from frpd.net.endpoint import Callback
from frpd.selector_loop import SelectorLoop

LONG: Final = 8
"""A queue of so many is as much as we can do."""
LONG_STEP_SECONDS: Final = 0.0008
RESTS: Final = 3.0
"""Times the length of a long step."""


class HandshakeQueue:
    """First come, first served. Loop thread only.

    Args:
        loop: the loop.
    """

    __slots__ = ("_loop", "_steps")

    def __init__(self, loop: SelectorLoop) -> None:
        self._loop = loop
        self._steps: deque[Callback] = deque()

    def is_long(self) -> bool:
        """Whether no more should be begun."""
        return len(self._steps) >= LONG

    def add(self, step: Callback) -> None:
        """Have a step of a handshake made in a turn of its own; never inside this call."""
        self._steps.append(step)
        if len(self._steps) == 1:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        begun = self._loop.clock.now()
        try:
            self._steps[0]()
        finally:  # one that fails must not stop the others; the loop says what it was
            self._steps.popleft()
            if self._steps:
                self._go_on(self._loop.clock.now() - begun)

    def _go_on(self, took: float) -> None:
        if took > LONG_STEP_SECONDS:
            self._loop.call_later(took + took * RESTS, self._next)  # the turn began before it
        else:
            self._loop.call_soon(self._next)
