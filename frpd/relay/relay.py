"""Relay: joins two endpoints until both directions are over.

Two halves, one per direction, that know nothing of each other. The relay
keeps their interests apart (an endpoint is read by one half and written by
the other), ends them and counts.

How ends travel:

* A clean end of one side is passed on as a clean end of our writing to the
  other; the opposite direction goes on (half-close).
* Where one side speaks frp's own protocol without half-close, its end means
  that it has closed altogether: what it sent is delivered, then both go.
* When one side can no longer be written, what it still has to say is
  delivered before the loss is passed on. If that was a clean end, the other
  side gets it and a second to end as well: a reset would destroy what is
  still on its way there.
* A reset is passed on as a reset, because an end would look like a complete
  answer. Only where ``b`` is lost before its first byte ``a`` sees an end at
  once: that is how frp's users know a local service that refuses.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from frpd.net.endpoint import Endpoint
from frpd.net.pipes import PipePool
from frpd.net.stream import SocketEnds
from frpd.relay.halves import CopyHalf
from frpd.relay.splice_half import SpliceHalf
from frpd.selector_loop import SelectorLoop, Timer

# How long we listen to a side that nobody reads any more, so that closing it
# does not destroy what is still on its way to it (RFC 9112, 9.6, same reason).
LINGER_SECONDS = 1.0


class Ending(enum.Enum):
    """How a relay ended, for the access log."""

    CLEAN = "closed"
    RESET = "reset"
    ABORTED = "aborted"


@dataclass(slots=True)
class RelayResult:
    """What passed: payload bytes from a to b and back, and how it ended.

    ``ended_by`` is the side that ended or was lost first, a or b; "" if it was neither.
    """

    a_to_b: int
    b_to_a: int
    ending: Ending
    reason: str
    ended_by: str = field(default="", compare=False)


class Relay:
    """Copies between endpoints ``a`` and ``b``. Loop thread only.

    Args:
        loop: for the one timer that a relay may need.
        a: usually the visitor (server) or the local service (client).
        b: usually the work connection.
        a_half_closes: False when an end of stream from ``a`` means that a's
            owner has closed both directions (a Go peer).
        b_half_closes: the same of ``b``.
        pipes: for directions that carry bulk; None to copy everything.
        on_done: called once, after both endpoints were closed or aborted.
    """

    __slots__ = (
        "_a",
        "_a_half_closes",
        "_ab",
        "_b",
        "_b_half_closes",
        "_ba",
        "_first",
        "_lost",
        "_on_done",
        "_pipes",
        "_timer",
        "loop",
    )

    def __init__(
        self,
        loop: SelectorLoop,
        a: Endpoint,
        b: Endpoint,
        *,
        a_half_closes: bool = True,
        b_half_closes: bool,
        pipes: PipePool | None = None,
        on_done: Callable[[RelayResult], None],
    ) -> None:
        self.loop = loop
        self._pipes = pipes
        self._a = a
        self._b = b
        self._a_half_closes = a_half_closes
        self._b_half_closes = b_half_closes
        self._on_done: Callable[[RelayResult], None] | None = on_done
        self._timer: Timer | None = None
        self._lost = ""
        self._first = ""
        self._ab: CopyHalf = CopyHalf(self, a, b)
        self._ba: CopyHalf = CopyHalf(self, b, a)
        a.on_failure = b.on_failure = self._side_failed
        self.update()

    @property
    def a_to_b(self) -> int:
        """Payload bytes moved from a to b so far."""
        return self._ab.moved

    @property
    def b_to_a(self) -> int:
        """Payload bytes moved from b to a so far."""
        return self._ba.moved

    def abort(self, reason: str) -> None:
        """Reset both sides now. Idempotent."""
        self._lost = self._lost or reason
        self._finish(Ending.ABORTED)

    # What the halves report.

    def update(self) -> None:
        """Set both endpoints' interests from the halves' states."""
        self._watch(self._a, self._ab, self._ba)
        self._watch(self._b, self._ba, self._ab)

    def _watch(self, side: Endpoint, reader: CopyHalf, writer: CopyHalf) -> None:
        # A side may take nothing before its own words are taken, as an echo does: where
        # nobody wants them any more they are dropped.
        reads = reader.reading or (writer.blocked and reader.may_drop)
        side.watch(
            reader.on_readable if reads else None, writer.on_writable if writer.blocked else None
        )

    def bulky(self, half: CopyHalf) -> None:
        """Splice a direction from here on, if both its ends can."""
        if self._pipes is None or not (half.source.splices and half.sink.splices):
            return
        half.source.splice_with(self._pipes)
        self._replace(half, SpliceHalf(self, half.source, half.sink, half.moved))

    def not_bulky(self, half: CopyHalf) -> None:
        """Copy a direction from here on."""
        self._copy(half)

    def _copy(self, half: CopyHalf) -> CopyHalf:
        half.source.splice_with(None)
        copy = CopyHalf(self, half.source, half.sink)
        copy.moved = half.moved
        self._replace(half, copy)
        return copy

    def _replace(self, half: CopyHalf, other: CopyHalf) -> None:
        if half is self._ab:
            self._ab = other
        else:
            self._ba = other
        self.update()

    def half_ended(self, half: CopyHalf) -> None:
        """A direction is over: its source ended and its sink has everything."""
        self._first = self._first or ("a" if half is self._ab else "b")
        other = self._other(half)
        if other.over and not other.stopped:
            self._finish(Ending.RESET if self._lost else Ending.CLEAN, resets=False)
            return  # closing says more than an end, in one call less
        half.pass_end_on()
        half_closes = self._a_half_closes if half is self._ab else self._b_half_closes
        if other.stopped or not half_closes:
            self._linger(other)
        self.update()

    def source_lost(self, half: CopyHalf, reason: str) -> None:
        """Reading failed: the side is gone, and so is all that it could say."""
        self._lost = self._lost or reason
        self._first = self._first or ("a" if half is self._ab else "b")
        if half is self._ba and not half.moved:
            self._a.close()
        self._finish(Ending.RESET)

    def sink_lost(self, half: CopyHalf, reason: str) -> None:
        """Writing failed: hear the side out, then pass the loss on."""
        self._lost = self._lost or reason
        self._first = self._first or ("b" if half is self._ab else "a")
        half.stop()
        other = self._other(half)
        if other.stopped:
            self._finish(Ending.RESET)
            return
        if other.over:
            self._linger(half)
        self.update()

    def _other(self, half: CopyHalf) -> CopyHalf:
        return self._ba if half is self._ab else self._ab

    def _linger(self, half: CopyHalf) -> None:
        """Nobody takes what ``half`` reads, and its source has been told the end."""
        self._copy(half).discard()  # what is in a pipe cannot be thrown away
        self._timer = self.loop.call_later(LINGER_SECONDS, self._linger_over)

    def _linger_over(self) -> None:
        self._timer = None
        if not self._ba.over:  # an end alone would not tell b that nobody listens
            self._b.abort()
        self._finish(Ending.RESET if self._lost else Ending.CLEAN, resets=bool(self._lost))

    def _side_failed(self) -> None:
        self.abort("connection lost")

    def _finish(self, ending: Ending, *, resets: bool = True) -> None:
        on_done, self._on_done = self._on_done, None
        if on_done is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        for endpoint in (self._a, self._b):
            endpoint.on_failure = None
            if resets:
                endpoint.abort()
            else:
                endpoint.close()
        self._ab.leave()
        self._ba.leave()
        first = "" if ending is Ending.ABORTED else self._first
        on_done(RelayResult(self._ab.moved, self._ba.moved, ending, self._lost, first))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something under way has got.

    Attributes:
        owner: the name of the proxy, or of the visitor, that it belongs to.
        source: who came, such as ``192.0.2.7:51022``.
        begun: when, on the loop's clock.
        bytes_in: payload towards the service so far.
        bytes_out: payload from the service so far.
    """

    owner: str
    source: str
    begun: float
    bytes_in: int
    bytes_out: int


class Running(Protocol):
    """Something under way between two endpoints, on behalf of a proxy or a visitor."""

    def abort(self, reason: str) -> None:
        """Reset both sides now. Idempotent."""

    def progress(self) -> Progress:
        """Return a copy of what is known of it now."""

    def socket(self) -> SocketEnds | None:
        """Return the socket of the end that is not a peer of ours: visitor, user or service.

        None if there is no such socket of TCP, or none any more. Costs a system call.
        """


class Relays(Protocol):
    """Who keeps count of what is under way: a service."""

    def relay_started(self, relay: Running) -> None:
        """A relay began."""

    def relay_ended(self, relay: Running) -> None:
        """It is over."""
