"""Inbox: a client's messages in their order, also while one of them waits for a decision."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from frpd.errors import LimitError
from frpd.proto.message.types import Message

MAX_WAITING: Final = 4096
"""Room for all proxies of a large client, told at once."""


class Inbox:
    """Hands messages on, one after the other. Loop thread only.

    Args:
        handle: takes a message; it may call ``hold``.
    """

    __slots__ = ("_handle", "_held", "_waiting")

    def __init__(self, handle: Callable[[Message], None]) -> None:
        self._handle = handle
        self._held = 0
        self._waiting: deque[Message] = deque()

    @property
    def is_held(self) -> bool:
        """Whether a message waits for a decision."""
        return self._held > 0

    def receive(self, message: Message) -> None:
        """Hand a message on, now or in its turn.

        Raises:
            LimitError: too many wait.
        """
        if not self._held:
            self._handle(message)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append(message)
        else:
            raise LimitError(f"{MAX_WAITING} messages wait for a decision about another")

    def hold(self) -> None:
        """Keep what comes until ``go_on`` was called as often."""
        self._held += 1

    def go_on(self) -> None:
        """A decision is there: hand on what has come meanwhile, if no other is awaited."""
        self._held -= 1
        while self._waiting and not self._held:
            self._handle(self._waiting.popleft())

    def close(self) -> None:
        """Hand on nothing of what waits. Idempotent."""
        self._waiting.clear()
