"""Answers: questions on the control stream, each matched to its answer by a name it bears.

Loop thread only. Only hole punching asks so (frp 0.49); all else on the control stream is
answered by proxy name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from frpd.entropy import Entropy
from frpd.errors import FrpError, LimitError, TransportError
from frpd.proto.message.types import NatHoleClient, NatHoleResp, NatHoleVisitor
from frpd.selector_loop import SelectorLoop

ANSWER_SECONDS: Final = 5.0
MAX_ASKED: Final = 1024
_NAME_BYTES: Final = 8

Question: TypeAlias = NatHoleVisitor | NatHoleClient


class Asking:
    """One question that waits for its answer."""

    __slots__ = ("_answers", "_name", "_on_answer", "_on_failed", "_timer")

    def __init__(
        self,
        answers: Answers,
        name: str,
        loop: SelectorLoop,
        on_answer: Callable[[NatHoleResp], None],
        on_failed: Callable[[FrpError], None],
    ) -> None:
        self._answers = answers
        self._name = name
        self._on_answer = on_answer
        self._on_failed = on_failed
        self._timer = loop.call_later(ANSWER_SECONDS, self._timed_out)

    def cancel(self) -> None:
        """Wait no more. Idempotent."""
        self._timer.cancel()
        self._answers.forget(self._name)

    def answered(self, answer: NatHoleResp) -> None:
        """The answer has come."""
        self.cancel()
        self._on_answer(answer)

    def fail(self, error: FrpError) -> None:
        """None will come."""
        self.cancel()
        self._on_failed(error)

    def _timed_out(self) -> None:
        self.fail(TransportError(f"no answer from the server within {ANSWER_SECONDS:g} s"))


class Answers:
    """All questions of one session.

    Args:
        loop: the loop.
        send: says something to the server.
        entropy: for names.
    """

    def __init__(
        self, loop: SelectorLoop, send: Callable[[Question], None], entropy: Entropy
    ) -> None:
        self._loop = loop
        self._send = send
        self._entropy = entropy
        self._asked: dict[str, Asking] = {}
        self._closed = False

    def ask(
        self,
        question: Question,
        on_answer: Callable[[NatHoleResp], None],
        on_failed: Callable[[FrpError], None],
    ) -> Asking:
        """Send a question under a fresh name; later one of the two is called, unless cancelled.

        Raises:
            LimitError: too many wait, or the session has ended.
        """
        if self._closed:
            raise LimitError("the session with the server has ended")
        if len(self._asked) >= MAX_ASKED:
            raise LimitError(f"{MAX_ASKED} questions wait for the server")
        name = question.transaction_id = self._entropy.token_bytes(_NAME_BYTES).hex()
        asking = self._asked[name] = Asking(self, name, self._loop, on_answer, on_failed)
        self._send(question)
        return asking

    def answered(self, answer: NatHoleResp) -> bool:
        """The server has answered; False if nobody waits for it any more."""
        asking = self._asked.get(answer.transaction_id)
        if asking is None:
            return False
        asking.answered(answer)
        return True

    def forget(self, name: str) -> None:
        """For Asking."""
        self._asked.pop(name, None)

    def close(self) -> None:
        """No answers come any more: tell who waits. Idempotent."""
        self._closed = True
        for asking in list(self._asked.values()):
            asking.fail(TransportError("the session with the server has ended"))
