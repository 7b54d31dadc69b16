"""Health checks: who is ill is withdrawn, so that its group answers without it, and comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import wait_until
from tests.helpers.services import Service
from tests.helpers.stage import Stage, started
from tests.helpers.visitors import read_to_end, visit
from tests.helpers.web import answer, read_asked

if TYPE_CHECKING:
    import asyncio

CHECKS = {
    "tcp": {"health_check_type": "tcp"},
    "http": {"health_check_type": "http", "health_check_url": "status"},
}


@dataclass
class Named:
    """A web service that answers with its name."""

    name: bytes

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_asked(reader)
        writer.write(answer(self.name, "Connection: close"))
        await writer.drain()


@pytest.mark.parametrize("kind", CHECKS)
def test_an_ill_member_leaves_its_group_and_comes_back(stage: Stage, kind: str) -> None:
    bind_port, remote, ill_port = free_port(), free_port(), free_port()
    frps = stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind_port})
    group = {"type": "tcp", "remote_port": remote, "group": "g", "group_key": "k"}
    checked = {**CHECKS[kind], "health_check_interval_s": 1}
    with Service(Named(b"a").serve) as a:
        frpc = stage.frpc(
            {"server_addr": "127.0.0.1", "server_port": bind_port},
            {
                "a": {**group, "local_port": a.port},
                "b": {**group, "local_port": ill_port, **checked},
            },
            wait_for=["a"],
        )
        frpc.wait_for(r"\[b\] health check failed")

        def heard() -> bytes:
            with visit(remote) as visitor:
                visitor.sendall(b"GET / HTTP/1.1\r\nHost: b\r\n\r\n")
                return read_to_end(visitor)[-1:]

        assert {heard() for _ in range(4)} == {b"a"}
        with Service(Named(b"b").serve, port=ill_port):
            frpc.wait_for(r"\[b\] health check success")
            frpc.wait_for(started("b"))
            assert {heard() for _ in range(4)} == {b"a", b"b"}
        # Who comes in between speaks first, to a member that has served well, and is cut.
        wait_until(lambda: frpc.count(r"\[b\] health check failed") == 2, "b is ill again")
        wait_until(lambda: frps.count(r"close proxy \[b\] success") == 1, "b is withdrawn")
        assert {heard() for _ in range(4)} == {b"a"}
