"""SessionHistory: what has become of the sessions with the server lately."""

from __future__ import annotations

import enum
from collections import deque
from typing import Final, NamedTuple

from frpd.clock import unix_time

MAX_EVENTS: Final = 50


class Event(enum.Enum):
    """What happened."""

    CONNECTED = "connected"
    LOST = "lost"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


class SessionEvent(NamedTuple):
    """One thing that happened.

    Attributes:
        at: Unix time; of the last time, if it happened again and again.
        event: what.
        text: why, or who let us in.
        times: in a row.
    """

    at: float
    event: Event
    text: str
    times: int = 1


class SessionHistory:
    """The last events. What repeats itself is one of them. Loop thread only."""

    def __init__(self) -> None:
        self._events: deque[SessionEvent] = deque(maxlen=MAX_EVENTS)

    def note(self, event: Event, text: str) -> None:
        """Something happened."""
        now, last = round(unix_time(), 1), self._events[-1] if self._events else None
        if last is not None and (last.event, last.text) == (event, text) and _repeats(event):
            self._events[-1] = SessionEvent(now, event, text, last.times + 1)
        else:
            self._events.append(SessionEvent(now, event, text))

    def newest_first(self) -> tuple[SessionEvent, ...]:
        """Return a copy."""
        return tuple(reversed(self._events))


def _repeats(event: Event) -> bool:
    return event in (Event.REFUSED, Event.UNREACHABLE)
