"""Tunnel: says what a client says, hands on who comes, and what the server does not want."""

from __future__ import annotations

import asyncio
import socket
from typing import TypeVar

import pytest

from frpd.auth.token import privilege_key
from frpd.config.secret import Secret
from frpd.proto.message.codec import MessageDecoder, encode_message
from frpd.proto.message.types import (
    Login,
    LoginResp,
    Message,
    NewProxy,
    NewProxyResp,
    NewWorkConn,
    ReqWorkConn,
    StartWorkConn,
)
from frpd.server.ssh_gateway.command import Wanted
from frpd.server.ssh_gateway.tunnel import Near, Refused, Tunnel

_M = TypeVar("_M", bound=Message)

TOKEN = "a token"
WANTED = Wanted("alice", Secret(TOKEN), NewProxy(proxy_name="alice.x", proxy_type="tcp"))


class Server:
    """A scripted frps, and the tunnel that has come to it."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[socket.socket] = asyncio.Queue()
        self.addresses: list[str] = []
        self.served: list[tuple[bytes, StartWorkConn]] = []
        self.tunnel = Tunnel(
            WANTED,
            "OpenSSH",
            give=self.came.put_nowait,
            on_address=self.addresses.append,
            on_work=self._on_work,
        )
        self.decoder = MessageDecoder()

    async def _on_work(self, near: Near, rest: bytes, start: StartWorkConn) -> None:
        self.served.append((rest, start))
        near[1].write(b"from the service")

    async def begin(self) -> Login:
        self.task = asyncio.ensure_future(self.tunnel.run())
        self.control = await self.stream()
        return await self.receive(self.control, Login)

    async def stream(self) -> Near:
        return await asyncio.open_unix_connection(sock=await self.came.get())

    async def receive(self, stream: Near, kind: type[_M]) -> _M:
        async with asyncio.timeout(15):
            while (message := self.decoder.next_message()) is None:
                self.decoder.receive_data(await stream[0].read(1024))
        assert isinstance(message, kind)
        return message

    def send(self, stream: Near, *messages: Message, rest: bytes = b"") -> None:
        stream[1].write(b"".join(map(encode_message, messages)) + rest)

    async def over(self) -> None:
        self.control[1].close()
        async with asyncio.timeout(15):
            await self.task


def test_it_logs_in_and_asks_for_its_proxy() -> None:
    async def play() -> None:
        server = Server()
        login = await server.begin()
        assert (login.user, login.os, login.hostname) == ("alice", "ssh-tunnel", "OpenSSH")
        assert login.privilege_key == privilege_key(TOKEN, login.timestamp)
        assert login.client_spec is None, "nothing that is trusted is said on the wire"
        server.send(server.control, LoginResp(run_id="r"))
        assert await server.receive(server.control, NewProxy) == WANTED.request
        server.send(server.control, NewProxyResp(proxy_name="alice.x", remote_addr=":90"))
        server.send(server.control, ReqWorkConn())
        work = await server.stream()
        hello = await server.receive(work, NewWorkConn)
        assert (hello.run_id, hello.privilege_key != "") == ("r", True)
        start = StartWorkConn(proxy_name="alice.x", src_addr="192.0.2.7", src_port=7)
        server.send(work, start, rest=b"first bytes")
        assert await work[0].read() == b"from the service"
        work[1].close()
        assert server.served == [(b"first bytes", start)]
        assert server.addresses == [":90"]
        await server.over()

    asyncio.run(play())


@pytest.mark.parametrize("is_login", [True, False])
def test_what_the_server_does_not_want_is_raised(is_login: bool) -> None:
    async def play() -> None:
        server = Server()
        await server.begin()
        if is_login:
            server.send(server.control, LoginResp(error="not so"))
        else:
            server.send(server.control, LoginResp(run_id="r"), NewProxyResp(error="not so"))
        with pytest.raises(Refused, match="not so"):
            await server.over()

    asyncio.run(play())


def test_a_server_that_says_nothing_is_an_end() -> None:
    async def play() -> None:
        server = Server()
        await server.begin()
        with pytest.raises(Refused, match="closed the connection"):
            await server.over()

    asyncio.run(play())


def test_work_that_was_asked_for_ends_with_the_session() -> None:
    async def play() -> None:
        server = Server()
        await server.begin()
        server.send(server.control, LoginResp(run_id="r"), ReqWorkConn())
        work = await server.stream()
        await server.over()
        assert (await work[0].read()) != b"", "it was begun"
        work[1].close()
        assert server.served == []

    asyncio.run(play())
