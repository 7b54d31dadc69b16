"""A service with a gateway, and users of it: asyncssh's client in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from frpd.server.guard.penalties import Offence
from tests.helpers.peers import TOKEN
from tests.helpers.ports import free_port
from tests.helpers.services import Service, echo
from tests.helpers.world import World
from tests.unit.server.house import House

_Result = TypeVar("_Result")

EXEMPT = ("192.0.2.0/24",)


class Lodge:
    """A House with a gateway, an echo service, and a thread for users."""

    def __init__(self, world: World, folder: Path, **keys: Any) -> None:
        self.world = world
        self.port = free_port()
        self.house = House(
            world,
            ssh_gateway_bind_port=self.port,
            ssh_gateway_auto_gen_private_key_path=str(folder / "key"),
            **({"per_source_penalty_exempt_list": EXEMPT} | keys),
        )
        self.service = Service(echo)
        world.stack.callback(self.service.close)
        self._conns: list[asyncssh.SSHClientConnection] = []
        self._aio = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._aio.run_forever, daemon=True)
        self._thread.start()
        world.owners.callback(self._close)

    def run(self, work: Awaitable[_Result]) -> _Result:
        """Let a user do something, while the server does its part."""

        async def do() -> _Result:
            return await work

        future = asyncio.run_coroutine_threadsafe(do(), self._aio)
        self.world.until(future.done, "what a user does")
        return future.result()

    def connect(self, **options: Any) -> asyncssh.SSHClientConnection:
        """Return an SSH connection."""
        defaults: dict[str, Any] = {
            "known_hosts": None,
            "username": "v0",
            "config": None,
            "client_keys": None,
            "agent_path": None,
        }
        conn = self.run(asyncssh.connect("127.0.0.1", self.port, **(defaults | options)))
        self._conns.append(conn)
        return conn

    def expose(
        self, conn: asyncssh.SSHClientConnection, command: str
    ) -> asyncssh.SSHClientProcess[str]:
        """Ask for a tunnel to the service."""

        async def work() -> asyncssh.SSHClientProcess[str]:
            await conn.forward_remote_port("", 80, "127.0.0.1", self.service.port)
            return await conn.create_process(command)

        return self.run(work())

    def tunnel(self, **options: Any) -> tuple[asyncssh.SSHClientConnection, int]:
        """Return a user who has exposed the service, and the port of it."""
        conn, port = self.connect(**options), free_port()
        process = self.expose(conn, f"tcp -n x --remote_port {port} --token '{TOKEN}'")
        self.run(process.stdout.readuntil("RemoteAddress"))
        return conn, port

    def leave(self, conn: asyncssh.SSHClientConnection) -> None:
        async def work() -> None:
            conn.close()
            await conn.wait_closed()

        self.run(work())

    def offences(self, host: str = "127.0.0.1") -> list[Offence]:
        """Return the last offence of an address, if it has any."""
        known = self.house.service.held[0].penalties.rows(self.world.loop.now())
        return [one.last for one in known if one.source == host]

    def is_empty(self) -> bool:
        """Whether nobody is in, or pending."""
        service = self.house.service
        door = service._ssh.door
        pending = 0 if door is None else door.pending
        return not (service.controls or service.proxies or service.relays or pending)

    def _close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._aio).result(15)
        self._aio.call_soon_threadsafe(self._aio.stop)
        self._thread.join(15)
        self._aio.close()

    async def _end(self) -> None:
        for conn in self._conns:
            conn.abort()
            await conn.wait_closed()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
