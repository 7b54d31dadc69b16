"""What both directions of a session write in: its streams, its events, its output.

A stream ends here whoever ended it, so that events, table and queue agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from frpd.errors import LocalProtocolError, RemoteProtocolError
from frpd.proto.yamux.events import OpensResumed, StreamReset, WindowOpened
from frpd.proto.yamux.frames import INITIAL_WINDOW_BYTES
from frpd.proto.yamux.keepalive import Keepalive
from frpd.proto.yamux.output import MIN_SHARE_BYTES, OutputQueue
from frpd.proto.yamux.stream import Stream, StreamInput
from frpd.proto.yamux.table import StreamTable
from frpd.proto.yamux.window import WindowBudget

if TYPE_CHECKING:
    from frpd.proto.yamux.events import YamuxEvent

MAX_STREAMS: Final = 65536
HIGH_WATER_BYTES: Final = 262144


class SessionBooks:
    """The state of a session and what both of its directions do to it; see YamuxSession."""

    __slots__ = (
        "_events",
        "_failed",
        "_fin_after_payload",
        "_keepalive",
        "_last_input_at",
        "_may_accept",
        "_open_was_refused",
        "_output",
        "_partial_header",
        "_payload_id",
        "_payload_left",
        "_peer_accepts",
        "_streams",
        "_table",
        "_window_bytes",
        "_windows",
        "max_streams",
        "rising_ids",
    )

    def __init__(
        self,
        *,
        is_client: bool,
        now: float,
        max_window_bytes: int = INITIAL_WINDOW_BYTES,
        max_streams: int = MAX_STREAMS,
        keepalive_seconds: float | None = 30.0,
        high_water_bytes: int = HIGH_WATER_BYTES,
        windows: WindowBudget | None = None,
    ) -> None:
        if max_window_bytes < INITIAL_WINDOW_BYTES:
            raise LocalProtocolError("a yamux window cannot be smaller than 262144 bytes")
        if high_water_bytes < MIN_SHARE_BYTES:
            raise LocalProtocolError(f"high water must be at least {MIN_SHARE_BYTES} bytes")
        self.max_streams = max_streams
        self.rising_ids = False
        self._window_bytes = max_window_bytes
        self._windows = windows
        self._table = StreamTable(is_client=is_client, window_bytes=max_window_bytes)
        self._streams = self._table.streams
        self._events: list[YamuxEvent] = []
        self._output = OutputQueue(high_water_bytes)
        self._keepalive = Keepalive(keepalive_seconds, now)
        self._last_input_at = now
        self._partial_header = bytearray()
        self._payload_left = 0
        self._payload_id: int | None = None  # None: the rest of the payload is dropped
        self._fin_after_payload = False
        self._peer_accepts = True
        self._may_accept = True
        self._open_was_refused = False
        self._failed = False

    def _resume_opens(self) -> None:
        """Tell who was refused that one more open was settled."""
        if self._open_was_refused and not self._failed:
            self._open_was_refused = False
            self._events.append(OpensResumed())

    def _drop(self, stream_id: int, stream: Stream) -> None:
        """Kill a stream without our driver having asked for it."""
        withdrawn = self._kill(stream_id, stream)
        self._events.append(StreamReset(stream_id, withdrawn))

    def _kill(self, stream_id: int, stream: Stream) -> int:
        """End both directions; return the reserved bytes that need not be paid."""
        stream.move(StreamInput.RESET)
        self._forget(stream_id)
        if stream.withdrawable is None or self._failed:
            return 0
        withdrawn, woken = self._output.withdraw(stream.withdrawable.mark)
        self._events.extend(map(WindowOpened, woken))
        return withdrawn

    def _forget(self, stream_id: int) -> None:
        if self._windows is not None and (stream := self._streams.get(stream_id)) is not None:
            self._windows.give_back(stream.receive.limit - self._window_bytes)
        if self._table.forget(stream_id):
            self._resume_opens()
        self._output.leave(stream_id)
        if stream_id == self._payload_id:
            self._payload_id = None

    def _reply(self, kind: int, flags: int, stream_id: int, value: int) -> None:
        if not self._output.reply(kind, flags, stream_id, value):
            raise self._violation("a flood of control frames whose answers it does not read")

    def _violation(self, what: str) -> RemoteProtocolError:
        self._failed = True
        return RemoteProtocolError(f"yamux: the peer sent {what}")
