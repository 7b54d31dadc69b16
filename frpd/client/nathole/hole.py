"""Holes as frp has punched them since 0.49: the visitor's attempt and the owner's.

Each end asks a STUN server how it is seen, tells the server of it on its control stream,
is told what to do, and punches. The socket that gets through becomes a tunnel: KCP, or QUIC.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

from frpd.auth.token import privilege_key
from frpd.client.nathole.answers import Asking, Question
from frpd.client.nathole.discovery import Discovery, Found, Means
from frpd.client.nathole.generation import HoleContext, OnFailed, OnTunnel, Signalling
from frpd.client.nathole.plan import plan_of
from frpd.client.nathole.punch import Punching
from frpd.client.nathole.tunnel import KCP, QUIC, Tunnel, make_tunnel
from frpd.clock import unix_now
from frpd.config.proxies import SecretProxyConfig
from frpd.config.secret import Secret
from frpd.config.visitors import VisitorConfig, XtcpVisitorConfig
from frpd.errors import FrpError, LimitError, RemoteProtocolError, TransportError
from frpd.net.endpoint import Endpoint
from frpd.proto.ciphers import derive_key
from frpd.proto.message.types import (
    NatHoleClient,
    NatHoleReport,
    NatHoleResp,
    NatHoleSid,
    NatHoleVisitor,
)
from frpd.proto.nat import UNKNOWN, nat_of, read_address
from frpd.selector_loop import Timer
from frpd.transports.over_udp import NO_QUIC, has_quic

REOPEN_SECONDS: Final = 0.1
"""A Go owner closes its socket and opens it again: what comes in between would be refused."""


class Hole:
    """The steps that both ends have in common. Loop thread only.

    Args:
        context: see HoleContext.
        sk: of the proxy.
        signalling: the session.
        question: makes what the server is asked, of how we are seen.
        on_punched: called with a connected socket and the server's answer,
        on_failed: or this one with the reason, and the answer if there was one.
        accept: raises TransportError for an answer that we cannot do anything with.
    """

    def __init__(
        self,
        context: HoleContext,
        sk: Secret,
        signalling: Signalling,
        question: Callable[[Found], Question],
        *,
        on_punched: Callable[[socket.socket, NatHoleResp], None],
        on_failed: Callable[[FrpError, NatHoleResp | None], None],
        accept: Callable[[NatHoleResp], None] = lambda _answer: None,
    ) -> None:
        self._context = context
        self._key = derive_key(sk.reveal())
        self._signalling = signalling
        self._question = question
        self._on_punched = on_punched
        self._on_failed = on_failed
        self._accept = accept
        means = Means(context.loop, context.resolver, context.entropy)
        self._discovery = Discovery(means, context.stun_server, self._found, self._undiscovered)
        self._seen: Found | None = None
        self._asking: Asking | None = None
        self._answer: NatHoleResp | None = None
        self._punching: Punching | None = None

    def start(self) -> None:
        """Begin."""
        self._discovery.start()

    def cancel(self) -> None:
        """Give up silently. Idempotent."""
        self._discovery.cancel()
        if self._asking is not None:
            self._asking.cancel()
        if self._punching is not None:
            self._punching.cancel()
        elif self._seen is not None:
            self._seen.sock.close()

    def _undiscovered(self, error: FrpError) -> None:
        self._on_failed(TransportError(f"discover error: {error}"), None)

    def _found(self, found: Found) -> None:
        self._seen = found
        self._context.log.info(
            "nathole prepare success, nat type: %s, behavior: %s, addresses: %s, local: %s",
            found.nat.nat_type,
            found.nat.behavior,
            found.mapped_texts(),
            found.assisted_texts(),
        )
        try:
            self._asking = self._signalling.answers.ask(
                self._question(found), self._answered, self._fail
            )
        except LimitError as error:
            self._fail(error)

    def _answered(self, answer: NatHoleResp) -> None:
        assert self._seen is not None
        self._answer = answer
        try:
            plan = plan_of(answer)
            self._accept(answer)
        except (TransportError, RemoteProtocolError) as error:
            self._fail(error)
            return
        self._context.log.debug("hole %s by %s: %s", answer.sid, answer.protocol, plan)
        self._punching = Punching(
            self._context,
            plan,
            self._key,
            self._seen.sock,
            on_punched=self._punched,
            on_failed=self._not_punched,
        )
        self._punching.start()

    def _punched(self, sock: socket.socket) -> None:
        assert self._answer is not None
        host, port = sock.getpeername()
        self._context.log.info(
            "establishing nat hole connection successful, sid [%s], remoteAddr [%s:%d]",
            self._answer.sid,
            host,
            port,
        )
        self._on_punched(sock, self._answer)

    def _not_punched(self, error: FrpError) -> None:
        assert self._seen is not None
        ours, theirs = self._seen.nat.describe(), nat_of_other(self._answer)
        text = f"{error}: no hole between our NAT, {ours}, and the other one, {theirs}"
        self._on_failed(TransportError(text), self._answer)

    def _fail(self, error: FrpError) -> None:
        assert self._seen is not None
        self._seen.sock.close()
        self._on_failed(error, self._answer)


def nat_of_other(answer: NatHoleResp | None) -> str:
    """Return what the other end's NAT is, as far as the server's answer tells."""
    if answer is None:
        return UNKNOWN
    try:
        mapped = [read_address(text) for text in answer.candidate_addrs]
        local = [read_address(text)[0] for text in answer.assisted_addrs]
    except RemoteProtocolError:
        return UNKNOWN
    return nat_of(mapped, local).describe() if mapped else UNKNOWN


def _tunnel(
    context: HoleContext, protocol: str, sock: socket.socket, *, is_visitor: bool
) -> Tunnel:
    return make_tunnel(
        protocol,
        context.loop,
        sock,
        is_visitor=is_visitor,
        keepalive_seconds=context.quic_keepalive_seconds,
        idle_seconds=context.quic_idle_seconds,
    )


class VisitorHole:
    """A visitor's attempt; a VisitorWay."""

    def __init__(
        self,
        context: HoleContext,
        config: VisitorConfig,
        signalling: Signalling,
        on_tunnel: OnTunnel,
        on_failed: OnFailed,
    ) -> None:
        self._context = context
        self._config = config
        self._on_tunnel = on_tunnel
        self._on_failed = on_failed
        self._hole = Hole(
            context,
            config.sk,
            signalling,
            self._question,
            on_punched=self._punched,
            on_failed=self._failed,
        )
        assert isinstance(config, XtcpVisitorConfig)
        self._protocol = config.protocol
        if self._protocol == QUIC and not has_quic():
            context.log.info("without aioquic here the tunnel is one of kcp")
            self._protocol = KCP
        self._sock: socket.socket | None = None
        self._timer: Timer | None = None

    def start(self) -> None:
        """See Puncher.start."""
        self._hole.start()

    def cancel(self) -> None:
        """See Puncher.cancel."""
        self._hole.cancel()
        if self._timer is not None and self._sock is not None:
            self._timer.cancel()
            self._sock.close()
            self._sock = None

    def _question(self, found: Found) -> NatHoleVisitor:
        now = unix_now()
        return NatHoleVisitor(
            proxy_name=self._config.server_name,
            protocol=self._protocol,
            sign_key=privilege_key(self._config.sk.reveal(), now),
            timestamp=now,
            mapped_addrs=found.mapped_texts(),
            assisted_addrs=found.assisted_texts() if self._context.tells_local_addresses else [],
        )

    def _punched(self, sock: socket.socket, _answer: NatHoleResp) -> None:
        self._sock = sock
        self._timer = self._context.loop.call_later(REOPEN_SECONDS, self._open)

    def _open(self) -> None:
        sock, self._sock = self._sock, None
        assert sock is not None
        self._on_tunnel(_tunnel(self._context, self._protocol, sock, is_visitor=True))

    def _failed(self, error: FrpError, _answer: NatHoleResp | None) -> None:
        self._on_failed(error)


class OwnerHole:
    """An owner's attempt; an OwnerWay. The work stream has done its part by now."""

    def __init__(
        self,
        context: HoleContext,
        config: SecretProxyConfig,
        signalling: Signalling,
        work: Endpoint,
        notice: NatHoleSid,
        *,
        on_tunnel: OnTunnel,
        on_failed: OnFailed,
    ) -> None:
        work.close()
        self._context = context
        self._name = config.name
        self._sid = notice.sid
        self._signalling = signalling
        self._on_tunnel = on_tunnel
        self._on_failed = on_failed
        self._hole = Hole(
            context,
            config.sk,
            signalling,
            self._question,
            on_punched=self._punched,
            on_failed=self._failed,
            accept=self._accept,
        )

    def start(self) -> None:
        """See Puncher.start."""
        self._hole.start()

    def cancel(self) -> None:
        """See Puncher.cancel."""
        self._hole.cancel()

    def _accept(self, answer: NatHoleResp) -> None:
        if answer.protocol == QUIC and not has_quic():
            text = f"the visitor wants a tunnel of quic (protocol = kcp would do): {NO_QUIC}"
            raise TransportError(text)

    def _question(self, found: Found) -> NatHoleClient:
        return NatHoleClient(
            proxy_name=self._name,
            sid=self._sid,
            mapped_addrs=found.mapped_texts(),
            assisted_addrs=found.assisted_texts() if self._context.tells_local_addresses else [],
        )

    def _punched(self, sock: socket.socket, answer: NatHoleResp) -> None:
        self._signalling.send(NatHoleReport(sid=self._sid, success=True))
        self._on_tunnel(_tunnel(self._context, answer.protocol, sock, is_visitor=False))

    def _failed(self, error: FrpError, answer: NatHoleResp | None) -> None:
        if answer is not None and not answer.error:
            self._signalling.send(NatHoleReport(sid=self._sid, success=False))
        self._on_failed(error)
