"""sudp visitors: a UDP port of this machine that leads to a sudp proxy of another client.

All users share one stream to it. It is asked for when the first datagram comes, and
again when one comes after it was lost; until then datagrams wait in the kernel's buffer.
"""

from __future__ import annotations

from typing import Final

from frpd.client.visitors.base import VisitorContext
from frpd.client.visitors.call import Admitted, VisitorCall
from frpd.client.visitors.port import PortVisitor
from frpd.config.visitors import VisitorConfig
from frpd.errors import FrpError
from frpd.selector_loop import Timer
from frpd.udp.datagram_socket import bind_udp
from frpd.udp.go_packets import GoPackets
from frpd.udp.visited_port import VisitedPort

SILENCE_SECONDS: Final = 60.0
"""The other end says something every 30 s."""
AGAIN_SECONDS: Final = 1.0
"""After the server has refused; what comes meanwhile is dropped."""


class SudpVisitor(PortVisitor):
    """One sudp visitor. Loop thread only.

    Args:
        context: of the client.
        config: of this visitor.
    """

    def __init__(self, context: VisitorContext, config: VisitorConfig) -> None:
        super().__init__(context, config)
        self._port: VisitedPort | None = None
        self._call: VisitorCall | None = None
        self._timer: Timer | None = None  # of the silence, or of the next try

    def _open_port(self) -> None:
        """See PortVisitor._open_port."""
        context = self.context
        self._port = VisitedPort(
            context.loop,
            bind_udp(self.config.bind_addr, self.config.bind_port),
            packets=GoPackets,
            counters=self.counters,
            session_seconds=context.udp_session_seconds,
            max_sessions=context.udp_max_sessions,
            log=context.log,
            on_lost=self._lost,
            gate=self.gate,
        )
        self._port.when_wanted(self._ask)

    def _close_port(self) -> None:
        """See PortVisitor._close_port."""
        self._stop_timer()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._port is not None:
            self._port.close()
            self._port = None

    def _ask(self) -> None:
        """Datagrams wait: ask the server for a stream to the proxy."""
        assert self._session is not None
        self._call = VisitorCall(
            self.context,
            self.config,
            self.key,
            self._session,
            on_admitted=self._admitted,
            on_failed=self._refused,
        )
        self._call.make()

    def _admitted(self, admitted: Admitted) -> None:
        self._call = None
        assert self._port is not None
        self._port.attach(admitted.endpoint, self.context.udp_packet_bytes)
        self._watch_silence()

    def _refused(self, error: FrpError) -> None:
        self._call = None
        self.context.log.warning("start new visitor connection error: %s", error)
        self._timer = self.context.loop.call_later(AGAIN_SECONDS, self._try_again)

    def _try_again(self) -> None:
        self._timer = None
        assert self._port is not None
        self._port.drop_waiting()  # an answer would come too late for who sent these
        self._port.when_wanted(self._ask)

    def _lost(self, _reason: str) -> None:
        self._stop_timer()
        assert self._port is not None
        self._port.when_wanted(self._ask)

    def _watch_silence(self) -> None:
        assert self._port is not None
        when = self._port.channel.heard_at + SILENCE_SECONDS
        self._timer = self.context.loop.call_at(when, self._silence_due)

    def _silence_due(self) -> None:
        assert self._port is not None
        if self.context.loop.now() < self._port.channel.heard_at + SILENCE_SECONDS:
            self._watch_silence()
        else:
            self._port.give_up(f"silent for {SILENCE_SECONDS:g} s")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
