"""xtcp proxies: visitors come to us from peer to peer, and the server only introduces them.

Its notice of a visitor is one message on a work stream. What comes of the hole is a tunnel,
and each stream of it a user of the service, as a work connection of a tcp proxy would be:
but encrypted under the sk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from frpd.client.nathole.generation import NEWEST, Puncher, Signalling, way_of
from frpd.client.nathole.tunnel import Tunnel
from frpd.client.nathole.ways import OWNER_WAYS
from frpd.client.proxies.base import ProxyContext, ServesWork
from frpd.client.proxies.general import GeneralProxy
from frpd.config.proxies import ProxyConfig, XtcpProxyConfig
from frpd.errors import FrpError
from frpd.net.endpoint import Endpoint
from frpd.net.transform import TransformEndpoint
from frpd.proto.ciphers import derive_key
from frpd.proto.message.types import Message, NatHoleSid, StartWorkConn
from frpd.selector_loop import Timer
from frpd.transports.messages import MessageStream
from frpd.transports.work import WorkStream

NOTICE_SECONDS: Final = 10.0
MAX_HOLES: Final = 64
"""Of one proxy at a time."""
MAX_TUNNELS: Final = 256

Serve = Callable[[ProxyContext, ProxyConfig], ServesWork]


class XtcpProxy:
    """Serves xtcp proxies. Loop thread only.

    Args:
        context: of the client; its ``holes`` are needed.
        config: of this proxy.
        serve: makes who takes each user.
    """

    def __init__(
        self, context: ProxyContext, config: ProxyConfig, serve: Serve = GeneralProxy
    ) -> None:
        assert isinstance(config, XtcpProxyConfig)
        assert context.holes is not None
        self.context = context
        self.config = config
        self.holes = replace(
            context.holes,
            log=context.log,
            tells_local_addresses=not config.disable_assisted_addrs,
        )
        # What the far end is able to nobody has told us.
        users = replace(context, cipher_key=derive_key(config.sk.reveal()), features=frozenset)
        self._users = serve(users, config)
        self.counters = self._users.counters
        self.under_way: set[OwnerAttempt] = set()
        self._tunnels: set[Tunnel] = set()

    def on_work(self, work: WorkStream, start: StartWorkConn) -> None:
        """See ServesWork.on_work: a visitor is announced."""
        endpoint, seal, session = work.endpoint, work.seal, self.context.session()
        if session is None:
            endpoint.abort()
            return
        if len(self.under_way) >= MAX_HOLES:
            self.context.log.warning("a visitor is not answered: %d are", MAX_HOLES)
            endpoint.abort()
            return
        if seal is not None and not seal.reader.ended:
            endpoint = TransformEndpoint(endpoint, [seal.payload()])
        self.under_way.add(OwnerAttempt(self, session, endpoint, start))

    def retire(self) -> None:
        """See ServesWork.retire: users of the tunnels stay."""
        self._cancel()
        for tunnel in self._tunnels:
            tunnel.retire()
        self._users.retire()

    def close(self) -> None:
        """See ServesWork.close."""
        self._cancel()
        while self._tunnels:
            self._tunnels.pop().close()
        self._users.close()

    def tunnel_opened(self, tunnel: Tunnel, start: StartWorkConn) -> None:
        """A hole became a tunnel."""
        if len(self._tunnels) >= MAX_TUNNELS:
            self.context.log.warning("a tunnel was closed: there are %d", MAX_TUNNELS)
            tunnel.close()
            return
        log = self.context.log

        def lost(reason: str) -> None:
            self._tunnels.discard(tunnel)
            log.info("tunnel ended: %s: %s", tunnel.describe(), reason)

        tunnel.on_lost = lost
        self._tunnels.add(tunnel)
        log.info("tunnel opened: %s", tunnel.describe())
        tunnel.accept_streams(lambda stream: self._users.on_work(WorkStream(stream), start))

    def _cancel(self) -> None:
        for attempt in list(self.under_way):
            attempt.cancel()


class OwnerAttempt:
    """One visitor that was announced, until there is a tunnel or none. Loop thread only.

    Args:
        proxy: ours; the attempt takes itself out of its ``under_way``.
        session: that announced it.
        endpoint: the work stream.
        start: what came ahead of the notice.
    """

    def __init__(
        self, proxy: XtcpProxy, session: Signalling, endpoint: Endpoint, start: StartWorkConn
    ) -> None:
        loop = proxy.context.loop
        self._proxy = proxy
        self._session = session
        self._start = start
        self._puncher: Puncher | None = None
        self._stream = MessageStream(loop, endpoint, self._on_message, self._on_end)
        self._timer: Timer = loop.call_later(NOTICE_SECONDS, self._timed_out)

    def cancel(self) -> None:
        """Give up silently. Idempotent."""
        self._over()
        self._stream.abort()
        if self._puncher is not None:
            self._puncher.cancel()

    def _on_message(self, message: Message) -> None:
        if not isinstance(message, NatHoleSid):
            self._refuse(f"unexpected {type(message).__name__}")
            return
        session, proxy = self._session, self._proxy
        early = way_of(session.server_version, session.features, session.server_udp)
        way = message.early or early or NEWEST
        make = OWNER_WAYS.get(way)
        if make is None:
            self._refuse(f"it punches holes in an old way ({way})")
            return
        self._timer.cancel()
        config = proxy.config
        assert isinstance(config, XtcpProxyConfig)
        self._puncher = make(
            proxy.holes,
            config,
            session,
            self._stream.detach(),
            message,
            on_tunnel=self._opened,
            on_failed=self._failed,
        )
        self._puncher.start()

    def _opened(self, tunnel: Tunnel) -> None:
        self._over()
        self._proxy.tunnel_opened(tunnel, self._start)

    def _failed(self, error: FrpError) -> None:
        self._over()
        self._proxy.context.log.warning("no tunnel to a visitor: %s", error)

    def _refuse(self, reason: str) -> None:
        self.cancel()
        self._proxy.context.log.warning("a visitor is not answered: %s", reason)

    def _on_end(self, error: FrpError | None) -> None:
        self._refuse(str(error or "its work connection ended without a word"))

    def _timed_out(self) -> None:
        self._refuse(f"no notice within {NOTICE_SECONDS:g} s")

    def _over(self) -> None:
        self._timer.cancel()
        self._proxy.under_way.discard(self)
