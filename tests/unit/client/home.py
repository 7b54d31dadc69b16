"""A whole client Service on the loop, and the server that it talks to: scripted by the test."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from frpd.client.service import Service
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.proxies import ProxyConfig, TcpProxyConfig
from frpd.config.secret import Secret
from frpd.config.visitors import VisitorConfig
from frpd.net.connector import Connector
from frpd.net.resolver import Resolver
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import (
    Login,
    LoginResp,
    NewProxy,
    NewProxyResp,
    NewWorkConn,
    ReqWorkConn,
    StartWorkConn,
)
from tests.helpers.peers import TOKEN, MuxPeer, PeerStream, Talker, Wire
from tests.helpers.world import FixedEntropy, World


class Door:
    """A listening socket of the test's: what connects to it waits in ``wires``."""

    def __init__(self, world: World, port: int = 0) -> None:
        self.world = world
        self.sock = socket.create_server(("127.0.0.1", port))
        self.sock.setblocking(False)
        self.port: int = self.sock.getsockname()[1]
        self.wires: list[Wire] = []
        self.connections = 0
        world.peers.append(self)
        world.stack.callback(self.sock.close)

    def pump(self) -> None:
        try:
            sock, _ = self.sock.accept()
        except BlockingIOError:
            return
        self.connections += 1
        self.wires.append(Wire(self.world, sock))

    def next(self) -> Wire:
        self.world.until(lambda: self.wires, "a connection")
        return self.wires.pop(0)

    def close(self) -> None:
        self.world.peers.remove(self)
        self.sock.close()


class Session:
    """One login of the client, seen by the server."""

    def __init__(self, home: Home) -> None:
        self.world = home.world
        self._home = home
        self.wire = home.door.next()
        self.mux = MuxPeer(self.world, self.wire, is_client=False) if home.mux else None
        self.control = Talker(self.world, self.next_stream(first=True))
        self.login = self.control.receive(Login)

    def next_stream(self, *, first: bool = False) -> PeerStream:
        """Return the next stream that the client opens."""
        mux = self.mux
        if mux is not None:
            self.world.until(lambda: mux.accepted, "a stream")
            return mux.accepted.pop(0)
        return self.wire if first else self._home.door.next()

    def accept(self, run_id: str = "abc", **fields: Any) -> Session:
        self.control.send(LoginResp(version="0.51.3", run_id=run_id, **fields))
        self.control.encrypt()
        return self

    def accept_proxies(self, count: int = 1) -> list[NewProxy]:
        asked = [self.control.receive(NewProxy) for _ in range(count)]
        for request in asked:
            self.control.send(NewProxyResp(request.proxy_name, f":{request.remote_port}"))
        self.world.settle()
        return asked

    def refuse_proxy(self, error: str) -> None:
        request = self.control.receive(NewProxy)
        self.control.send(NewProxyResp(request.proxy_name, error=error))
        self.world.settle()

    def ask_work(self) -> Talker:
        """Ask for a work connection and return it."""
        self.control.send(ReqWorkConn())
        work = Talker(self.world, self.next_stream())
        assert work.receive(NewWorkConn).run_id
        return work

    def start_work(self, name: str = "web", glued: bytes = b"") -> Talker:
        """Give a visitor to the client."""
        work = self.ask_work()
        start = StartWorkConn(proxy_name=name, src_addr="9.9.9.9", src_port=99)
        work.stream.write(encode_message(start) + glued)
        work.started = True
        return work


class Home:
    """A client, its scripted server and a local service."""

    def __init__(
        self,
        world: World,
        *,
        mux: bool = True,
        proxies: Sequence[ProxyConfig] | None = None,
        proxy: dict[str, Any] | None = None,
        visitors: Sequence[VisitorConfig] = (),
        start: bool = True,
        **keys: Any,
    ) -> None:
        self.world = world
        self.mux = mux
        self.door = Door(world)
        self.local = Door(world)
        if proxies is None:
            fields: dict[str, Any] = {"name": "web", "section": "web", "remote_port": 6000}
            fields |= {"local_port": self.local.port} | (proxy or {})
            proxies = (TcpProxyConfig(**fields),)
        settings: dict[str, Any] = {
            "server_addr": "127.0.0.1",
            "server_port": self.door.port,
            "token": Secret(TOKEN),
            "tcp_mux": mux,
        }
        setup = ClientSetup(
            common=ClientConfig(**(settings | keys)),
            proxies=tuple(proxies),
            visitors=tuple(visitors),
        )
        self.fatal: list[str] = []
        connector = Connector(world.loop, Resolver(world.pool))
        self.empty = world.census()
        self.service = Service(
            world.loop,
            world.pool,
            connector,
            setup,
            FixedEntropy(),
            on_fatal=self.fatal.append,
        )
        world.owners.callback(self.service.close)
        if start:
            self.service.start()

    def session(self) -> Session:
        return Session(self)

    def running(self, **fields: Any) -> Session:
        """Return a session that is logged in and whose proxies run."""
        session = self.session().accept(**fields)
        session.accept_proxies(len(self.service.table.entries))
        return session
