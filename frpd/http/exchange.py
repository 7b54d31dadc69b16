"""Exchange: one request of a visitor and the answer to it.

The request's head goes to the service at once. A short answer to a request that
came whole is passed on in one piece; whatever else is to pass is a relay's work
between two views of the connections (see message_end).

What a visitor is told when there is no answer: the site's own status as long as
nobody serves the request (404 at virtual hosts, as in frp), 502 for an answer that
cannot be understood, 504 for none in time. Once the head of an answer was passed on,
a loss is passed on as a reset, so that a cut answer never looks complete.
"""

from __future__ import annotations

import enum
import logging
import math
from typing import Final

from frpd.errors import ConnectionLost, FrpError
from frpd.http.request_end import RequestEnd
from frpd.http.response_end import ResponseEnd
from frpd.http.site import Call, Site, Spares, VisitorSide, WorkLine, enter, leave
from frpd.http.tell import came_to, facts_of, user_of, what_is_asked
from frpd.metrics.access import SIDES
from frpd.net.endpoint import Endpoint, Outcome
from frpd.net.stream import SocketEnds, socket_of
from frpd.proto.http.errors import HttpError
from frpd.proto.http.head import RequestHead, ResponseHead
from frpd.proto.http.rewrite import render_request
from frpd.relay.halves import READ_LIMIT
from frpd.relay.relay import Ending, Progress, Relay, RelayResult

# RFC 9110 9.2.2: asking twice does what asking once does.
IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
# Services close connections that idle: who must not be asked twice takes none that might be.
STALE_SECONDS: Final = 1.0


class _Phase(enum.Enum):
    CALLING = "calls for work"
    ASKING = "passes the request on"
    WAITING = "waits for an answer"
    ANSWERING = "passes the answer on"
    OVER = "over"


class Exchange:
    """One request under way. Loop thread only.

    Args:
        visitor: whose it is.
        site: who serves it.
        head: what was asked.
        body: what came of the request's body with the head; counted in ``head.body``.
        behind: what came behind the request.
        spares: who may serve it if ``site`` cannot; None for nobody.
    """

    __slots__ = (
        "_answer",
        "_asked",
        "_begun",
        "_body",
        "_by",
        "_call",
        "_keeps",
        "_line",
        "_mark",
        "_phase",
        "_relay",
        "_request",
        "_spares",
        "_tried",
        "_verdict",
        "_visitor",
        "bytes_in",
        "bytes_out",
        "head",
        "site",
    )

    def __init__(
        self,
        visitor: VisitorSide,
        site: Site,
        head: RequestHead,
        body: bytes,
        behind: bytes,
        *,
        spares: Spares | None = None,
    ) -> None:
        self.site = site
        self.head = head
        self.bytes_in = 0
        self.bytes_out = 0
        self._visitor = visitor
        self._spares = spares
        self._tried: tuple[Site, ...] = ()
        self._body = body
        self._asked = b""
        self._by = ""  # who has ended it before its time
        self._begun = visitor.loop.now()
        self._call: Call | None = None
        self._line: WorkLine | None = None
        self._answer: ResponseEnd | None = None
        self._relay: Relay | None = None
        self._verdict = 0  # the status that a timeout asks for
        self._keeps = False  # the visitor was told that its connection stays
        self._mark = 0  # what had passed when the time for a pause began
        self._phase = _Phase.CALLING
        self._request = RequestEnd(
            visitor.loop,
            visitor.stream,
            head.body,
            behind=behind,
            held=bool(head.upgrade) or head.method == "CONNECT",
        )
        self._request.on_failure = self._visitor_lost
        self._request.on_left = self._visitor_left

    @property
    def _is_repeatable(self) -> bool:
        return self.head.method in IDEMPOTENT and not self._body and self.head.body.over

    @property
    def _closes_at_once(self) -> bool:
        """Whether the visitor asks for the end, or knows of it; and nothing of it waits."""
        request = self._request
        return request.hung_up or (self.head.wants_close and not request.behind)

    def begin(self) -> None:
        """Ask the service; the visitor hears of the end, maybe before this returns."""
        self._visitor.running.relay_started(self)
        enter(self.site)
        self._turn_to_site()

    def _turn_to_site(self) -> None:
        visitor, head = self._visitor, self.head
        self._asked = render_request(
            head, self.site.rules_for(visitor.ip), close=head.wants_close and not head.upgrade
        )
        visitor.set_deadline(math.inf)
        line = visitor.line_to(self.site, math.inf if self._is_repeatable else STALE_SECONDS)
        if line is None:
            self._call_for_work()
        else:
            self._ask(line)

    def abort(self, reason: str) -> None:
        """Lose both sides now. Idempotent."""
        if self._relay is not None:
            self._relay.abort(reason)
        elif self._phase is not _Phase.OVER:
            self._lose(reason)

    def progress(self) -> Progress:
        """See Running.progress."""
        relay, source = self._relay, self._visitor.describe()
        bytes_in, bytes_out = self.bytes_in, self.bytes_out
        if relay is not None:
            bytes_in, bytes_out = bytes_in + relay.a_to_b, bytes_out + relay.b_to_a
        return Progress(self.site.name, source, self._begun, bytes_in, bytes_out)

    def socket(self) -> SocketEnds | None:
        """See Running.socket."""
        return socket_of(self._visitor.stream)

    def deadline_passed(self) -> None:
        """What was to happen has not."""
        if self._phase is _Phase.ASKING and self._request.over:
            self._request_sent()
        elif self._phase is _Phase.ASKING and self._relay is not None:
            if self._has_moved(self._relay.a_to_b):
                self._visitor.set_deadline(self._visitor.limits.body_seconds)
                return
            waits_for_us = self.head.expects_continue and not self._relay.a_to_b
            to_blame = self._request.is_wanted and not waits_for_us
            self._time_out(408 if to_blame else 504, "the request has paused for too long")
        elif self._phase is _Phase.WAITING:
            self._time_out(504, "no answer in time")
        elif self._phase is _Phase.ANSWERING:
            if self._has_moved(0 if self._relay is None else self._relay.b_to_a):
                self._visitor_left()
            else:
                self.abort("the visitor may have left")

    def _has_moved(self, nbytes: int) -> bool:
        before, self._mark = self._mark, nbytes
        return nbytes != before

    # To the service.

    def _call_for_work(self) -> None:
        site = self.site
        call = site.call(self._visitor.peer, self._work_came, self._no_work)
        if self._phase is not _Phase.CALLING:
            return  # work, or an end, has come already
        if self.site is site:  # it may have failed already, and another one be asked
            self._call = call
        if self._request.over:
            self._request.listen()
        else:
            self._visitor.stream.watch(None, None)  # the body waits where it is

    def _no_work(self, error: FrpError) -> None:
        self._call = None
        if self._turns_to_another(may=True):
            return
        status = error.status if isinstance(error, HttpError) else self.site.unserved_status
        self._refuse(status, str(error))

    def _work_came(self, work: Endpoint) -> None:
        self._call = None
        self._ask(self._visitor.new_line(self.site, work))

    def _ask(self, line: WorkLine) -> None:
        visitor, request, work = self._visitor, self._request, line.work
        self._line = line
        work.on_failure = self._work_lost
        self._answer = answer = ResponseEnd(
            visitor.loop,
            work,
            self.head,
            visitor.limits.head,
            self._answered,
            rules=self.site.answer_rules,
        )
        asked = self._asked + self._body if self._body else self._asked
        try:
            taken = work.write(asked)
        except ConnectionLost as error:
            self._unanswered(str(error))
            return
        self.bytes_in = taken
        request.given = len(asked)
        if taken < len(asked):
            request.unread(asked[taken:])
        if request.over:
            self._phase = _Phase.WAITING
            request.listen()
            work.watch(self._hear, None)
            visitor.set_deadline(visitor.limits.answer_seconds)
            return
        self._phase = _Phase.ASKING
        request.on_over = self._request_sent
        answers_first = self.head.expects_continue
        limits = visitor.limits
        visitor.set_deadline(limits.answer_seconds if answers_first else limits.body_seconds)
        self._start_relay(answer)

    def _start_relay(self, answer: ResponseEnd) -> None:
        site, visitor = self.site, self._visitor
        may_go_raw = bool(self.head.upgrade) or self.head.method == "CONNECT"
        self._relay = Relay(
            visitor.loop,
            self._request,
            answer,
            a_half_closes=not may_go_raw or visitor.half_closes,
            b_half_closes=may_go_raw and site.half_closes,
            pipes=site.pipes,
            on_done=self._relay_done,
        )

    def _request_sent(self) -> None:
        if self._phase is not _Phase.ASKING:
            return
        answered = self._answer is not None and self._answer.head is not None
        self._phase = _Phase.ANSWERING if answered else _Phase.WAITING
        self._visitor.set_deadline(math.inf if answered else self._visitor.limits.answer_seconds)

    # From the service.

    def _hear(self) -> None:
        """The service says something, and the request is with it."""
        answer = self._answer
        assert answer is not None
        try:
            data = answer.read(READ_LIMIT)
        except ConnectionLost as error:
            self._unanswered(str(error))
            return
        if isinstance(data, Outcome):
            return
        visitor, over = self._visitor, answer.over
        ends = over and self._closes_at_once
        write = visitor.write_last if ends else visitor.stream.write
        try:
            taken = write(data)
        except ConnectionLost:
            self._visitor_lost()
            return
        self.bytes_out += taken
        if taken < len(data):
            answer.unread(data[taken:])
        elif over:
            self._complete()
            return
        if answer.head is not None or taken < len(data):
            self._start_relay(answer)

    def _answered(self, head: ResponseHead, ends_with_connection: bool) -> bool:
        """The head that counts is here; return whether the visitor's connection stays."""
        request, answer, visitor = self._request, self._answer, self._visitor
        assert answer is not None
        if answer.raw:
            visitor.set_deadline(math.inf)
            self._phase = _Phase.ANSWERING
            request.go_raw()
            return False
        request.release()
        if request.over:
            self._phase = _Phase.ANSWERING
            visitor.set_deadline(math.inf)
            if request.left:
                self._visitor_left()
            self._keeps = not (
                ends_with_connection
                or self.head.wants_close
                or self.head.method == "CONNECT"
                or request.left
                or visitor.is_leaving
            )
        return self._keeps

    def _relay_done(self, result: RelayResult) -> None:
        self._relay = None
        self._by = self._by or SIDES.get(result.ended_by, "")
        self.bytes_in += result.a_to_b
        self.bytes_out += result.b_to_a
        request, answer = self._request, self._answer
        if self._phase is _Phase.OVER:
            return
        assert answer is not None
        if answer.raw:
            self._end_raw(result)
        elif answer.over and self.bytes_out == answer.given:
            self._complete()
        elif answer.head is not None or self.bytes_out != answer.given or request.lost:
            self._lose(result.reason)
        else:
            errors = [end.error.status for end in (request, answer) if end.error is not None]
            self._refuse(self._verdict or (errors or [self.site.unserved_status])[0], result.reason)

    # Ends.

    def _complete(self) -> None:
        """The answer is with the visitor."""
        request, answer = self._request, self._answer
        assert answer is not None
        assert answer.head is not None
        whole = request.over and self.bytes_in == request.given
        keep = self._keeps and whole and not request.left
        self._leave_line(keep=keep and answer.is_reusable, clean=whole)
        self._over(answer.head.status, "", "answered")
        if keep:
            self._visitor.next_request(request.behind)
        else:
            self._visitor.end(linger=not self._closes_at_once)

    def _end_raw(self, result: RelayResult) -> None:
        assert self._answer is not None
        assert self._answer.head is not None
        clean = result.ending is Ending.CLEAN
        self._leave_line(keep=False, clean=clean)
        self._over(self._answer.head.status, result.reason or "closed", result.ending.value)
        if clean:
            self._visitor.end(linger=False)
        else:
            self._visitor.abort()

    def _unanswered(self, reason: str) -> None:
        """The work connection has failed before a relay was needed."""
        line, answer = self._line, self._answer
        self._by = "service"
        assert line is not None
        assert answer is not None
        if answer.error is not None:
            self._refuse(answer.error.status, reason)
        elif self.bytes_out:
            self._refuse(502, reason)
        elif line.is_used and self._is_repeatable and not answer.heard:
            self._leave_line(keep=False)
            self._phase = _Phase.CALLING
            self._visitor.set_deadline(math.inf)
            self._call_for_work()
        elif answer.heard or not self._turns_to_another(
            may=self._is_repeatable or not self.bytes_in
        ):
            self._refuse(self.site.unserved_status, reason)

    def _turns_to_another(self, *, may: bool) -> bool:
        """The site has not taken the request; ask another one of its group, if we ``may``."""
        site, spares = self.site, self._spares
        if spares is None:
            return False
        spares.refused(site)
        self._tried += (site,)
        other = spares.other(self._visitor.ip, self._tried) if may else None
        if other is None:
            return False
        site.log.warning("%s goes to [%s]", self._visitor.describe(), other.name)
        self._leave_line(keep=False)
        self.bytes_in = 0
        leave(site)
        self.site = other
        enter(other)
        self._phase = _Phase.CALLING
        self._turn_to_site()
        return True

    def _time_out(self, status: int, reason: str) -> None:
        self._verdict = status
        if self._relay is not None:
            self._relay.abort(reason)
        else:
            self._refuse(status, reason)

    def _refuse(self, status: int, reason: str) -> None:
        """Tell the visitor ourselves that there will be no answer."""
        request = self._request
        request.close()
        self._leave_line(keep=False)
        whole = request.over and not request.left
        self._over(status, reason, "refused")
        self._visitor.refuse(status, head=self.head, keep=whole, behind=request.behind)

    def _visitor_lost(self) -> None:
        self._by = "visitor"
        self.abort("the visitor has left")

    def _work_lost(self) -> None:
        self._by = "service"
        self.abort("connection lost")

    def _visitor_left(self) -> None:
        """It may be gone, or wait for the answer with its direction ended: not for ever."""
        if self._phase is _Phase.ANSWERING and not self._request.raw:
            self._visitor.set_deadline(self._visitor.limits.body_seconds)

    def _lose(self, reason: str) -> None:
        answer = self._answer
        self._request.close()
        self._leave_line(keep=False)
        status = answer.head.status if answer and answer.head else 0
        self._over(status, reason or "lost", "lost")
        self._visitor.abort()

    def _leave_line(self, *, keep: bool, clean: bool = False) -> None:
        line, self._line = self._line, None
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if line is None:
            return
        if keep:
            self._visitor.keep_line(line)
        else:
            line.drop(clean=clean)

    def _over(self, status: int, reason: str, ended: str) -> None:
        self._phase = _Phase.OVER
        # Both ends call us back: held on to, they would leave all this to the collector.
        request, self._answer = self._request, None
        request.on_failure = request.on_left = request.on_over = None
        visitor, site, head = self._visitor, self.site, self.head
        visitor.running.relay_ended(self)
        leave(site)
        site.counters.bytes_in += self.bytes_in
        site.counters.bytes_out += self.bytes_out
        if site.access is not None:
            site.access.tell(
                visitor=visitor.describe(),
                local=came_to(visitor.stream),
                bytes_in=self.bytes_in,
                bytes_out=self.bytes_out,
                seconds=visitor.loop.now() - self._begun,
                ended=ended,
                by="" if ended == "answered" else self._by or "server",
                reason=reason,
                status=status,
                user="" if site.admits(None) else user_of(head),
                **facts_of(head),
            )
        if site.log.enabled(logging.INFO):
            site.log.info(
                '%s "%s %s" %s, %d bytes in, %d bytes out, %.3f s%s',
                visitor.describe(),
                head.method,
                what_is_asked(head),
                status or "-",
                self.bytes_in,
                self.bytes_out,
                visitor.loop.now() - self._begun,
                f" ({reason})" if reason else "",
            )
