"""Hooks: all server plugins. A question goes through those that want it, in order.

The questions run on threads of their own, so that a plugin that does not answer
takes none from DNS or files, and of those one client has only a few: a plugin that
is slow about one client is not slow about the others. An answer that does not come
in time is a no.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from frpd.config.server import ServerPluginConfig
from frpd.entropy import Entropy
from frpd.errors import LimitError, PluginError, RemoteProtocolError
from frpd.log import get_logger
from frpd.proto.message.types import CloseProxy, Message
from frpd.selector_loop import SelectorLoop, Timer
from frpd.server.plugins.content import CLOSE_PROXY, Facts, changed_message, content_of
from frpd.workers import Job, WorkerPool

if TYPE_CHECKING:
    from frpd.server.plugins.hook import Hook

DECISION_SECONDS: Final = 8.0
"""For all plugins of one decision together: frpc gives up on a login after 10."""
THREADS: Final = 16
MAX_PER_CLIENT: Final = 4
"""Questions in work at a time; THREADS is some clients' worth."""
MAX_UNDECIDED: Final = 1024
MAX_REASON_CHARACTERS: Final = 2000
"""Of what a plugin says: it has to fit into a message."""
_REQUEST_ID_BYTES: Final = 8

_log = get_logger("frpd.server.plugins")
_M = TypeVar("_M", bound=Message | None)


class Decision(Generic[_M]):
    """One question on its way; ``cancel`` when nobody waits for it any more."""

    __slots__ = ("deadline", "facts", "job", "key", "message", "on_done", "on_refused", "op",
                 "request_id", "timer")  # fmt: skip

    def __init__(
        self,
        op: str,
        key: str,
        message: _M,
        facts: Facts,
        *,
        on_done: Callable[[_M], None],
        on_refused: Callable[[PluginError], None],
    ) -> None:
        self.op = op
        self.key = key
        self.message = message
        self.facts = facts
        self.on_done: Callable[[_M], None] | None = on_done
        self.on_refused = on_refused
        self.request_id = ""
        self.deadline = 0.0
        self.timer: Timer | None = None
        self.job: Job | None = None

    def cancel(self) -> None:
        """Call nothing any more. Idempotent."""
        self.on_done = None


class Hooks:
    """Who is asked about what. Loop thread only.

    Args:
        loop: the loop.
        plugins: the sections, in order.
        entropy: for the ids of questions.
    """

    def __init__(
        self, loop: SelectorLoop, plugins: Sequence[ServerPluginConfig], entropy: Entropy
    ) -> None:
        self._loop = loop
        self._entropy = entropy
        self._pool: WorkerPool | None = None
        self._plugins: tuple[ServerPluginConfig, ...] = ()
        self._by_op: dict[str, list[Hook]] = {}
        self._running: dict[str, list[Decision[Any]]] = {}
        self._waiting: dict[str, deque[Decision[Any]]] = {}
        self.use(plugins)

    @property
    def undecided(self) -> int:
        """How many questions have no answer yet."""
        groups = (*self._running.values(), *self._waiting.values())
        return sum(len(group) for group in groups)

    def use(self, plugins: Sequence[ServerPluginConfig]) -> None:
        """Ask these from now on."""
        if tuple(plugins) == self._plugins:
            return
        # Only here: it imports an HTTP client, which most servers have no use for.
        from frpd.server.plugins.hook import Hook  # noqa: PLC0415

        self._plugins = tuple(plugins)
        self._drop_connections()
        hooks = [Hook(one, self._loop.clock) for one in plugins]
        ops = {op for hook in hooks for op in hook.ops}
        self._by_op = {op: [hook for hook in hooks if op in hook.ops] for op in ops}

    def want(self, op: str) -> bool:
        """Whether anybody is to be asked."""
        return op in self._by_op

    def ask(
        self,
        op: str,
        key: str,
        message: _M,
        facts: Facts,
        *,
        on_done: Callable[[_M], None],
        on_refused: Callable[[PluginError], None],
    ) -> Decision[_M]:
        """Ask about a message; one of the two is called, with what became of it, or why not.

        Args:
            op: which question; somebody wants it.
            key: whose it is: questions of one client wait for each other.
            message: what came.
            facts: what goes beside it.
            on_done: takes the message as the plugins left it.
            on_refused: takes the reason; never called before this returns.
        """
        decision = Decision(op, key, message, facts, on_done=on_done, on_refused=on_refused)
        decision.request_id = self._entropy.token_bytes(_REQUEST_ID_BYTES).hex()
        decision.deadline = self._loop.now() + DECISION_SECONDS
        if self.undecided >= MAX_UNDECIDED:
            _log.warning("%s not asked about: %d questions are undecided", op, MAX_UNDECIDED)
            self._loop.call_soon(self._refuse, decision, _failed(op))
            return decision
        decision.timer = self._loop.call_later(DECISION_SECONDS, self._too_late, decision)
        if len(self._running.get(key, ())) < MAX_PER_CLIENT:
            self._start(decision)
        else:
            self._waiting.setdefault(key, deque()).append(decision)
        return decision

    def tell_closed(self, key: str, proxy_name: str, facts: Facts) -> None:
        """Tell of the end of a proxy; nobody waits for an answer."""

        def over(_: object) -> None:
            pass

        self.ask(CLOSE_PROXY, key, CloseProxy(proxy_name), facts, on_done=over, on_refused=over)

    def close(self) -> None:
        """Refuse what is undecided. Idempotent."""
        groups = (*self._running.values(), *self._waiting.values())
        self._running, self._waiting = {}, {}
        for decision in [one for group in groups for one in group]:
            self._forget(decision)
            self._refuse(decision, PluginError("the server stops"))
        self._drop_connections()
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _drop_connections(self) -> None:
        for hook in {hook for hooks in self._by_op.values() for hook in hooks}:
            hook.close()

    def _start(self, decision: Decision[Any]) -> None:
        if self._pool is None:
            self._pool = WorkerPool(self._loop, threads=THREADS)
        self._running.setdefault(decision.key, []).append(decision)
        hooks = self._by_op.get(decision.op, [])
        try:
            decision.job = self._pool.submit(
                lambda: _pass_through(hooks, decision),
                lambda message: self._decided(decision, message),
                lambda error: self._failed(decision, error),
            )
        except LimitError as error:
            self._loop.call_soon(self._failed, decision, error)

    def _decided(self, decision: Decision[Any], message: object) -> None:
        self._leave(decision)
        if decision.on_done is not None:
            on_done, decision.on_done = decision.on_done, None
            on_done(message)

    def _failed(self, decision: Decision[Any], error: Exception) -> None:
        self._leave(decision)
        if isinstance(error, PluginError):
            self._refuse(decision, error)
        else:
            _log.error("%s: %r", decision.op, error)
            self._refuse(decision, _failed(decision.op))

    def _too_late(self, decision: Decision[Any]) -> None:
        _log.warning("%s: no decision within %g s", decision.op, DECISION_SECONDS)
        self._leave(decision)
        self._refuse(decision, _failed(decision.op))

    def _leave(self, decision: Decision[Any]) -> None:
        """It is over; the next one of the same client may begin."""
        self._forget(decision)
        key = decision.key
        running, waiting = self._running.get(key, []), self._waiting.get(key, deque())
        if decision in running:
            running.remove(decision)
        elif decision in waiting:
            waiting.remove(decision)
        while waiting and len(running) < MAX_PER_CLIENT:
            following = waiting.popleft()
            if following.on_done is None:
                self._forget(following)
            else:
                self._start(following)
        if not waiting:
            self._waiting.pop(key, None)
        if not running:
            self._running.pop(key, None)

    def _forget(self, decision: Decision[Any]) -> None:
        if decision.timer is not None:
            decision.timer.cancel()
        if decision.job is not None:
            decision.job.cancel()

    def _refuse(self, decision: Decision[Any], error: PluginError) -> None:
        if decision.on_done is not None:
            decision.on_done = None
            decision.on_refused(error)


def _pass_through(hooks: Sequence[Hook], decision: Decision[_M]) -> _M:
    """Ask one plugin after the other; on a worker.

    Raises:
        PluginError: one of them says no, or could not be asked.
    """
    op, message, facts = decision.op, decision.message, decision.facts
    for hook in hooks:
        content = content_of(message, facts)
        try:
            verdict = hook.ask(op, content, decision.request_id, decision.deadline)
            if op != CLOSE_PROXY and verdict.changed is not None:
                message = changed_message(message, verdict.changed)
        except (PluginError, RemoteProtocolError) as error:
            _log.warning("send %s request to plugin [%s] error: %s", op, hook.name, error)
            if op == CLOSE_PROXY:
                continue
            raise _failed(op) from error
        if op == CLOSE_PROXY:
            continue  # it is over, whatever they say
        if verdict.reject:
            raise PluginError(verdict.reason[:MAX_REASON_CHARACTERS])
        if verdict.changed is not None:
            facts = {name: verdict.changed.get(name) for name in facts}
    return message


def _failed(op: str) -> PluginError:
    """Return frp's text."""
    return PluginError(f"send {op} request to plugin error", was_asked=False)
