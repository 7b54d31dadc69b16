"""Limiter: one bandwidth limit for all connections of a proxy, and endpoints that keep to it.

Both directions count, as in frp. Who may not read is not watched for reading, so that bytes wait
where they are and the far end is slowed down; one timer for all resumes them. Nothing passes
through a pipe here: there would be no telling how much.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

from frpd.errors import LocalProtocolError
from frpd.net.endpoint import Buffer, Callback, Endpoint, Outcome
from frpd.net.pipes import Pipe, PipePool
from frpd.relay.budget import Budget
from frpd.selector_loop import SelectorLoop, Timer

MIN_PAUSE_SECONDS: Final = 0.001


def limiter_for(loop: SelectorLoop, bytes_per_second: int) -> Limiter | None:
    """Return who keeps this limit; None where there is none, and nothing to pay."""
    return Limiter(loop, bytes_per_second) if bytes_per_second > 0 else None


class Limiter:
    """A budget on the loop. Loop thread only.

    Args:
        loop: the loop.
        bytes_per_second: 1 or more.
    """

    def __init__(self, loop: SelectorLoop, bytes_per_second: int) -> None:
        self._loop = loop
        self._budget = Budget(bytes_per_second, loop.now())
        self._timer: Timer | None = None

    def limit(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint that keeps to the limit; it owns the other from now on."""
        return LimitedEndpoint(self, endpoint)

    def allow(self, gate: Gate) -> int:
        """Return how many bytes may pass; 0: the gate is called when it is to ask again."""
        allowed = self._budget.allow(gate, self._loop.now())
        if not allowed:
            self._arm()
        return allowed

    def spend(self, gate: Gate, nbytes: int) -> None:
        """So much has passed."""
        self._budget.spend(gate, nbytes)

    def leave(self, gate: Gate) -> None:
        """A gate is not used any more. Idempotent."""
        self._budget.leave(gate)
        if self._timer is not None and self._budget.next_deadline() is None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        when = self._budget.next_deadline()
        if self._timer is None and when is not None:
            soonest = self._loop.now() + MIN_PAUSE_SECONDS
            self._timer = self._loop.call_at(max(when, soonest), self._due)

    def _due(self) -> None:
        self._timer = None
        woken: list[Hashable] = self._budget.handle_deadline(self._loop.now())
        self._arm()
        for gate in woken:
            assert isinstance(gate, Gate)
            gate.open()


class Gate:
    """One direction of one connection: open, or waiting for its turn."""

    __slots__ = ("_limiter", "_on_open", "is_open")

    def __init__(self, limiter: Limiter, on_open: Callable[[], None]) -> None:
        self._limiter = limiter
        self._on_open = on_open
        self.is_open = True

    def allow(self) -> int:
        """Return how many bytes may pass; 0 closes it for a while."""
        if not self.is_open:
            return 0
        allowed = self._limiter.allow(self)
        self.is_open = allowed > 0
        return allowed

    def spend(self, nbytes: int) -> None:
        """So much has passed."""
        self._limiter.spend(self, nbytes)

    def open(self) -> None:
        """It may ask again; the limiter says so."""
        self.is_open = True
        self._on_open()

    def leave(self) -> None:
        """Wait no more. Idempotent."""
        self._limiter.leave(self)
        self.is_open = True


class LimitedEndpoint:
    """An Endpoint whose bytes are counted, both ways. Loop thread only.

    Args:
        limiter: of the proxy.
        inner: the endpoint; owned from now on.
    """

    __slots__ = ("_inner", "_on_readable", "_on_writable", "_reads", "_writes", "on_failure")

    def __init__(self, limiter: Limiter, inner: Endpoint) -> None:
        self.on_failure: Callback | None = None
        self._inner = inner
        self._on_readable: Callback | None = None
        self._on_writable: Callback | None = None
        self._reads = Gate(limiter, self._rewatch)
        self._writes = Gate(limiter, self._rewatch)
        inner.on_failure = self._failed

    def describe(self) -> str:
        """Return the inner endpoint's name."""
        return self._inner.describe()

    def read(self, limit: int) -> Buffer | Outcome:
        """See Endpoint.read; EMPTY also while it may not."""
        allowed = self._reads.allow()
        if not allowed:
            self._rewatch()
            return Outcome.EMPTY
        data = self._inner.read(min(limit, allowed))
        if not isinstance(data, Outcome):
            self._reads.spend(len(data))
        return data

    def unread(self, data: Buffer) -> None:
        """See Endpoint.unread; they are given back, and count again when they are read."""
        self._reads.spend(-len(data))
        self._inner.unread(data)

    def write(self, data: Buffer) -> int:
        """See Endpoint.write; also blocked while it may not."""
        view, total = memoryview(data), 0
        # Not every endpoint says again and again that it takes bytes: after a short write either
        # the limit has to resume us, or the inner endpoint.
        while total < len(view):
            allowed = self._writes.allow()
            if not allowed:
                self._rewatch()
                break
            part = view[total : total + allowed]
            taken = self._inner.write(part)
            self._writes.spend(taken)
            total += taken
            if taken < len(part):
                break
        return total

    def room(self) -> int:
        """See Endpoint.room."""
        room = self._inner.room()
        if room <= 0:
            return 0
        allowed = self._writes.allow()
        if not allowed:
            self._rewatch()
        return min(room, allowed)

    def watch(self, on_readable: Callback | None, on_writable: Callback | None) -> None:
        """See Endpoint.watch."""
        self._on_readable = on_readable
        self._on_writable = on_writable
        self._rewatch()

    def shutdown_write(self) -> None:
        """See Endpoint.shutdown_write."""
        self._inner.shutdown_write()

    def close(self) -> None:
        """See Endpoint.close."""
        self._leave()
        self._inner.close()

    def abort(self) -> None:
        """See Endpoint.abort."""
        self._leave()
        self._inner.abort()

    @property
    def splices(self) -> bool:
        """Never: see above."""
        return False

    def splice_with(self, pool: PipePool | None) -> None:
        """See Endpoint.splice_with; only ever to end it."""

    def read_pipe(self, limit: int) -> Pipe | Outcome:
        """Not to be called."""
        raise LocalProtocolError("a limited endpoint does not splice")

    def pipe_moved(self, nbytes: int) -> None:
        """Not to be called."""
        raise LocalProtocolError("a limited endpoint does not splice")

    def write_pipe(self, pipe: Pipe, limit: int) -> int:
        """Not to be called."""
        raise LocalProtocolError("a limited endpoint does not splice")

    def _rewatch(self) -> None:
        self._inner.watch(
            self._on_readable if self._reads.is_open else None,
            self._on_writable if self._writes.is_open else None,
        )

    def _leave(self) -> None:
        self._on_readable = self._on_writable = None
        self._reads.leave()
        self._writes.leave()

    def _failed(self) -> None:
        self._leave()
        if self.on_failure is not None:
            self.on_failure()
