"""A whole Service on a loopback port, with scripted clients and visitors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from frpd.config.ports import PortSet
from frpd.config.secret import Secret
from frpd.config.server import ServerConfig
from frpd.entropy import Entropy
from frpd.metrics.access import Visit
from frpd.net.socket_store import SocketStore
from frpd.proto.message.types import StartWorkConn
from frpd.server.fittings import load_fittings
from frpd.server.service import Service
from tests.helpers.peers import TOKEN, ScriptedClient, Talker, Wire
from tests.helpers.ports import free_port
from tests.helpers.world import Census, FixedEntropy, World


class House:
    """A Service that listens, and what it held before anyone came."""

    def __init__(
        self,
        world: World,
        *,
        entropy: Entropy | None = None,
        sockets: SocketStore | None = None,
        told: list[Visit] | None = None,
        **keys: Any,
    ) -> None:
        settings: dict[str, Any] = {
            "bind_addr": "127.0.0.1",
            "proxy_bind_addr": "127.0.0.1",
            "bind_port": 0,
            "token": Secret(TOKEN),
        }
        if isinstance(keys.get("allow_ports"), str):
            keys["allow_ports"] = PortSet.parse(keys["allow_ports"])
        config = ServerConfig(**(settings | keys))
        self.world = world
        tell = None if told is None else told.append
        self.service = Service(
            world.loop, world.pool, config, entropy or FixedEntropy(), sockets, tell=tell
        )
        self.service.listen()
        world.owners.callback(self.service.close)
        self.port = self.service._entrances.addresses[0][1]
        world.settle()
        self.empty: Census = world.census()

    def reload(self, **keys: Any) -> tuple[str, ...]:
        """Have it run on other keys, as a file with them would."""
        if isinstance(keys.get("allow_ports"), str):
            keys["allow_ports"] = PortSet.parse(keys["allow_ports"])
        config = replace(self.service.config, **keys)
        return self.service.reload(config, load_fittings(self.world.loop, config))

    def connect(self, receive_buffer: int = 0) -> Wire:
        """Return a connection that was accepted."""
        wire = Wire.to(self.world, self.port, receive_buffer=receive_buffer)
        self.world.settle()
        return wire

    def client(self, *, mux: bool = True, **fields: Any) -> ScriptedClient:
        """Return a client that has logged in."""
        client = ScriptedClient(self.world, self.port, mux=mux)
        answer = client.login(**fields)
        assert answer.error == ""
        return client

    def proxy(self, client: ScriptedClient, name: str = "web", **fields: Any) -> int:
        """Register a tcp proxy and return its port."""
        port = free_port()
        assert client.new_proxy(name, port, **fields).error == ""
        return port

    def visit(self, port: int) -> Wire:
        return Wire.to(self.world, port)

    def serve(self, client: ScriptedClient) -> Talker:
        """Bring a work connection, and wait for its visitor."""
        work = client.work()
        start = work.receive(StartWorkConn)
        assert start.error == ""
        return work

    def is_empty(self) -> bool:
        """Whether the server holds what it did before anyone came; close the peers first."""
        service = self.service
        books = (service.controls, service.proxies, service.relays, service._door.pending)
        return not any(books) and self.empty.is_back()

    def until_empty(self) -> None:
        """Run turns until nothing is left of anyone, timers included."""
        self.world.until(self.is_empty, "the server is empty")
        self.world.advance(30.0)
        assert self.empty.timers_are_back()
