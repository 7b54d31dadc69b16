"""FileSource: spans of an open file as something that a relay can read or splice.

Touching a page that is not in memory stops the thread that touches it, so the
loop does so only where a worker has been shortly before: it sends the next window
of the file to /dev/null, which brings its pages in and copies nothing. Whoever
reads steadily gets windows that grow, the next one while this one is read;
whoever takes long gets small ones, and again, since pages do not stay for ever.

A file that has become shorter than the span ends in ConnectionLost: what has been
announced cannot be sent any more.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from frpd.errors import ConnectionLost, LimitError
from frpd.net import splice
from frpd.net.endpoint import Buffer, Callback, Outcome
from frpd.net.pipes import Pipe, PipePool
from frpd.selector_loop import SelectorLoop
from frpd.workers import Job, WorkerPool

FIRST_WINDOW_BYTES: Final = 1024 * 1024
"""What a worker brings into memory at a time, at first."""
MAX_WINDOW_BYTES: Final = 16 * 1024 * 1024
"""The same of who reads steadily."""
WARM_SECONDS: Final = 5.0
"""For so long pages are trusted to stay."""
SPLICE_LEAST_BYTES: Final = 64 * 1024
"""What is left has to be worth a pipe."""

_MAX_COLD_READS: Final = 2
_NO_NOWAIT: Final = (errno.EOPNOTSUPP, errno.EINVAL)


class OpenFile:
    """A descriptor, closed when the last who needs it has let go: no job outlives its file."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


class FileSource:
    """Reads spans of a file, one after the other. Loop thread only.

    Args:
        loop: its clock tells how old a window is, its scratch takes what is read.
        pool: touches the pages.
        file: a regular file.
        on_ready: called when there may be something to read again.
    """

    __slots__ = (
        "_cold_reads",
        "_end",
        "_error",
        "_file",
        "_flags",
        "_job",
        "_loop",
        "_on_ready",
        "_pipe",
        "_pool",
        "_position",
        "_splices",
        "_warm_at",
        "_warm_end",
        "_window",
    )

    def __init__(
        self, loop: SelectorLoop, pool: WorkerPool, file: OpenFile, on_ready: Callback
    ) -> None:
        self._loop = loop
        self._pool = pool
        self._file: OpenFile | None = file
        self._on_ready = on_ready
        self._position = self._end = 0
        self._warm_end = 0  # a worker has been everywhere before this,
        self._warm_at = float("-inf")  # at this time
        self._window = FIRST_WINDOW_BYTES
        self._job: Job | None = None
        self._error = ""
        self._cold_reads = 0  # in a row
        self._flags = os.RWF_NOWAIT
        self._splices = True
        self._pipe: Pipe | None = None

    @property
    def left(self) -> int:
        """Bytes of the span that are yet to be read, those in a pipe aside."""
        return self._end - self._position

    @property
    def over(self) -> bool:
        """All of the span was read."""
        return self._position == self._end and not self._in_pipe

    @property
    def is_ready(self) -> bool:
        """Whether reading gives more than EMPTY."""
        return bool(self._error or self._in_pipe) or self.over or self._is_warm

    def begin(self, start: int, end: int) -> None:
        """Read this span from here on; the last one is over."""
        self._drop_job()
        self._position, self._end = start, end
        self._warm_end = start
        self._warm_up()

    def read(self, limit: int) -> Buffer | Outcome:
        """Return the next bytes; EOF at the span's end. See Endpoint.read.

        Raises:
            ConnectionLost: the file has become shorter, or cannot be read.
        """
        if self._position == self._end:
            return Outcome.EOF
        if not self._is_warm_now():
            return Outcome.EMPTY
        room = min(limit, self._warm_end - self._position, len(self._loop.scratch))
        data = self._loop.scratch[:room]
        assert self._file is not None
        try:
            count = os.preadv(self._file.fd, [data], self._position, self._flags)
        except BlockingIOError:
            self._found_cold()
            return Outcome.EMPTY
        except OSError as error:
            if self._flags and error.errno in _NO_NOWAIT:
                self._flags = 0  # not every file system can tell
                return self.read(limit)
            raise self._failed(error) from error
        self._took(count)
        return data[:count]

    def read_pipe(self, pipes: PipePool, limit: int) -> Pipe | Outcome:
        """Return a pipe with the next bytes. See Endpoint.read_pipe.

        Raises:
            ConnectionLost: as read().
        """
        pipe = self._pipe
        if self._position == self._end:
            return pipe if pipe is not None and self._in_pipe else Outcome.EOF
        if pipe is None and (not self._splices or self.left < SPLICE_LEAST_BYTES):
            return Outcome.COPY
        if not self._is_warm_now():
            return pipe if pipe is not None and self._in_pipe else Outcome.EMPTY
        if pipe is None:
            pipe = pipes.acquire()
            if pipe is None:
                return Outcome.COPY
            self._pipe = pipe
            pipe.on_paid = self._pipe_paid
        return self._fill(pipe, limit)

    def pipe_moved(self) -> None:
        """Bytes of the pipe were taken: an empty one goes back."""
        self._pipe_paid()

    def return_pipe(self) -> None:
        """Splice no more, for now; what is in the pipe and not promised is lost."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.give_back()

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        self.return_pipe()
        self._file = None
        self._drop_job()

    @property
    def _in_pipe(self) -> int:
        return 0 if self._pipe is None else self._pipe.free_to_promise

    def _pipe_paid(self) -> None:
        if self._pipe is not None and not self._pipe.held:
            self.return_pipe()

    def _fill(self, pipe: Pipe, limit: int) -> Pipe | Outcome:
        assert self._file is not None
        limit = min(limit, self._warm_end - self._position)
        try:
            os.lseek(self._file.fd, self._position, os.SEEK_SET)
            outcome = splice.fill(self._file.fd, pipe, limit)
        except OSError as error:
            if error.errno == errno.EINVAL and not pipe.held:
                self._splices = False  # not every file system can
                self.return_pipe()
                return Outcome.COPY
            raise self._failed(error) from error
        if isinstance(outcome, int):
            self._took(outcome)
        elif outcome is Outcome.EOF:
            self._took(0)
        elif not pipe.held:
            self.return_pipe()
        return outcome if isinstance(outcome, Outcome) else pipe

    def _took(self, nbytes: int) -> None:
        if not nbytes:
            self._error = "the file has become shorter"
            raise ConnectionLost(self._error)
        self._cold_reads = 0
        self._position += nbytes
        if self._warm_end - self._position < self._window // 2 and self._is_fresh:
            self._warm_up()

    def _failed(self, error: OSError) -> ConnectionLost:
        self._error = (error.strerror or str(error)).lower()
        return ConnectionLost(self._error)

    # What is in memory.

    @property
    def _is_fresh(self) -> bool:
        return self._loop.now() - self._warm_at < WARM_SECONDS

    @property
    def _is_warm(self) -> bool:
        return self._position < self._warm_end and self._is_fresh

    def _is_warm_now(self) -> bool:
        """Whether the next bytes are in memory; if not, a worker is on its way."""
        if self._error:
            raise ConnectionLost(self._error)
        if self._is_warm:
            return True
        if self._job is None:
            self._warm_up_from_here()
        return False

    def _found_cold(self) -> None:
        """The kernel says that the next page is not in memory, whatever a worker did."""
        self._cold_reads += 1
        if self._cold_reads >= _MAX_COLD_READS:
            self._flags = 0  # it would say so for ever
        elif self._job is None:
            self._warm_up_from_here()

    def _drop_job(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def _warm_up_from_here(self) -> None:
        if self._position < self._warm_end:  # it was warm, but that is long ago
            self._warm_end = self._position
            self._window = FIRST_WINDOW_BYTES
        self._warm_up()

    def _warm_up(self) -> None:
        if self._job is not None or self._warm_end >= self._end or self._file is None:
            return
        file, start = self._file, self._warm_end
        end = min(start + self._window, self._end)
        try:
            self._job = self._pool.submit(lambda: _touch(file, start, end), self._warm, self._cold)
        except LimitError as error:
            self._error = str(error)

    def _warm(self, reach: tuple[int, int]) -> None:
        self._job = None
        start, end = reach
        if start > self._position and not self._is_fresh:
            self._warm_up_from_here()  # what lies before it is old by now
            return
        self._window = min(2 * self._window, MAX_WINDOW_BYTES)
        # Where the file ends too early, reading says so without waiting.
        self._warm_end = end
        self._warm_at = self._loop.now()
        self._on_ready()

    def _cold(self, error: Exception) -> None:
        self._job = None
        reason = error.strerror if isinstance(error, OSError) else None
        self._error = (reason or str(error)).lower()
        self._on_ready()


def _touch(file: OpenFile, start: int, end: int) -> tuple[int, int]:
    """Bring a window of a file into memory; any thread but the loop's."""
    nowhere = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
    try:
        position = start
        while position < end:
            moved = os.sendfile(nowhere, file.fd, position, end - position)
            if not moved:
                break
            position += moved
    finally:
        os.close(nowhere)
    return start, end
