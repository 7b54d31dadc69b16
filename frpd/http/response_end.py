"""ResponseEnd: a work connection, as long as one request and its answer last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from frpd.errors import ConnectionLost
from frpd.http.message_end import MessageEnd
from frpd.net.endpoint import Buffer, Endpoint, Outcome
from frpd.net.pipes import Pipe
from frpd.proto.http.body import Dechunker, NoBody, UntilClose
from frpd.proto.http.errors import HttpError
from frpd.proto.http.head import (
    Limits,
    RequestHead,
    ResponseHead,
    head_end,
    parse_response,
    response_framing,
)
from frpd.proto.http.rewrite import AS_ANSWERED, AnswerRules, render_response
from frpd.selector_loop import SelectorLoop

MAX_INTERIMS: Final = 32
"""Answers of class 1xx before the one that counts."""

_SWITCHING_PROTOCOLS: Final = 101

OnHead = Callable[[ResponseHead, bool], bool]


class ResponseEnd(MessageEnd):
    """The answer to a request, rewritten for its visitor.

    Args:
        loop: as MessageEnd.
        inner: the work connection; nothing is to be read from it before the answer.
        asked: the request.
        limits: of the answer's head.
        on_head: told the head that counts, and whether its body ends only with
            the connection; returns whether the visitor's connection will be kept.
        rules: what is changed in that head.

    Attributes:
        head: of the answer, once it has come; interim ones do not count.
        heard: bytes that the service has said so far, while there is no head.
        is_reusable: another request may follow on the work connection.
    """

    __slots__ = (
        "_asked",
        "_buffer",
        "_dechunker",
        "_interims",
        "_limits",
        "_on_head",
        "_rules",
        "head",
        "heard",
        "is_reusable",
    )

    def __init__(
        self,
        loop: SelectorLoop,
        inner: Endpoint,
        asked: RequestHead,
        limits: Limits,
        on_head: OnHead,
        *,
        rules: AnswerRules = AS_ANSWERED,
    ) -> None:
        super().__init__(loop, inner, UntilClose())
        self.head: ResponseHead | None = None
        self.heard = 0
        self.is_reusable = False
        self._asked = asked
        self._limits = limits
        self._on_head = on_head
        self._rules = rules
        self._buffer = b""
        self._interims = 0
        self._dechunker: Dechunker | None = None

    def read(self, limit: int) -> Buffer | Outcome:
        """See MessageEnd.read."""
        if self.head is not None or self._ahead:
            return super().read(limit)
        data = self._inner.read(limit)
        if isinstance(data, Outcome):
            if data is Outcome.EOF:
                raise ConnectionLost("closed before an answer")
            return data
        self.heard += len(data)
        try:
            answer = self._read_heads(data)
        except HttpError as error:
            raise self._malformed(error) from error
        if not answer:
            return Outcome.EMPTY
        self.given += len(answer)
        self._look_ahead()
        return answer

    def read_pipe(self, limit: int) -> Pipe | Outcome:
        """See MessageEnd.read_pipe."""
        return Outcome.COPY if self.head is None else super().read_pipe(limit)

    def _read_heads(self, data: Buffer) -> bytes:
        """Return what the visitor gets of all that has come; maybe nothing yet."""
        searched = len(self._buffer)
        rest = self._buffer + data if searched else bytes(data)
        answer = b""
        while self.head is None:
            end = head_end(rest, searched, self._limits)
            if not end:
                break
            head, rest, searched = parse_response(rest[:end], self._limits), rest[end:], 0
            if head.status < 200 and head.status != _SWITCHING_PROTOCOLS:
                answer += self._interim(head)
            else:
                return answer + self._final(head, rest)
        self._buffer = rest
        return answer

    def _interim(self, head: ResponseHead) -> bytes:
        self._interims += 1
        if self._interims > MAX_INTERIMS:
            raise HttpError(502, "too many interim answers")
        return b"" if self._asked.version == (1, 0) else render_response(head)

    def _final(self, head: ResponseHead, rest: bytes) -> bytes:
        asked = self._asked
        if head.status == _SWITCHING_PROTOCOLS and not asked.upgrade:
            raise HttpError(502, "protocol switched without being asked")
        self.raw = head.status == _SWITCHING_PROTOCOLS or (
            asked.method == "CONNECT" and head.status < 300
        )
        self._framing = UntilClose() if self.raw else response_framing(head, asked.method)
        endless = isinstance(self._framing, UntilClose)
        dechunk = head.chunked and asked.version == (1, 0)
        if dechunk and not self._framing.over:
            self._dechunker = Dechunker()
        self.is_reusable = not (endless or dechunk or head.wants_close)
        body = self._begin_body(rest)
        keep = self._on_head(head, endless or self._dechunker is not None)
        self.head = head
        connection = self._connection(keep=keep)
        rendered = render_response(
            head,
            connection=connection,
            dechunk=dechunk,
            version=asked.version,
            rules=self._rules,
        )
        return rendered + body

    def _begin_body(self, rest: bytes) -> bytes:
        if self._dechunker is not None:
            return self._dechunk(rest)
        taken = self._framing.take(rest)
        if taken < len(rest):
            self._surplus(rest[taken:])
        return rest[:taken]

    def _malformed(self, error: HttpError) -> ConnectionLost:
        return super()._malformed(HttpError(502, error.reason))

    def _connection(self, *, keep: bool) -> str | None:
        if self.raw:
            return None
        if not keep:
            return "close"
        return "keep-alive" if self._asked.version == (1, 0) else None

    # Chunks, for a visitor who does not know them.

    def _read_body(self, limit: int) -> Buffer | Outcome:
        if self._dechunker is None:
            return super()._read_body(limit)
        data = self._inner.read(limit)
        try:
            if isinstance(data, Outcome):
                if data is Outcome.EOF:
                    self._dechunker.eof()
                return data
            return self._dechunk(data) or Outcome.EMPTY
        except HttpError as error:
            raise self._malformed(error) from error

    def _dechunk(self, data: Buffer) -> bytes:
        assert self._dechunker is not None
        payload = self._dechunker.feed(data)
        if self._dechunker.over:
            self._framing = NoBody()
        return payload

    def _surplus(self, data: bytes) -> None:
        """The service says more than it was asked for: nobody believes it any more."""
        self.is_reusable = False
