"""A client whose one proxy is a plugin's, and visitors that the test plays."""

from __future__ import annotations

from typing import Any

from frpd.client.proxies.base import ProxyContext, ServesWork
from frpd.config.params import Params
from frpd.log import get_logger
from frpd.net.connector import Connector
from frpd.net.resolver import Resolver
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import StartWorkConn
from frpd.proto.native import FEATURES
from tests.helpers.peers import Talker
from tests.helpers.world import FixedEntropy, World
from tests.unit.client.home import Home


class Running:
    """Satisfies Relays: what is under way."""

    def __init__(self) -> None:
        self.relays: list[object] = []

    def relay_started(self, relay: object) -> None:
        self.relays.append(relay)

    def relay_ended(self, relay: object) -> None:
        self.relays.remove(relay)


def context_of(world: World, features: frozenset[str] = frozenset()) -> ProxyContext:
    """Return what a proxy may use, without a client."""
    return ProxyContext(
        loop=world.loop,
        entropy=FixedEntropy(),
        connector=Connector(world.loop, Resolver(world.pool)),
        relays=Running(),
        log=get_logger("frpd.client.test").prefixed("web"),
        cipher_key=b"k" * 16,
        features=lambda: features,
    )


FRPD = {"frpd": {"v": 1, "chosen": sorted(FEATURES)}}


class Stage:
    """The proxy ``web``, served by a plugin; ``home.local`` is a service to reach.

    Args:
        world: everything happens in.
        plugin: its name.
        params: its keys, without ``plugin_``.
        answer: more fields of LoginResp; FRPD for a server of ours.
    """

    def __init__(
        self,
        world: World,
        plugin: str,
        params: dict[str, str] | None = None,
        *,
        mux: bool = True,
        answer: dict[str, Any] | None = None,
    ) -> None:
        self.world = world
        keys = Params({f"plugin_{name}": value for name, value in (params or {}).items()})
        proxy = {"plugin": plugin, "plugin_params": keys}
        self.home = Home(world, mux=mux, proxy=proxy)
        self.session = self.home.running(**(answer or {}))
        self.port = self.home.local.port

    @property
    def server(self) -> ServesWork:
        server = self.home.service.table.entries["web"].server
        assert server is not None
        return server

    def visit(self, data: bytes = b"", *, source: str = "127.0.0.1") -> Talker:
        """Return a visitor that has said something."""
        work = self.session.ask_work()
        start = StartWorkConn(proxy_name="web", src_addr=source, src_port=99)
        work.stream.write(encode_message(start) + data)
        work.started = True
        return work

    def hears(self, visitor: Talker, data: bytes) -> None:
        """Wait until the visitor has got exactly this, and forget it."""
        self.world.until(lambda: len(visitor.payload) >= len(data), f"{data!r}")
        self.world.settle()
        assert bytes(visitor.payload) == data
        visitor.payload.clear()

    def leaves_nothing(self) -> None:
        """The client ends; nothing is left of it."""
        self.home.service.close()
        for peer in list(self.world.peers):
            close = getattr(peer, "close", None)
            if close is not None and peer is not self.home.door and peer is not self.home.local:
                close()
        self.session.wire.close()
        self.world.until(self.home.empty.is_back, "nothing is left")
        assert self.home.empty.timers_are_back()
