"""Groups with Go ends: a Go client's proxy beside ours, and ours on a Go server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import BIN
from tests.helpers.services import Service, says
from tests.helpers.stage import TOKEN, Stage
from tests.helpers.visitors import read_to_end, visit
from tests.helpers.web import answer, read_asked

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers.peers_go import GoPeer
    from tests.helpers.programs import Program

HOST = "group.example.test"
GET = f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
HTTP_GROUPS_SINCE = (0, 28)


@dataclass
class Named:
    """A web service that answers with its name."""

    name: str

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_asked(reader)
        writer.write(answer(self.name.encode(), "Connection: close"))
        await writer.drain()


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, int]]:
    """Ports of a tcp and an http service for each of the two members."""
    with (
        Service(says(b"a")) as a,
        Service(says(b"b")) as b,
        Service(Named("a").serve) as web_a,
        Service(Named("b").serve) as web_b,
    ):
        yield {"a": a.port, "b": b.port, "web-a": web_a.port, "web-b": web_b.port}


class Place:
    """A server, and clients with one proxy of each kind."""

    def __init__(self, stage: Stage, folder: Path, services: dict[str, int]) -> None:
        self.stage = stage
        self.services = dict(services)
        self.bind_port, self.port, self.web_port = free_port(), free_port(), free_port()
        common = {"bind_addr": "127.0.0.1", "bind_port": self.bind_port, "token": TOKEN}
        stage.frps({**common, "vhost_http_port": self.web_port}, folder=folder)

    def join(
        self, name: str, folder: Path, settings: dict[str, object], *, web: bool, key: str = "key"
    ) -> Program:
        """Start a client with members of both groups; do not wait for them."""
        group = {"group": "g", "group_key": key}
        where = {"type": "tcp", "remote_port": self.port, "local_port": self.services[name]}
        proxies = {name: {**where, **group}}
        if web:
            port = self.services[f"web-{name}"]
            where = {"type": "http", "custom_domains": HOST, "local_port": port}
            proxies[f"web-{name}"] = {**where, **group}
        common = {"server_addr": "127.0.0.1", "server_port": self.bind_port, "token": TOKEN}
        return self.stage.frpc({**common, **settings}, proxies, folder=folder, wait_for=())

    def said(self, times: int) -> list[str]:
        """Visit the port so often."""
        heard = []
        for _ in range(times):
            with visit(self.port) as visitor:
                heard.append(read_to_end(visitor).decode())
        return heard

    def web_said(self, times: int) -> list[str]:
        """Ask the web so often."""
        heard = []
        for _ in range(times):
            with visit(self.web_port) as visitor:
                visitor.sendall(GET)
                head, _, body = read_to_end(visitor).partition(b"\r\n\r\n")
            assert b" 200 " in head.splitlines()[0], head
            heard.append(body.decode())
        return heard


def until_in(client: Program, *names: str) -> None:
    for name in names:
        client.wait_for(rf"\[{name}\] start proxy success")


def test_a_go_client_s_member_beside_ours(
    peer: GoPeer, stage: Stage, services: dict[str, int]
) -> None:
    place = Place(stage, BIN, services)
    web = peer.number >= HTTP_GROUPS_SINCE
    until_in(place.join("a", BIN, {}, web=True), "a", "web-a")
    go = place.join("b", peer.folder, peer.client_settings("frpc"), web=web)
    until_in(go, *["b", "web-b"][: 1 + web])
    assert place.said(4) == ["a", "b"] * 2
    assert place.web_said(4) == (["b", "a"] * 2 if web else ["a"] * 4)


def test_a_go_client_without_its_service_is_passed_over(
    peer: GoPeer, stage: Stage, services: dict[str, int]
) -> None:
    place = Place(stage, BIN, services)
    place.services |= {"b": free_port(), "web-b": free_port()}
    web = peer.number >= HTTP_GROUPS_SINCE
    go = place.join("b", peer.folder, peer.client_settings("frpc"), web=web)
    until_in(go, *["b", "web-b"][: 1 + web])
    until_in(place.join("a", BIN, {}, web=True), "a", "web-a")
    assert place.said(4) == ["a"] * 4
    assert place.web_said(4) == ["a"] * 4


def test_a_go_client_with_another_key_is_told(
    peer: GoPeer, stage: Stage, services: dict[str, int]
) -> None:
    place = Place(stage, BIN, services)
    until_in(place.join("a", BIN, {}, web=False), "a")
    go = place.join("b", peer.folder, peer.client_settings("frpc"), web=False, key="wrong")
    go.wait_for("group auth failed")
    assert place.said(2) == ["a", "a"]


def test_our_members_on_a_go_server(peer: GoPeer, stage: Stage, services: dict[str, int]) -> None:
    place = Place(stage, peer.folder, services)
    web = peer.number >= HTTP_GROUPS_SINCE
    for name in ("a", "b"):
        until_in(place.join(name, BIN, {}, web=web), *[name, f"web-{name}"][: 1 + web])
    assert set(place.said(6)) == {"a", "b"}
    if web:
        assert place.web_said(4) == ["b", "a"] * 2
    stranger = place.join("b", BIN, {"user": "else"}, web=False, key="wrong")
    stranger.wait_for(r"start error: group auth failed")
