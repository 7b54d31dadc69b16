"""StaticVisit: a visitor's connection as the web server at its far end sees it.

An Endpoint without a socket: a relay writes requests into it and reads answers out
of it, so back-pressure, splicing, half-closes and books are the relay's as with any
local service. Requests are taken one after the other; what comes meanwhile waits,
within bounds. Whatever touches a file is done by workers.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from frpd.client.plugins.static_answers import Answer, Part, page_answer
from frpd.errors import ConnectionLost, LimitError
from frpd.log import PrefixLogger
from frpd.net.endpoint import Buffer, Callback, Outcome
from frpd.net.file_source import FileSource
from frpd.net.pipes import Pipe, PipePool
from frpd.proto.http.errors import HttpError
from frpd.proto.http.head import RequestHead, head_end, parse_request
from frpd.selector_loop import SelectorLoop, Timer
from frpd.workers import Job, WorkerPool

INPUT_BYTES: Final = 64 * 1024
"""Most bytes of requests that wait here; more than a head may have."""


@dataclass(frozen=True, slots=True)
class VisitLimits:
    """How long a visit waits for what."""

    head_seconds: float = 60.0
    """For the rest of a head, and for the first. As in frp."""
    idle_seconds: float = 120.0
    """For the next request. Longer than a server with virtual hosts keeps its connections."""
    stall_seconds: float = 300.0
    """For the visitor to take anything of an answer."""


class Site(Protocol):
    """Who answers requests."""

    def refusal(self, head: RequestHead, *, keep: bool) -> Answer | None:
        """Return the answer to a request that needs no look at the files."""

    def answer(self, head: RequestHead, *, keep: bool) -> Answer:
        """Return the answer to a request that was not refused. Worker threads only."""


class StaticVisit:
    """Serves one connection's requests, as an Endpoint. Loop thread only.

    Args:
        loop: the loop.
        pool: asks the site, and reads ahead in files.
        site: answers.
        log: of the proxy.
        name: the visitor's, for the log.
        on_closed: called once, when the relay has let go.
        limits: of time.
    """

    __slots__ = (
        "_closed",
        "_ending",
        "_given",
        "_input",
        "_input_ended",
        "_job",
        "_keep",
        "_log",
        "_loop",
        "_lost",
        "_mark",
        "_on_closed",
        "_on_readable",
        "_on_writable",
        "_parts",
        "_pipes",
        "_pool",
        "_request",
        "_scheduled",
        "_searched",
        "_site",
        "_source",
        "_span",
        "_text",
        "_timer",
        "limits",
        "name",
        "on_failure",
    )

    def __init__(
        self,
        loop: SelectorLoop,
        pool: WorkerPool,
        site: Site,
        log: PrefixLogger,
        *,
        name: str,
        on_closed: Callback,
        limits: VisitLimits | None = None,
    ) -> None:
        self.on_failure: Callback | None = None
        self.name = name
        self.limits = limits or VisitLimits()
        self._loop = loop
        self._pool = pool
        self._site = site
        self._log = log
        self._on_closed: Callback | None = on_closed
        # Requests.
        self._input = bytearray()
        self._searched = 0  # so much of it holds no end of a head
        self._input_ended = False
        self._request = ""  # the one under way, for the log
        self._job: Job | None = None
        # The answer under way.
        self._parts: deque[Part] = deque()
        self._text: Buffer = b""  # of it, what comes next
        self._source: FileSource | None = None
        self._span = False  # what comes next is a span of the file
        self._keep = True
        self._given = 0
        # The whole.
        self._ending = False  # no request will be taken any more
        self._lost = ""
        self._closed = False
        self._on_readable: Callback | None = None
        self._on_writable: Callback | None = None
        self._scheduled = False
        self._pipes: PipePool | None = None
        self._timer: Timer | None = None
        self._mark = 0
        self._wait(self.limits.head_seconds)

    def describe(self) -> str:
        """Return a name for logs."""
        return f"files for {self.name}"

    def finish(self) -> None:
        """Take no further request; the one under way is answered."""
        self._ending = True
        self._keep = False
        self._input.clear()
        self._schedule()

    # Answers.

    def read(self, limit: int) -> Buffer | Outcome:
        """See Endpoint.read.

        Raises:
            ConnectionLost: the answer cannot be completed.
        """
        self._check()
        data: Buffer | Outcome
        if len(self._text):
            data, self._text = self._text[:limit], self._text[limit:]
        elif self._span:
            assert self._source is not None
            data = self._source.read(limit)
        else:
            return self._nothing()
        if not isinstance(data, Outcome):
            self._gave(len(data))
        return data

    def unread(self, data: Buffer) -> None:
        """See Endpoint.unread."""
        self._text = bytes(data) + bytes(self._text)
        self._given -= len(data)
        self._schedule()

    def _check(self) -> None:
        if self._lost:
            raise ConnectionLost(self._lost)

    def _nothing(self) -> Outcome:
        return Outcome.EOF if self._ending and not self._is_busy else Outcome.EMPTY

    @property
    def _is_busy(self) -> bool:
        """Whether a request is being answered."""
        return bool(self._job or self._parts or len(self._text) or self._span)

    def _gave(self, nbytes: int) -> None:
        self._given += nbytes
        if len(self._text):
            return
        if self._span:
            assert self._source is not None
            if not self._source.over:
                return
            self._span = False
        if not self._next_part():
            self._answered()

    def _next_part(self) -> bool:
        """Go on to what comes next in the answer; False if that was all."""
        if not self._parts:
            return False
        part = self._parts.popleft()
        if isinstance(part, bytes):
            self._text = memoryview(part)
        else:
            assert self._source is not None
            self._span = True
            self._source.begin(*part)
        return True

    # Requests.

    def write(self, data: Buffer) -> int:
        """See Endpoint.write."""
        if self._ending:
            return len(data)  # nobody reads this any more
        taken = min(len(data), self.room())
        if not self._input and not self._is_busy:
            self._wait(self.limits.head_seconds)
        self._input += data[:taken]
        self._take_request()
        return taken

    def room(self) -> int:
        """See Endpoint.room."""
        return INPUT_BYTES if self._ending else INPUT_BYTES - len(self._input)

    def shutdown_write(self) -> None:
        """The visitor says no more; what it has asked for is answered."""
        self._input_ended = True
        if not self._is_busy:
            self._end()

    def _take_request(self) -> None:
        """Begin with the next request if it has come, and the last one is over."""
        if self._is_busy or self._ending:
            return
        try:
            end = head_end(self._input, self._searched)
            if not end:
                self._searched = len(self._input)
                return
            head = parse_request(self._input[:end])
        except HttpError as error:
            self._request = f"a bad request ({error.reason})"
            self._begin(page_answer(error.status, keep=False))
            return
        del self._input[:end]
        self._searched = 0
        self._dispatch(head)

    def _dispatch(self, head: RequestHead) -> None:
        # Content has no meaning here, so nobody looks for its end.
        keep = head.body.over and not head.wants_close and head.method != "CONNECT"
        self._request = f"{head.method} {head.target.partition('?')[0]}"
        refusal = self._site.refusal(head, keep=keep)
        if refusal is not None:
            self._begin(refusal)
            return
        try:
            self._job = self._pool.submit(
                lambda: self._site.answer(head, keep=keep), self._begin, self._failed
            )
        except LimitError as error:
            self._log.warning("%s: %s", self._request, error)
            self._begin(page_answer(503, keep=keep, head=head))

    def _failed(self, error: Exception) -> None:
        self._log.error("%s failed: %r", self._request, error)
        self._begin(page_answer(500, keep=False))

    def _begin(self, answer: Answer) -> None:
        self._job = None
        if answer.note:
            self._log.warning("%s: %s", self._request, answer.note)
        self._request += f" {answer.status}"
        self._given = 0
        self._keep = answer.keep and not self._ending
        if not answer.keep:
            self._ending = True
            self._input.clear()
        if answer.file is not None:
            self._source = FileSource(self._loop, self._pool, answer.file, self._schedule)
        self._parts = answer.parts
        self._next_part()
        self._wait(self.limits.stall_seconds)
        self._schedule()

    def _answered(self) -> None:
        """The relay has taken all of an answer."""
        self._log.debug("%s %s, %d bytes", self.name, self._request, self._given)
        self._drop_source()
        if not self._keep:
            self._end()
            return
        self._wait(self.limits.head_seconds if self._input else self.limits.idle_seconds)
        self._take_request()
        if self._input_ended and not self._is_busy:
            self._end()
        self._schedule()

    def _end(self) -> None:
        self._ending = True
        self._stop_timer()
        self._schedule()

    # The relay's interests.

    def watch(self, on_readable: Callback | None, on_writable: Callback | None) -> None:
        """See Endpoint.watch."""
        if not self._closed:
            self._on_readable = on_readable
            self._on_writable = on_writable
            self._schedule()

    def close(self) -> None:
        """Let go of everything: a relay closes what has said its end. Idempotent."""
        if self._closed:
            return
        self._closed = self._ending = True
        self._on_readable = self._on_writable = None
        self._stop_timer()
        self._drop_source()
        if self._job is not None:
            self._job.cancel()
            self._job = None
        on_closed, self._on_closed = self._on_closed, None
        if on_closed is not None:
            on_closed()

    def abort(self) -> None:
        """See close(): there is nobody to reset."""
        self.close()

    def _has_news(self) -> bool:
        if self._lost or len(self._text):
            return True
        if self._span:
            assert self._source is not None
            return self._source.is_ready
        return self._ending and not self._is_busy

    def _is_wanted(self) -> bool:
        readable = self._on_readable is not None and self._has_news()
        return readable or (self._on_writable is not None and self.room() > 0)

    def _schedule(self) -> None:
        if not self._scheduled and self._is_wanted():
            self._scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        try:
            if self._on_readable is not None and self._has_news():
                self._on_readable()
            if self._on_writable is not None and self.room() > 0:
                self._on_writable()
        except MemoryError:
            raise  # see SelectorLoop
        except Exception:
            self._log.exception("a callback of %s failed", self.describe())
            self._fail()
        self._schedule()

    # Payload that never enters this process.

    @property
    def splices(self) -> bool:
        """Files do; what is not one is copied in its turn."""
        return True

    def splice_with(self, pool: PipePool | None) -> None:
        """See Endpoint.splice_with."""
        self._pipes = pool
        if pool is None and self._source is not None:
            self._source.return_pipe()

    def read_pipe(self, limit: int) -> Pipe | Outcome:
        """See Endpoint.read_pipe."""
        self._check()
        if len(self._text) or self._pipes is None:
            return Outcome.COPY
        if not self._span:
            return self._nothing()
        assert self._source is not None
        return self._source.read_pipe(self._pipes, limit)

    def pipe_moved(self, nbytes: int) -> None:
        """See Endpoint.pipe_moved."""
        if self._source is not None:
            self._source.pipe_moved()
        if nbytes:
            self._gave(nbytes)

    def write_pipe(self, pipe: Pipe, limit: int) -> int:
        """See Endpoint.write_pipe: a visitor who says so much is read as any other."""
        limit = min(limit, pipe.free_to_promise, self.room())
        return self.write(pipe.read(limit)) if limit else 0

    # Time.

    def _wait(self, seconds: float) -> None:
        self._stop_timer()
        self._mark = self._given
        self._timer = self._loop.call_later(seconds, self._waited)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _waited(self) -> None:
        self._timer = None
        if not self._is_busy:
            if self._input:
                self._request = "half a request"
                self._begin(page_answer(408, keep=False))
            else:
                self._end()
        elif self._given != self._mark or self._job is not None:
            self._wait(self.limits.stall_seconds)
        else:
            self._lost = "the visitor takes nothing"
            self._fail()

    def _fail(self) -> None:
        """Have the relay let go: it may not be watching."""
        self._lost = self._lost or "failed here"
        if self.on_failure is not None:
            self.on_failure()

    def _drop_source(self) -> None:
        source, self._source = self._source, None
        self._span = False
        if source is not None:
            source.close()
