"""DirectStreams: the server opens a stream when a visitor comes.

It stands where WorkConnPool stands towards clients that bring their work
connections: nothing is asked for, nothing is kept ready, nothing can die in
stock. Only between two frpd ends, and over tcp_mux (``direct-stream``).
"""

from __future__ import annotations

from collections.abc import Callable

from frpd.errors import LimitError, TransportError
from frpd.proto.seal_keys import stream_context
from frpd.proto.seal_session import SessionSeal
from frpd.selector_loop import SelectorLoop, Timer
from frpd.server.work_conns import MAX_WAITING, OnFailed, OnWork, Waiting
from frpd.transports.link import LinkStream, OnStream
from frpd.transports.work import WorkStream


class DirectStreams:
    """A WorkSource. Loop thread only.

    Args:
        loop: the loop.
        open_stream: of the client's connection; may answer at once or later.
        seal: of a sealed session.
        wait_seconds: how long a visitor waits at most, when too many opens are
            not acknowledged.
    """

    ready = 0
    asked = 0

    def __init__(
        self,
        loop: SelectorLoop,
        open_stream: Callable[[OnStream, OnFailed], None],
        *,
        seal: SessionSeal | None = None,
        wait_seconds: float,
    ) -> None:
        self._loop = loop
        self._open_stream = open_stream
        self._seal = seal
        self._wait_seconds = wait_seconds
        self._waiting: dict[Waiting, None] = {}  # oldest first
        self._timer: Timer | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """Visitors that wait."""
        return len(self._waiting)

    def fill(self) -> None:
        """Nothing is kept ready."""

    def acquire(self, on_work: OnWork, on_failed: OnFailed) -> Waiting:
        """See WorkSource.acquire."""
        if len(self._waiting) >= MAX_WAITING:
            raise LimitError(f"{MAX_WAITING} visitors wait for streams already")
        waiting = Waiting(self._loop.now() + self._wait_seconds, on_work, on_failed)
        self._waiting[waiting] = None
        self._open_stream(
            lambda stream: self._opened(waiting, stream),
            lambda error: self._fail(waiting, error),
        )
        if waiting in self._waiting and self._timer is None:
            self._rearm()
        return waiting

    def arrived(self, work: WorkStream) -> bool:
        """Nothing was asked for."""
        return False

    def close(self) -> None:
        """See WorkSource.close."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiting in list(self._waiting):
            self._fail(waiting, TransportError("the client has gone"))

    def _opened(self, waiting: Waiting, stream: LinkStream) -> None:
        late = self._waiting.pop(waiting, waiting) is waiting
        on_work, waiting.on_work = waiting.on_work, None  # or who waits would hold itself
        if late or on_work is None or self._closed:
            stream.abort()
        else:
            seal = self._seal
            sealed = None if seal is None else seal.work(stream_context(stream.stream_id))
            on_work(WorkStream(stream, sealed))

    def _fail(self, waiting: Waiting, error: TransportError) -> None:
        late = self._waiting.pop(waiting, waiting) is waiting
        if not late and waiting.on_work is not None:
            waiting.on_work = None
            waiting.on_failed(error)

    def _rearm(self) -> None:
        self._timer = None
        for oldest in self._waiting:
            self._timer = self._loop.call_at(oldest.deadline, self._deadline_passed)
            return

    def _deadline_passed(self) -> None:
        now = self._loop.now()
        for waiting in list(self._waiting):
            if waiting.deadline > now:
                break
            self._fail(waiting, TransportError("timeout trying to get work connection"))
        self._rearm()
