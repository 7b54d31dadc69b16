"""Groups: several clients behind one port, one domain and one name."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import wait_until
from tests.helpers.services import Service, says
from tests.helpers.stage import TOKEN, Stage
from tests.helpers.visitors import read_to_end, visit
from tests.helpers.web import answer, read_asked
from tests.unit.server.vhost.hellos import client_hello

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from tests.helpers.programs import Program

HOST = "group.example.com"
GET = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
GROUP = {"group": "g", "group_key": "key"}
KINDS = ("tcp", "http", "https")


class Web:
    """Answers each request with its name."""

    def __init__(self, name: bytes) -> None:
        self.name = name

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_asked(reader)
            writer.write(answer(self.name))
            await writer.drain()


class Greeted:
    """Says its name once it has heard something."""

    def __init__(self, name: bytes) -> None:
        self.name = name

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(self.name)
        await writer.drain()


@dataclass
class House:
    """frps, the ports of its groups by kind, and services by the names that they say."""

    stage: Stage
    frps: Program
    bind_port: int
    ports: dict[str, int]
    services: dict[tuple[str, str], Service]

    def member(self, name: str, *kinds: str, down: bool = False, **fields: object) -> Program:
        """Start a client that is in these groups; ``down``: its services are not there."""
        wanted = {f"{kind}-{name}": self._proxy(kind, name, down, fields) for kind in kinds}
        common = {"server_addr": "127.0.0.1", "server_port": self.bind_port, "token": TOKEN}
        return self.stage.frpc(common, wanted, wait_for=())

    def until_in(self, *clients: Program) -> None:
        """Wait until all proxies of these clients are up."""
        for client in clients:
            for kind in KINDS:
                client.wait_for(rf"\[{kind}-\w+\] start proxy success")

    def _proxy(
        self, kind: str, name: str, down: bool, fields: dict[str, object]
    ) -> dict[str, object]:
        where = {"remote_port": self.ports["tcp"]} if kind == "tcp" else {"custom_domains": HOST}
        service = None if down else self.services.get((kind, name))
        port = free_port() if service is None else service.port
        return {"type": kind, "local_port": port, **GROUP, **where, **fields}

    def ask_tcp(self, first_word: bytes = b"") -> str:
        with visit(self.ports["tcp"]) as visitor:
            visitor.sendall(first_word)
            return read_to_end(visitor).decode()

    def ask_https(self) -> str:
        with visit(self.ports["https"]) as visitor:
            visitor.sendall(client_hello(HOST))
            return read_to_end(visitor).decode()

    def ask_http(self, times: int) -> list[str]:
        """Ask so often on one connection."""
        said = []
        with visit(self.ports["http"]) as visitor:
            for _ in range(times):
                visitor.sendall(GET)
                heard = b""
                while b"\r\n\r\n" not in heard or heard.endswith(b"\r\n\r\n"):
                    part = visitor.recv(65536)
                    assert part, heard
                    heard += part
                head, _, body = heard.partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 "), head
                said.append(body.decode())
        return said

    def until_gone(self, client: Program) -> None:
        """Kill a client, and wait until the server knows."""
        mark = self.frps.said()
        client.signal(signal.SIGKILL)
        self.frps.wait_for("client exit success", since=mark)


def alternates(said: list[str]) -> bool:
    """Whether both members take turns; nobody knows which one came first."""
    return {*said[:2]} == {"one", "two"} and said == said[:2] * (len(said) // 2)


@pytest.fixture
def house(stage: Stage) -> Iterator[House]:
    with ExitStack() as stack:
        services = {}
        for name in ("one", "two"):
            handlers = (says(name.encode()), Web(name.encode()).serve, Greeted(name.encode()).serve)
            for kind, handler in zip(KINDS, handlers, strict=True):
                services[kind, name] = stack.enter_context(Service(handler))
        bind_port, ports = free_port(), {kind: free_port() for kind in KINDS}
        frps = stage.frps(
            {
                "bind_addr": "127.0.0.1",
                "bind_port": bind_port,
                "token": TOKEN,
                "vhost_http_port": ports["http"],
                "vhost_https_port": ports["https"],
            }
        )
        yield House(stage, frps, bind_port, ports, services)


def test_clients_share_visitors_until_one_dies(house: House) -> None:
    one, two = house.member("one", *KINDS), house.member("two", *KINDS)
    house.until_in(one, two)
    stranger = house.member("stranger", *KINDS, group_key="wrong")
    for kind in KINDS:
        stranger.wait_for(rf"\[{kind}-stranger\] start error: group auth failed")
    assert alternates([house.ask_tcp() for _ in range(4)])
    assert alternates([house.ask_https() for _ in range(4)])
    assert alternates(house.ask_http(4))
    assert alternates([house.ask_http(1)[0] for _ in range(4)])
    house.until_gone(two)
    assert {house.ask_tcp() for _ in range(4)} == {"one"}
    assert {house.ask_https() for _ in range(4)} == {"one"}
    assert set(house.ask_http(4)) == {"one"}


def test_a_member_without_a_service_costs_no_visitor_anything(house: House) -> None:
    house.services["tcp", "one"] = house.services["https", "one"]
    one = house.member("one", *KINDS)
    house.until_in(one, house.member("two", *KINDS, down=True, use_encryption=True))
    assert {house.ask_tcp(b"hello") for _ in range(4)} == {"one"}
    assert {house.ask_https() for _ in range(4)} == {"one"}
    assert set(house.ask_http(4)) == {"one"}
    # Each kind of it was tried, and then left alone for a while.
    for kind in KINDS:
        assert house.frps.count(rf"goes to \[{kind}-one\]") == 1


def test_the_members_choose_the_strategy(house: House) -> None:
    fields: dict[str, Any] = {
        "group_strategy": "source_hash",
        "use_encryption": True,
        "use_compression": True,
    }
    one, two = house.member("one", *KINDS, **fields), house.member("two", *KINDS, **fields)
    house.until_in(one, two)
    for ask in (house.ask_tcp, house.ask_https):
        assert len({ask() for _ in range(4)}) == 1
    assert len(set(house.ask_http(4))) == 1
    house.until_gone(two)
    wait_until(lambda: house.ask_tcp() == "one", "the member that is left")
