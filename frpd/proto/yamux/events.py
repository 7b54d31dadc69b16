"""What a yamux session tells its driver.

Plain slotted classes, not frozen dataclasses: a Data is built per frame, and
a frozen dataclass costs about three times as much to build.
"""

from __future__ import annotations

from typing import TypeAlias


class _StreamEvent:
    """Base: an event that concerns one stream and carries nothing else."""

    __slots__ = ("stream_id",)

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.stream_id})"


class StreamOpened(_StreamEvent):
    """The peer opened a stream; it is acknowledged already."""

    __slots__ = ()


class Data:
    """Payload of a stream, a part of a frame or a whole one, never empty.

    ``payload`` is borrowed: it is valid until the next ``receive_data``.
    Report it with ``consumed`` when the far side took it.
    """

    __slots__ = ("payload", "stream_id")

    def __init__(self, stream_id: int, payload: memoryview) -> None:
        self.stream_id = stream_id
        self.payload = payload

    def __repr__(self) -> str:
        return f"Data({self.stream_id}, {len(self.payload)} bytes)"


class WindowOpened(_StreamEvent):
    """A stream whose send was cut short may send again: try now."""

    __slots__ = ()


class StreamEnded(_StreamEvent):
    """The peer ended its direction; no Data follows. Ours stays open."""

    __slots__ = ()


class StreamReset(_StreamEvent):
    """Both directions are dead: the peer reset it, time ran out, or the session ended.

    ``withdrawn``: bytes of its reserved payload that need not be paid any more,
    as ``reset_stream`` tells them.
    """

    __slots__ = ("withdrawn",)

    def __init__(self, stream_id: int, withdrawn: int = 0) -> None:
        self.stream_id = stream_id
        self.withdrawn = withdrawn


class GoAwayReceived:
    """The peer takes no new streams; those that exist go on."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "GoAwayReceived()"


class OpensResumed:
    """``open_stream`` was refused for too many unacknowledged opens; it works again."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "OpensResumed()"


class PingAnswered:
    """The peer answered our keepalive ping after ``rtt_seconds``."""

    __slots__ = ("rtt_seconds",)

    def __init__(self, rtt_seconds: float) -> None:
        self.rtt_seconds = rtt_seconds

    def __repr__(self) -> str:
        return f"PingAnswered({self.rtt_seconds})"


YamuxEvent: TypeAlias = (
    StreamOpened
    | Data
    | WindowOpened
    | StreamEnded
    | StreamReset
    | GoAwayReceived
    | OpensResumed
    | PingAnswered
)
