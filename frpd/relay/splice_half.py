"""SpliceHalf: one direction of a relay whose payload stays in the kernel.

It begins where a CopyHalf proved bulky and goes back when the reads become
small. Bytes that are in this process's memory already (put back, or spilled
because a pipe was full) are copied in their turn, so order never changes.
"""

from __future__ import annotations

from frpd.errors import ConnectionLost
from frpd.net.endpoint import Endpoint, Outcome
from frpd.net.pipes import Pipe
from frpd.relay.halves import CopyHalf, RelayCore

# More than a pipe holds gains nothing; one turn's share of the loop.
SPLICE_LIMIT = 1024 * 1024
SHORT_BYTES = 16 * 1024
SHORT_TURNS = 8
COPIES_PER_TURN = 4


class SpliceHalf(CopyHalf):
    """Moves pipes from ``source`` to ``sink``. Loop thread only.

    Args:
        relay: as CopyHalf.
        source: splices, and was told so by splice_with().
        sink: splices.
        moved: what the direction has moved before.
    """

    __slots__ = ("_full_held", "_last", "_pipe", "_shorts")

    def __init__(self, relay: RelayCore, source: Endpoint, sink: Endpoint, moved: int) -> None:
        super().__init__(relay, source, sink)
        self.moved = moved
        self._pipe: Pipe | None = None  # holds bytes that the sink has not taken
        self._last: Pipe | None = None  # the pipe seen last, drained or not
        self._full_held = 0  # what it held when nothing more fitted in
        self._shorts = 0

    def on_readable(self) -> None:
        """The source has bytes, or has ended.

        What waits in memory is copied in larger turns than CopyHalf's: until it is gone,
        nothing behind it can be spliced.
        """
        for _ in range(COPIES_PER_TURN):
            before = self.moved
            if not self._read_once() or not self.reading or self.moved == before:
                return

    def _read_once(self) -> bool:
        """Move what comes next; True if it had to be copied."""
        if self.stopped:
            super().on_readable()
            return False
        try:
            outcome = self.source.read_pipe(SPLICE_LIMIT)
        except ConnectionLost as error:
            self._relay.source_lost(self, str(error))
            return False
        if isinstance(outcome, Pipe):
            before = self.moved
            self._last = outcome
            if self._push(outcome):
                self._weigh(self.moved - before)
        elif outcome is Outcome.COPY:
            super().on_readable()
        elif outcome is Outcome.EOF:
            self._end()
        elif outcome is Outcome.FULL:
            self._wait_until_drained()
        return outcome is Outcome.COPY

    def on_writable(self) -> None:
        """The sink may take more, or has paid for what it took."""
        if self._full_held:
            if not self._is_drained():
                return
            self._full_held = 0
        self.source.pipe_moved(0)
        if self._pipe is not None:
            if not self._push(self._pipe):
                return
            self._pipe = None
        super().on_writable()

    def stop(self) -> None:
        """Move nothing any more; pipes go back."""
        self._pipe = None
        self.source.splice_with(None)
        super().stop()

    def _push(self, pipe: Pipe) -> bool:
        """Let the sink take what is in the pipe; False if it did not take all."""
        try:
            while pipe.free_to_promise:
                taken = self.sink.write_pipe(pipe, pipe.free_to_promise)
                if not taken:
                    self._pipe = pipe
                    self._block()
                    return False
                self.moved += taken
                self.source.pipe_moved(taken)
        except ConnectionLost as error:
            self._relay.sink_lost(self, str(error))
            return False
        return True

    def _wait_until_drained(self) -> None:
        """Read nothing until the pipe holds less, or a level-triggered loop would spin."""
        assert self._last is not None
        self._full_held = self._last.held
        self._block()

    def _is_drained(self) -> bool:
        """Whether promised bytes were paid since; a sink that is lost may never pay."""
        assert self._last is not None
        try:
            self.sink.write_pipe(self._last, 0)
        except ConnectionLost as error:
            self._relay.sink_lost(self, str(error))
            return False
        return self._last.held < self._full_held

    def _weigh(self, nbytes: int) -> None:
        self._shorts = self._shorts + 1 if nbytes < SHORT_BYTES else 0
        if self._shorts >= SHORT_TURNS:
            self._shorts = 0
            self.reading = False  # another half does
            self._relay.not_bulky(self)
