"""Visit: one visitor of a proxy whose bytes are passed on unseen.

Its path: the type's listener hands over a connection, a work connection is
called for and introduced, and the two are joined. No code of a proxy runs per
byte.
"""

from __future__ import annotations

import logging

from frpd.errors import FrpError
from frpd.http.tell import came_to
from frpd.metrics.access import SIDES
from frpd.metrics.counters import ProxyCounters
from frpd.net.address import host_of, join_host_port
from frpd.net.endpoint import Endpoint
from frpd.net.stream import SocketEnds, SocketStream, socket_of
from frpd.net.visitor_gate import Refusal
from frpd.proto import native
from frpd.proto.message.types import StartWorkConn
from frpd.relay.relay import Progress, Relay, RelayResult
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.work_call import call_for_work


def is_turned_away(context: ProxyContext, visitor: SocketStream) -> bool:
    """Reset the connection of a visitor who may not enter; False if it may."""
    gate = context.gate
    refusal = None if gate is None else gate.refusal(host_of(visitor.peer))
    if refusal is None:
        return False
    turn_away(context, visitor, refusal)
    return True


def turn_away(context: ProxyContext, visitor: SocketStream, refusal: Refusal) -> None:
    """Reset the connection of a visitor whom the gate has refused."""
    tell_refused(context, visitor, refusal)
    visitor.abort()


def tell_refused(context: ProxyContext, visitor: SocketStream, refusal: Refusal) -> None:
    """Count a visitor whom the gate has refused."""
    assert context.gate is not None
    context.gate.turned_away(refusal, visitor.describe())
    if context.access is not None:
        context.access.tell(
            visitor=visitor.describe(),
            local=came_to(visitor),
            ended="refused",
            by="server",
            reason=refusal.reason,
        )


class Visit:
    """One visitor on its way to the service. Loop thread only.

    Args:
        context: of the proxy.
        counters: of the proxy.
        visitor: its connection; owned from now on.
        hello: introduces it to the client.
        use_encryption: of the proxy.
        use_compression: of the proxy.
        visitor_half_closes: False when the visitor's end means that it is gone altogether.
    """

    __slots__ = (
        "_begun",
        "_context",
        "_counters",
        "_half_closes",
        "_local",
        "_name",
        "_relay",
        "_visitor",
    )

    def __init__(
        self,
        context: ProxyContext,
        counters: ProxyCounters,
        visitor: Endpoint,
        hello: StartWorkConn,
        *,
        use_encryption: bool,
        use_compression: bool,
        visitor_half_closes: bool = True,
    ) -> None:
        self._context = context
        self._counters = counters
        self._visitor = visitor
        self._name = hello.proxy_name
        self._local = (hello.dst_addr, hello.dst_port)
        self._half_closes = visitor_half_closes
        self._begun = context.loop.now()
        self._relay: Relay | None = None
        self._enter()
        self._ask_and_call(hello, use_encryption=use_encryption, use_compression=use_compression)

    def abort(self, reason: str) -> None:
        """See Running.abort."""
        if self._relay is not None:
            self._relay.abort(reason)

    def progress(self) -> Progress:
        """See Running.progress."""
        relay = self._relay
        moved = (0, 0) if relay is None else (relay.a_to_b, relay.b_to_a)
        return Progress(self._name, self._visitor.describe(), self._begun, *moved)

    def socket(self) -> SocketEnds | None:
        """See Running.socket."""
        return socket_of(self._visitor)

    def _ask_and_call(
        self, hello: StartWorkConn, *, use_encryption: bool, use_compression: bool
    ) -> None:
        """Call for a work connection, if no server plugin has anything against it."""
        context, hook = self._context, self._context.visitor_hook

        def call() -> None:
            call_for_work(
                context,
                hello,
                self._join,
                self._no_work,
                use_encryption=use_encryption,
                use_compression=use_compression,
            )

        if hook is None or not hook.is_wanted:
            call()
        else:
            source = join_host_port(hello.src_addr, hello.src_port)
            hook.ask(source, lambda _: call(), self._turn_away)

    def _turn_away(self, error: FrpError) -> None:
        """Refuse the visitor, whoever else might have served it."""
        self._context.log.warning("visitor %s refused: %s", self._visitor.describe(), error)
        self._tell("refused", "server", str(error))
        self._visitor.abort()
        self._leave_proxy()

    def _no_work(self, error: FrpError) -> None:
        self._turn_away(error)

    def _join(self, work: Endpoint) -> None:
        context = self._context
        self._relay = Relay(
            context.loop,
            self._visitor,
            work,
            a_half_closes=self._half_closes,
            b_half_closes=native.HALF_CLOSE in context.features,
            pipes=context.pipes,
            on_done=self._done,
        )
        context.relays.relay_started(self)

    def _done(self, result: RelayResult) -> None:
        context = self._context
        context.relays.relay_ended(self)
        self._leave_proxy(result.a_to_b, result.b_to_a)
        if context.access is not None:
            by = SIDES.get(result.ended_by, "server")
            self._tell(result.ending.value, by, result.reason, result.a_to_b, result.b_to_a)
        if not context.log.enabled(logging.INFO):  # its arguments cost more than all above
            return
        context.log.info(
            "visitor %s %s after %.3f s: %d bytes in, %d bytes out%s",
            self._visitor.describe(),
            result.ending.value,
            context.loop.now() - self._begun,
            result.a_to_b,
            result.b_to_a,
            f" ({result.reason})" if result.reason else "",
        )

    def _enter(self) -> None:
        self._counters.opened()
        if self._context.gate is not None:
            self._context.gate.enter()

    def _leave_proxy(self, bytes_in: int = 0, bytes_out: int = 0) -> None:
        self._counters.closed(bytes_in, bytes_out)
        if self._context.gate is not None:
            self._context.gate.left()

    def _tell(
        self, ended: str, by: str, reason: str, bytes_in: int = 0, bytes_out: int = 0
    ) -> None:
        """Tell the access log, if there is one."""
        context = self._context
        if context.access is None:
            return
        host, port = self._local
        context.access.tell(
            visitor=self._visitor.describe(),
            local=join_host_port(host, port) if host else "",
            bytes_in=bytes_in,
            bytes_out=bytes_out,
            seconds=context.loop.now() - self._begun,
            ended=ended,
            by=by,
            reason=reason,
        )
