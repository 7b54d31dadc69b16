"""One direction of a relay.

CopyHalf moves bytes through this process: at most one read per turn, so that
relays take turns, and never more read than the sink is likely to take, so
that a stalled sink costs next to nothing.
"""

from __future__ import annotations

from typing import Final, Protocol

from frpd.errors import ConnectionLost
from frpd.net.endpoint import Buffer, Endpoint, Outcome

READ_LIMIT = 128 * 1024  # per turn; larger reads gained nothing on loopback


# So much at once, so often in a row, makes a direction bulky.
FULL_BYTES = 64 * 1024
FULL_READS = 2


class RelayCore(Protocol):
    """What a half reports to."""

    def update(self) -> None:
        """Interests have changed."""

    def half_ended(self, half: CopyHalf) -> None:
        """The source has ended and the sink has everything."""

    def bulky(self, half: CopyHalf) -> None:
        """The direction carries bulk: another half may serve it better."""

    def not_bulky(self, half: CopyHalf) -> None:
        """The direction carries little at a time: copying serves it better."""

    def source_lost(self, half: CopyHalf, reason: str) -> None:
        """Reading raised ConnectionLost."""

    def sink_lost(self, half: CopyHalf, reason: str) -> None:
        """Writing raised ConnectionLost."""


class CopyHalf:
    """Reads ``source``, writes ``sink``. Loop thread only.

    Attributes:
        reading: the relay watches the source for us.
        blocked: the relay watches the sink for us.
        over: nothing will move any more.
        stopped: over because the sink was lost, not because the source ended.
        moved: payload bytes that the sink has taken.
    """

    __slots__ = (
        "_discarding",
        "_ended",
        "_fulls",
        "_pending",
        "_relay",
        "blocked",
        "moved",
        "over",
        "reading",
        "sink",
        "source",
        "stopped",
    )

    def __init__(self, relay: RelayCore, source: Endpoint, sink: Endpoint) -> None:
        self._relay: RelayCore = relay
        self.source = source
        self.sink = sink
        self._pending = b""
        self._discarding = False
        self._ended = False  # seen by a half that was stopped
        self._fulls = 0  # reads in a row that brought much
        self.reading = True
        self.blocked = False
        self.over = False
        self.stopped = False
        self.moved = 0

    @property
    def may_drop(self) -> bool:
        """Whether it was stopped and its source may go on: on_readable throws that away."""
        return self.stopped and not self._ended

    def stop(self) -> None:
        """Pass nothing on any more; drop what waits, and what on_readable finds from now on."""
        self._pending = b""
        self._discarding = True
        self.over = self.stopped = True
        self.reading = self.blocked = False

    def pass_end_on(self) -> None:
        """Tell the sink that the source has ended."""
        if not self._discarding:
            self.sink.shutdown_write()

    def discard(self) -> None:
        """Go on reading to the source's end, but throw the bytes away."""
        self._pending = b""
        self._discarding = True
        self.over = self.stopped = False
        self.reading = True
        self.blocked = False

    def leave(self) -> None:
        """The relay is over: report to nobody, so that no cycle is left for the collector."""
        self._relay = _NOBODY

    def on_readable(self) -> None:
        """The source has bytes, or has ended."""
        room = READ_LIMIT if self._discarding else self.sink.room()
        if room <= 0:
            self._block()
            return
        try:
            data = self.source.read(room if room < READ_LIMIT else READ_LIMIT)
        except ConnectionLost as error:
            self._relay.source_lost(self, str(error))
            return
        if isinstance(data, Outcome):
            if data is Outcome.EOF:
                self._end()
            return
        if not self._discarding:
            self._pass_on(data)

    def on_writable(self) -> None:
        """The sink may take more."""
        if self._pending:
            pending, self._pending = self._pending, b""
            self._pass_on(pending)
        if self._pending or self.over:
            return
        self.blocked = False
        self.reading = True
        self._relay.update()

    def _pass_on(self, data: Buffer) -> None:
        try:
            taken = self.sink.write(data)
        except ConnectionLost as error:
            self._relay.sink_lost(self, str(error))
            return
        self.moved += taken
        if taken < len(data):
            self._pending = bytes(memoryview(data)[taken:])
            self._block()
        else:
            self._weigh(taken)

    def _weigh(self, nbytes: int) -> None:
        """Judge by what one turn brought whether this is the right half."""
        self._fulls = self._fulls + 1 if nbytes >= FULL_BYTES else 0
        if self._fulls >= FULL_READS:
            self._fulls = 0
            self._relay.bulky(self)

    def _block(self) -> None:
        if not self.blocked:
            self.blocked = True
            self.reading = False
            self._relay.update()

    def _end(self) -> None:
        self.reading = self.blocked = False
        if self.stopped:
            self._ended = True
            self._relay.update()
            return
        self.over = True
        self._relay.half_ended(self)


class _Nobody:
    """Whom the halves of a relay that is over report to."""

    def update(self) -> None:
        """See RelayCore."""

    def half_ended(self, half: CopyHalf) -> None:
        """See RelayCore."""

    def bulky(self, half: CopyHalf) -> None:
        """See RelayCore."""

    def not_bulky(self, half: CopyHalf) -> None:
        """See RelayCore."""

    def source_lost(self, half: CopyHalf, reason: str) -> None:
        """See RelayCore."""

    def sink_lost(self, half: CopyHalf, reason: str) -> None:
        """See RelayCore."""


_NOBODY: Final = _Nobody()
