"""RequestEnd: a visitor's connection, as long as one request and its answer last."""

from __future__ import annotations

from typing import Final

from frpd.errors import ConnectionLost
from frpd.http.message_end import MessageEnd
from frpd.net.endpoint import Buffer, Callback, Endpoint, Outcome
from frpd.proto.http.body import Framing, UntilClose
from frpd.selector_loop import SelectorLoop

PEEK_BYTES: Final = 4096


class RequestEnd(MessageEnd):
    """A request, and the visitor who waits for the answer.

    Once it was read the visitor is still listened to: who leaves is noticed, and
    what comes next is kept.

    Args:
        loop: as MessageEnd.
        inner: the visitor's connection.
        framing: of the request's body.
        ahead: what is to be read first.
        behind: what came already and is no part of the request.
        held: what follows is not said to be over until release() or go_raw(): the
            service has yet to decide about it.

    Attributes:
        behind: what came behind the request.
        hung_up: we have ended our direction.
        left: the visitor has ended its direction: it may be gone.
        lost: the visitor is gone.
        on_over: called once when the reader has seen the end.
        on_left: called once with ``left``.
    """

    __slots__ = ("_held", "behind", "hung_up", "left", "lost", "on_left", "on_over")

    def __init__(
        self,
        loop: SelectorLoop,
        inner: Endpoint,
        framing: Framing,
        ahead: bytes = b"",
        behind: bytes = b"",
        *,
        held: bool = False,
    ) -> None:
        super().__init__(loop, inner, framing, ahead)
        self.behind = behind
        self.hung_up = False
        self.left = False
        self.lost = False
        self.on_over: Callback | None = None
        self.on_left: Callback | None = None
        self._held = held

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for more of the request."""
        return self._on_readable is not None

    def listen(self) -> None:
        """Notice whether the visitor leaves; only when the request was read."""
        self._inner.watch(self._peek, None)

    def release(self) -> None:
        """The service wants no more than the request."""
        self._held = False
        self._look_ahead()

    def go_raw(self) -> None:
        """Pass on all that comes from here on."""
        self.raw = True
        self._held = self._told = False
        self._framing = UntilClose()
        self._ahead, self.behind = self._ahead + self.behind, b""
        self.watch(self._on_readable, self._on_writable)

    def watch(self, on_readable: Callback | None, on_writable: Callback | None) -> None:
        """See MessageEnd.watch."""
        if self.raw or not self.over or self._has_own_news():
            super().watch(on_readable, on_writable)
        elif not self._closed:
            self._on_readable = on_readable
            self._on_writable = on_writable
            self._inner.watch(None if self.behind or self.left else self._peek, on_writable)

    def shutdown_write(self) -> None:
        """The answer is over; before the request is, that ends the connection."""
        if self.raw or not self._framing.over:
            self.hung_up = True
            self._inner.shutdown_write()

    def _read_body(self, limit: int) -> Buffer | Outcome:
        try:
            return super()._read_body(limit)
        except ConnectionLost:
            self.lost = self.error is None
            raise

    def _surplus(self, data: bytes) -> None:
        self.behind = data

    def _has_own_news(self) -> bool:
        if self._held and not self._ahead:
            return False
        return super()._has_own_news()

    def _tell_end(self) -> Outcome:
        if self._held:
            return Outcome.EMPTY
        on_over, self.on_over = self.on_over, None
        if on_over is not None:
            on_over()
        return super()._tell_end()

    def _peek(self) -> None:
        try:
            data = self._inner.read(PEEK_BYTES)
        except ConnectionLost:
            self.lost = True
            self._inner.watch(None, None)
            if self.on_failure is not None:
                self.on_failure()
            return
        if data is Outcome.EMPTY:
            return
        if isinstance(data, Outcome):
            self.left = True
            if self.on_left is not None:
                self.on_left()
        else:
            self.behind += bytes(data)
        self._inner.watch(None, self._on_writable)  # the next one's turn comes later
