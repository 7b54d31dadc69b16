"""HttpVisitor: a visitor's connection to the http virtual hosts, request by request.

Each request is routed, authenticated and answered by itself, one after the other;
what was sent ahead waits. Work connections are kept for the visitor that used
them, and for nobody else.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING, Final, TypeAlias

from frpd.errors import ConnectionLost
from frpd.http.exchange import Exchange
from frpd.http.lines import Lines
from frpd.http.pages import error_response, retry_after
from frpd.http.site import Site, WorkLine
from frpd.http.tell import came_to, credentials, facts_of, what_is_asked
from frpd.log import get_logger
from frpd.net.address import SockAddr, host_of
from frpd.net.endpoint import Buffer, Endpoint, Outcome
from frpd.net.stream import SocketStream
from frpd.proto.http.errors import HttpError
from frpd.proto.http.head import RequestHead, head_end, parse_request
from frpd.relay.relay import LINGER_SECONDS
from frpd.selector_loop import Timer

if TYPE_CHECKING:
    from frpd.metrics.access import ProxyAccess
    from frpd.net.visitor_gate import Refusal
    from frpd.server.door import Ticket
    from frpd.server.vhost.http_host import HttpHost

READ_BYTES: Final = 16 * 1024
Headers: TypeAlias = tuple[tuple[str, str], ...]

_log = get_logger("frpd.server.vhost.http")


class _State(enum.Enum):
    READING = "reads a head"
    SERVING = "has an exchange"
    SENDING = "sends a page"
    LINGERING = "hears the visitor out"
    CLOSED = "closed"


class HttpVisitor:
    """One connection. Loop thread only.

    Args:
        host: everything that visitors share.
        stream: accepted; owned from now on.
    """

    __slots__ = (
        "_buffer",
        "_deadline",
        "_exchange",
        "_host",
        "_keeps",
        "_lines",
        "_searched",
        "_state",
        "_ticket",
        "_timer",
        "_unsent",
        "ip",
        "limits",
        "loop",
        "running",
        "stream",
    )

    def __init__(self, host: HttpHost, stream: SocketStream) -> None:
        self.loop = host.loop
        self.limits = host.limits
        self.running = host.running
        self.stream = stream
        self.ip = host_of(stream.peer)
        self._host = host
        self._state = _State.READING
        self._buffer = b""  # what came and was not understood yet
        self._searched = 0  # so much of it holds no end of a head
        self._exchange: Exchange | None = None
        self._lines = Lines()
        self._unsent = b""
        self._keeps = False  # what follows once that is sent
        self._timer: Timer | None = None
        self._deadline = math.inf
        self._ticket: Ticket | None = host.door.admit(self.ip, self._too_late)
        stream.on_failure = self.abort
        stream.watch(self._read, None)

    @property
    def peer(self) -> SockAddr:
        """Where the visitor is."""
        return self.stream.peer

    @property
    def half_closes(self) -> bool:
        """Whether the end of one direction may come alone."""
        return True

    def describe(self) -> str:
        """Return the visitor's address."""
        return self.stream.describe()

    def write_last(self, data: Buffer) -> int:
        """Write what the close will follow at once: both leave in one segment."""
        return self.stream.write_more(data)

    @property
    def is_leaving(self) -> bool:
        """Whether no further request will be taken."""
        return self._host.is_leaving

    def go_away(self) -> None:
        """Take no further request; the one under way goes on."""
        if self._state is _State.READING:
            self.close()

    def close(self) -> None:
        """End the connection, and what was kept for it. Idempotent."""
        self._leave()
        self.stream.close()

    def abort(self) -> None:
        """Reset the connection. Idempotent."""
        self._leave()
        self.stream.abort()

    def _leave(self) -> None:
        if self._state is _State.CLOSED:
            return
        self._state = _State.CLOSED
        self.stream.on_failure = None  # or each would hold the other
        self._leave_door()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abort("the visitor is gone")
        self._lines.drop_all()
        self._host.visitor_left(self)

    # Requests.

    def _read(self) -> None:
        try:
            data = self.stream.read(READ_BYTES)
        except ConnectionLost:
            self.close()
            return
        if isinstance(data, Outcome):
            if data is Outcome.EOF:
                self.close()
            return
        self._buffer = self._buffer + data if self._buffer else bytes(data)
        self._next()

    def _next(self) -> None:
        """Serve the request that the buffer begins with, if it is there."""
        buffer = self._buffer
        try:
            end = head_end(buffer, self._searched, self.limits.head)
            if not end:
                self._searched = len(buffer)
                if self._ticket is None:
                    self._ticket = self._host.door.admit(self.ip, self._too_late)
                    self.set_deadline(math.inf)
                return
            head = parse_request(buffer[:end], self.limits.head)
            self._buffer, self._searched = b"", 0
            self._leave_door()
            rest = buffer[end:]
            body = b""
            if rest and not head.body.over:
                taken = head.body.take(rest)
                body, rest = rest[:taken], rest[taken:]
        except HttpError as error:
            self._leave_door()
            self._log_refusal(None, error.status, error.reason)
            self._send_page(error.status)
            return
        self._serve(head, body, rest)

    def _serve(self, head: RequestHead, body: bytes, behind: bytes) -> None:
        who, status = credentials(head)
        sites = self._host.find(head, who[0] if who else "")
        if sites is None:
            may_ask = status == 407 and self._host.has_users(head)
            self._turn_away(head, 407 if may_ask else 404, behind)
        elif (refused := sites.refusal(self.ip)) is not None:
            self._not_now(head, *refused, behind)
        elif who and (wait := self._host.guesses.wait_seconds(sites, self.ip)):
            self._has_to_wait(head, wait, behind)
        elif not sites.admits(who):
            if who:
                self._host.guesses.wrong(sites, self.ip)
            self._turn_away(head, status, behind)
        else:
            self._state = _State.SERVING
            site = sites.choose(self.ip)
            self._exchange = exchange = Exchange(
                self, site, head, body, behind, spares=sites.spares
            )
            exchange.begin()

    def _turn_away(self, head: RequestHead, status: int, behind: bytes) -> None:
        self._log_refusal(head, status, "")
        self.refuse(status, head=head, keep=head.body.over, behind=behind)

    def _not_now(self, head: RequestHead, site: Site, refusal: Refusal, behind: bytes) -> None:
        """The gate of a proxy has refused a request; it counts them, the log has no line each."""
        assert site.gate is not None
        site.gate.turned_away(refusal, self.stream.describe())
        if site.access is not None:
            self._tell(site.access, head, refusal.status, refusal.reason)
        self.refuse(
            refusal.status,
            head=head,
            keep=head.body.over,
            behind=behind,
            extra=refusal.headers,
        )

    def _has_to_wait(self, head: RequestHead, seconds: float, behind: bytes) -> None:
        """Do not look at a password of who has tried too many, and log nothing each time."""
        if self._host.access is not None:
            self._tell(self._host.access, head, 429, "too many wrong passwords")
        keep, extra = head.body.over, retry_after(seconds)
        self.refuse(429, head=head, keep=keep, behind=behind, extra=extra)

    def next_request(self, behind: bytes) -> None:
        """The exchange is over, and the connection goes on with these bytes."""
        self._exchange = None
        self._state = _State.READING
        if self.is_leaving:
            self.close()
            return
        self.stream.watch(self._read, None)
        self.set_deadline(self.limits.idle_seconds)
        if behind:
            self._buffer = behind
            self.stream.watch(None, None)
            self.loop.call_soon(self._next_of_buffer)

    def _next_of_buffer(self) -> None:
        if self._state is _State.READING:
            self.stream.watch(self._read, None)
            self._next()

    # Answers of our own.

    def refuse(
        self,
        status: int,
        *,
        head: RequestHead,
        keep: bool,
        behind: bytes,
        extra: Headers = (),
    ) -> None:
        """Answer a request with a page; go on if ``keep`` and the visitor wants to."""
        self._exchange = None
        keep = keep and not (head.wants_close or head.method == "CONNECT" or self.is_leaving)
        keep = keep and head.version == (1, 1)
        self._buffer = behind if keep else b""
        self._send_page(status, keep=keep, head_only=head.method == "HEAD", extra=extra)

    def _send_page(
        self, status: int, *, keep: bool = False, head_only: bool = False, extra: Headers = ()
    ) -> None:
        self._state = _State.SENDING
        self._keeps = keep
        page = self._host.page if status == 404 else None
        self._unsent = error_response(
            status, close=not keep, head_only=head_only, page=page, extra=extra
        )
        self.set_deadline(self.limits.body_seconds)
        self.stream.watch(None, None)
        self._send()

    def _send(self) -> None:
        try:
            taken = self.stream.write(self._unsent)
        except ConnectionLost:
            self.abort()
            return
        self._unsent = self._unsent[taken:]
        if self._unsent:
            self.stream.watch(None, self._send)
        elif self._keeps:
            self.next_request(self._buffer)
        else:
            self.end(linger=True)

    # Ends.

    def end(self, *, linger: bool) -> None:
        """Close the connection once the visitor has heard all.

        A close that meets bytes on their way would destroy what was sent before
        (RFC 9112 9.6), so who may still send is listened to for a while.
        """
        self._exchange = None
        if not linger:
            self.close()
            return
        self._state = _State.LINGERING
        self.set_deadline(LINGER_SECONDS)
        self.stream.shutdown_write()
        self.stream.watch(self._discard, None)

    def _discard(self) -> None:
        try:
            data = self.stream.read(len(self.loop.scratch))
        except ConnectionLost:
            self.close()
            return
        if data is Outcome.EOF:
            self.close()

    # Work connections.

    def line_to(self, site: Site, stale_seconds: float) -> WorkLine | None:
        """Return the line kept for this site, if it has not waited longer than this."""
        return self._lines.take(site, self.loop.now() - stale_seconds)

    def new_line(self, site: Site, work: Endpoint) -> WorkLine:
        """Return a line over a work connection that has just come."""
        return WorkLine(site, work)

    def keep_line(self, line: WorkLine) -> None:
        """Keep a line for the next request to its site."""
        self._lines.keep(line, self.loop.now())

    # Time. There is one timer, which is set anew only when it would come too late.

    def set_deadline(self, seconds: float) -> None:
        """Say how long what happens now may take."""
        if seconds == math.inf:
            self._deadline = math.inf
            return
        self._deadline = when = self.loop.now() + seconds
        timer = self._timer
        if timer is not None:
            if timer.when <= when:
                return
            timer.cancel()
        self._timer = self.loop.call_at(when, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        if self._deadline > self.loop.now():
            if self._deadline != math.inf:
                self._timer = self.loop.call_at(self._deadline, self._time_is_up)
            return
        if self._exchange is not None:
            self._exchange.deadline_passed()
        elif self._state is _State.SENDING:
            self.abort()
        else:
            self.close()

    # The door: how many heads may be on their way, and how long each may take.

    def _leave_door(self) -> None:
        if self._ticket is not None:
            self._host.door.leave(self._ticket)
            self._ticket = None

    def _too_late(self, reason: str) -> None:
        self._ticket = None
        if self._buffer:
            self._log_refusal(None, 408, reason)
            self._send_page(408)
        else:
            self.close()

    def _log_refusal(self, head: RequestHead | None, status: int, reason: str) -> None:
        if self._host.access is not None:
            self._tell(self._host.access, head, status, reason)
        what = f"{head.method} {what_is_asked(head)}" if head else "request"
        why = f" ({reason})" if reason else ""
        _log.info('%s "%s" %d%s', self.stream.describe(), what, status, why)

    def _tell(
        self, access: ProxyAccess, head: RequestHead | None, status: int, reason: str
    ) -> None:
        access.tell(
            visitor=self.stream.describe(),
            local=came_to(self.stream),
            ended="refused",
            by="server",
            reason=reason,
            status=status,
            **({} if head is None else facts_of(head)),
        )
