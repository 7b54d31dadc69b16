"""Tunnel: what frpc would say for an SSH client, on streams to the server it has come to.

For the room's thread. It speaks frp's messages as any client does, so that there is one way
into frps; only the cipher is left out, because nothing leaves the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from frpd.auth.token import TokenAuthenticator
from frpd.clock import unix_now
from frpd.errors import FrpError, RemoteProtocolError
from frpd.proto.message.codec import MessageDecoder, encode_message
from frpd.proto.message.types import (
    EMULATED_VERSION,
    Login,
    LoginResp,
    Message,
    NewProxyResp,
    NewWorkConn,
    ReqWorkConn,
    StartWorkConn,
)
from frpd.server.ssh_gateway.command import Wanted

READ_BYTES: Final = 16 * 1024
SYSTEM: Final = "ssh-tunnel"
"""What the client lists of frps call its system."""

Near: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
"""Our end of a stream to the server."""
OnWork: TypeAlias = Callable[[Near, bytes, StartWorkConn], Awaitable[None]]


class Refused(FrpError):
    """The server does not want the client, or its proxy; the user may read why."""


class Tunnel:
    """One client and its proxy.

    Args:
        wanted: by the user.
        software: of the user, as it calls itself.
        give: hands the other end of a new stream to the server.
        on_address: called when the proxy is there, with its address.
        on_work: serves a visitor; it gets the stream, the bytes that were read from it after
            the start, and who it is.
    """

    def __init__(
        self,
        wanted: Wanted,
        software: str,
        *,
        give: Callable[[socket.socket], None],
        on_address: Callable[[str], None],
        on_work: OnWork,
    ) -> None:
        self._wanted = wanted
        self._software = software
        self._give = give
        self._on_address = on_address
        self._on_work = on_work
        self._auth = TokenAuthenticator(wanted.token, 0, new_work_conns=True)
        self._works: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Log in, and serve until the server ends the session.

        Raises:
            Refused: it never was one.
        """
        reader, writer = await self._open()
        messages = _Messages(reader)
        try:
            writer.write(encode_message(self._login()))
            answer = await messages.next()
            if not isinstance(answer, LoginResp):
                raise Refused("the server has closed the connection")
            if answer.error:
                raise Refused(answer.error)
            writer.write(encode_message(self._wanted.request))
            while (message := await messages.next()) is not None:
                self._handle(message, answer.run_id)
        finally:
            writer.close()
            for work in self._works:
                work.cancel()
            await asyncio.gather(*self._works, return_exceptions=True)

    def _login(self) -> Login:
        credential = self._auth.login_fields(unix_now())
        return Login(
            version=EMULATED_VERSION,
            hostname=self._software,
            os=SYSTEM,
            user=self._wanted.user,
            privilege_key=credential.privilege_key,
            timestamp=credential.timestamp,
        )

    def _handle(self, message: Message, run_id: str) -> None:
        if isinstance(message, ReqWorkConn):
            work = asyncio.ensure_future(self._work(run_id))
            self._works.add(work)
            work.add_done_callback(self._works.discard)
        elif isinstance(message, NewProxyResp):
            if message.error:
                raise Refused(message.error)
            self._on_address(message.remote_addr)

    async def _work(self, run_id: str) -> None:
        credential = self._auth.new_work_conn_fields(unix_now())
        hello = NewWorkConn(
            run_id=run_id,
            privilege_key=credential.privilege_key,
            timestamp=credential.timestamp,
        )
        with contextlib.suppress(OSError, RemoteProtocolError):
            reader, writer = await self._open()
            try:
                writer.write(encode_message(hello))
                messages = _Messages(reader)
                start = await messages.next()
                if isinstance(start, StartWorkConn) and not start.error:
                    await self._on_work((reader, writer), messages.rest(), start)
            finally:
                writer.close()

    async def _open(self) -> Near:
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setblocking(False)
        self._give(theirs)
        return await asyncio.open_unix_connection(sock=ours)


class _Messages:
    """Reads messages one by one."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._decoder = MessageDecoder()

    async def next(self) -> Message | None:
        """Return the next one; None at the end."""
        while (message := self._decoder.next_message()) is None:
            data = await self._reader.read(READ_BYTES)
            if not data:
                return None
            self._decoder.receive_data(data)
        return message

    def rest(self) -> bytes:
        """Return what was read behind the last one."""
        return self._decoder.take_rest()
