"""HttpGuest: a visitor that speaks HTTP with a plugin, request by request.

Its exchanges know it as a VisitorSide. Connections to services are kept for the visitor
that caused them, and for nobody else.
"""

from __future__ import annotations

from typing import Final

from frpd.client.plugins.base import Guest, GuestServer
from frpd.http.exchange import Exchange
from frpd.http.limits import HttpLimits
from frpd.http.lines import Lines
from frpd.http.pages import error_response
from frpd.http.site import Site, WorkLine
from frpd.http.tell import what_is_asked
from frpd.metrics.counters import ProxyCounters
from frpd.net.address import SockAddr
from frpd.net.endpoint import Buffer, Endpoint
from frpd.proto import native
from frpd.proto.http.errors import HttpError
from frpd.proto.http.head import RequestHead, head_end, parse_request
from frpd.proto.message.types import StartWorkConn

LIMITS: Final = HttpLimits(answer_seconds=300.0)  # the web is slower than a local service


class HttpGuest(Guest):
    """One visitor; who derives says in ``serve`` who is asked.

    Attributes:
        loop: as VisitorSide.
        running: as VisitorSide.
        limits: as VisitorSide.
        ip: as VisitorSide.
        web: counts what passes to and from services.
    """

    def __init__(self, server: GuestServer, work: Endpoint, start: StartWorkConn) -> None:
        super().__init__(server, work, start)
        context = server.context
        self.loop = context.loop
        self.running = context.relays
        self.limits = LIMITS
        self.ip = start.src_addr
        self.web = ProxyCounters()
        self._buffer = b""  # what came and was not understood yet
        self._searched = 0  # so much of it holds no end of a head
        self._reading = False  # a head
        self._exchange: Exchange | None = None
        self._lines = Lines()

    def serve(self, head: RequestHead, body: bytes, behind: bytes) -> None:
        """Answer a request, or have it answered.

        Args:
            head: what was asked.
            body: what came of the request's body with the head; counted in ``head.body``.
            behind: what came behind the request.
        """
        raise NotImplementedError

    def ask(self, site: Site, head: RequestHead, body: bytes, behind: bytes) -> None:
        """Have a request answered by this site."""
        self._exchange = exchange = Exchange(self, site, head, body, behind)
        exchange.begin()

    def begin(self) -> None:
        """See Guest.begin."""
        self.read_on(self.limits.head_seconds)

    def received(self, data: bytes) -> None:
        """See Guest.received."""
        if not self._buffer:
            self.set_deadline(self.limits.head_seconds)
        self._buffer += data
        self._next()

    def overdue(self) -> None:
        """See Guest.overdue."""
        if self._exchange is not None:
            self._exchange.deadline_passed()
        elif not self._reading:
            self.drop("too slow")
        elif self._buffer:
            self.turn_away(None, 408, "the head of a request took too long")
        else:
            self.close()

    def retire(self) -> None:
        """See Guest.retire: an exchange or an answer under way ends with the connection."""
        if self._reading:
            self._reading = False
            self._buffer = b""
            self.finish()

    def left(self) -> None:
        """See Guest.left."""
        self._reading = False
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abort("the visitor is gone")
        self._lines.drop_all()
        self.bytes_in += self.web.bytes_in
        self.bytes_out += self.web.bytes_out

    # Requests.

    def read_on(self, seconds: float) -> None:
        """Wait for the next request."""
        self._reading = True
        self.set_deadline(seconds)
        self.listen()

    def _next(self) -> None:
        """Serve the request that the buffer begins with, if it is there."""
        buffer = self._buffer
        try:
            end = head_end(buffer, self._searched, self.limits.head)
            if not end:
                self._searched = len(buffer)
                return
            head = parse_request(buffer[:end], self.limits.head)
            rest = buffer[end:]
            taken = head.body.take(rest) if rest and not head.body.over else 0
        except HttpError as error:
            self.turn_away(None, error.status, error.reason)
            return
        self._buffer, self._searched = b"", 0
        self._reading = False
        self.work.watch(None, None)
        self.serve(head, rest[:taken], rest[taken:])

    # Answers of our own.

    def turn_away(self, head: RequestHead | None, status: int, reason: str) -> None:
        """Answer with a page, and end: what follows was not understood, or will not come."""
        self.log_refusal(head, status, reason)
        self._buffer = b""
        self._say_page(status, keep=False, head_only=head is not None and head.method == "HEAD")

    def _say_page(self, status: int, *, keep: bool, head_only: bool) -> None:
        self._reading = False
        self.set_deadline(self.limits.body_seconds)
        page = error_response(status, close=not keep, head_only=head_only)
        self.say(page, self._page_said if keep else self.finish)

    def _page_said(self) -> None:
        self.next_request(self._buffer)

    def log_refusal(self, head: RequestHead | None, status: int, reason: str) -> None:
        """Log that a request was not served, and why."""
        what = f"{head.method} {what_is_asked(head)}" if head is not None else "request"
        why = f" ({reason})" if reason else ""
        self.context.log.info('%s "%s" %d%s', self.source, what, status, why)

    # What exchanges ask of a VisitorSide.

    @property
    def stream(self) -> Endpoint:
        """The connection."""
        return self.work

    @property
    def peer(self) -> SockAddr:
        """Where the visitor is, as far as the server tells."""
        return self.start.src_addr, self.start.src_port

    @property
    def half_closes(self) -> bool:
        """Whether the end of one direction may come alone."""
        return native.HALF_CLOSE in self.context.features()

    @property
    def is_leaving(self) -> bool:
        """Whether no further request will be taken."""
        return self.is_over or self.server.is_retired

    def describe(self) -> str:
        """Return the visitor's name for logs."""
        return self.source

    def write_last(self, data: Buffer) -> int:
        """Write what the close will follow."""
        return self.work.write(data)

    def line_to(self, site: Site, stale_seconds: float) -> WorkLine | None:
        """Return the line kept for this origin, if it has not waited longer than this."""
        return self._lines.take(site, self.loop.now() - stale_seconds)

    def new_line(self, site: Site, work: Endpoint) -> WorkLine:
        """Return a line over a connection that has just been made."""
        return WorkLine(site, work)

    def keep_line(self, line: WorkLine) -> None:
        """Keep a line for the next request to its origin."""
        self._lines.keep(line, self.loop.now())

    def next_request(self, behind: bytes) -> None:
        """The exchange is over, and the connection goes on with these bytes."""
        self._exchange = None
        if self.is_over:
            return
        if self.server.is_retired:
            self.finish()
            return
        self.read_on(self.limits.idle_seconds)
        if behind:
            self._buffer = behind
            self.work.watch(None, None)
            self.loop.call_soon(self._next_of_buffer)

    def _next_of_buffer(self) -> None:
        if self._reading and not self.is_over:
            self.set_deadline(self.limits.head_seconds)
            self.listen()
            self._next()

    def refuse(self, status: int, *, head: RequestHead, keep: bool, behind: bytes) -> None:
        """Answer a request with a page; go on if ``keep`` and the visitor wants to."""
        self._exchange = None
        keep = keep and head.version == (1, 1) and not head.wants_close
        self._buffer = behind if keep else b""
        self._say_page(status, keep=keep, head_only=head.method == "HEAD")

    def end(self, *, linger: bool) -> None:
        """The exchange is over, and so is the connection."""
        self._exchange = None
        if linger:
            self.finish()
        else:
            self.close()

    def abort(self) -> None:
        """The exchange is over, and the connection lost."""
        self._exchange = None
        self.drop("an exchange was cut")
