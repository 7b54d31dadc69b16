"""CodedEndpoint: what endpoints share that carry other bytes than they take."""

from __future__ import annotations

from typing import Final

from frpd.errors import LocalProtocolError
from frpd.net.endpoint import Buffer, Callback, Endpoint, Outcome
from frpd.net.pipes import Pipe, PipePool

RAW_READ_BYTES: Final = 64 * 1024
"""Most that is read at once: a codec may make twenty times as much of it."""
NOTHING: Final = memoryview(b"")


class CodedEndpoint:
    """The half of an Endpoint that does not depend on the code. Loop thread only.

    Whoever inherits it reads, writes and ends, calls ``_rewatch`` when what waits has
    changed, and says in ``_has_news`` when there is something that the inner endpoint
    cannot report.

    Args:
        inner: the endpoint that carries the coded bytes; owned from now on.
        decoded: plain bytes that are there already.
        pending: coded bytes that are to go out first.
    """

    __slots__ = (
        "_closing",
        "_decoded",
        "_inner",
        "_on_readable",
        "_on_writable",
        "_pending",
        "on_failure",
    )

    def __init__(self, inner: Endpoint, *, decoded: Buffer = b"", pending: Buffer = b"") -> None:
        self.on_failure: Callback | None = None
        self._inner = inner
        self._decoded = bytes(decoded)  # and bytes put back by unread()
        self._pending = memoryview(pending)  # coded bytes that the inner endpoint did not take
        self._closing = False  # closed here; what waits is still to go out
        self._on_readable: Callback | None = None
        self._on_writable: Callback | None = None
        inner.on_failure = self._inner_failed

    def describe(self) -> str:
        """Return the inner endpoint's name."""
        return self._inner.describe()

    def unread(self, data: Buffer) -> None:
        """See Endpoint.unread."""
        self._decoded = bytes(data) + self._decoded
        self._rewatch()

    def room(self) -> int:
        """Return 0 while coded bytes wait, else what the inner endpoint has."""
        return 0 if self._pending else self._inner.room()

    def watch(self, on_readable: Callback | None, on_writable: Callback | None) -> None:
        """See Endpoint.watch."""
        if not self._closing:
            self._on_readable = on_readable
            self._on_writable = on_writable
            self._rewatch()

    def abort(self) -> None:
        """See Endpoint.abort."""
        self._closing = True
        self._on_readable = self._on_writable = None
        self._inner.abort()

    # Bytes change here, so none can pass through a pipe.

    @property
    def splices(self) -> bool:
        """Never."""
        return False

    def splice_with(self, pool: PipePool | None) -> None:
        """There is nothing to splice."""

    def read_pipe(self, limit: int) -> Pipe | Outcome:
        """Ask for read()."""
        return Outcome.COPY

    def pipe_moved(self, nbytes: int) -> None:
        """There is no pipe."""

    def write_pipe(self, pipe: Pipe, limit: int) -> int:
        """Not for us; nobody asks who has read ``splices``."""
        raise LocalProtocolError("an endpoint whose bytes change cannot splice")

    # For whoever inherits.

    def _send(self, coded: Buffer) -> None:
        """Write; what is not taken waits. Raises ConnectionLost."""
        taken = self._inner.write(coded)
        if taken < len(coded):
            self._pending = memoryview(coded)[taken:]
            self._rewatch()

    def _add_pending(self, coded: bytes) -> None:
        """Put something behind what waits."""
        self._pending = memoryview(bytes(self._pending) + coded)

    def _has_news(self) -> bool:
        """Whether there is something to read that the inner endpoint no longer has."""
        return bool(self._decoded)

    def _flush(self) -> None:
        """Write what waits; called when the inner endpoint takes bytes again."""
        raise NotImplementedError

    def _rewatch(self) -> None:
        on_writable = self._on_writable
        if self._pending:
            on_writable = self._flush
        elif self._on_readable is not None and self._has_news():
            # As a rule the inner endpoint can be written, and says so on the next turn.
            on_writable = self._deliver
        self._inner.watch(self._on_readable, on_writable)

    def _deliver(self) -> None:
        if self._on_readable is not None and self._has_news():
            self._on_readable()
        if self._on_writable is not None and not self._pending:
            self._on_writable()
        if not self._closing:
            self._rewatch()

    def _inner_failed(self) -> None:
        if self.on_failure is not None:
            self.on_failure()
