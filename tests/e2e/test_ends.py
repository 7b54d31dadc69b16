"""How connections end: half-closes and resets travel, a dead local service is told at once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.helpers.modes import MODES
from tests.helpers.ports import free_port
from tests.helpers.programs import need_tool, wait_until
from tests.helpers.services import (
    Service,
    break_off,
    echo,
    late_answer,
    late_answer_to,
)
from tests.helpers.stage import WRAPPERS, Stage, tcp
from tests.helpers.visitors import echoes, exchange, is_over, read_to_end, reset, visit

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from tests.helpers.programs import Program

WRAPPED = pytest.mark.parametrize("wrapper", WRAPPERS)


class Local:
    """Services with distinct manners at their ends, and what they saw."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.heard: list[bytes] = []
        handlers = {
            "late": late_answer,
            "reset": break_off,
            "first": self._end_first,
            "witness": self._witness,
        }
        self.services = {
            name: stack.enter_context(Service(handler)) for name, handler in handlers.items()
        }

    async def _end_first(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say goodbye, and listen on."""
        writer.write(b"no more from me")
        writer.write_eof()
        self.heard.append(await reader.read(-1))

    async def _witness(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here")
        try:
            self.heard.append(await reader.readexactly(4))
            await reader.read(-1)
        except ConnectionResetError:
            self.heard.append(b"reset")
            raise
        self.heard.append(b"end")


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with contextlib.ExitStack() as stack:
        yield Local(stack)


@pytest.fixture(scope="module")
def ports(module_stage: Stage, local: Local) -> dict[tuple[bool, str, str], int]:
    """The visitors' port by tcp_mux, wrapper and service."""
    ports: dict[tuple[bool, str, str], int] = {}
    for mux in (True, False):
        proxies: dict[str, dict[str, object]] = {}
        for wrapper, settings in WRAPPERS.items():
            for name, service in local.services.items():
                port = ports[mux, wrapper, name] = free_port()
                proxies[f"{wrapper}-{name}"] = {**tcp(service.port, port), **settings}
        bind_port = free_port()
        module_stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind_port, "tcp_mux": mux})
        common = {"server_addr": "127.0.0.1", "server_port": bind_port, "tcp_mux": mux}
        module_stage.frpc(common, proxies)
    return ports


@MODES
@WRAPPED
def test_an_answer_after_the_visitors_end_arrives(
    ports: dict[tuple[bool, str, str], int], mux: bool, wrapper: str
) -> None:
    data = os.urandom(1_000_000)
    with visit(ports[mux, wrapper, "late"]) as visitor:
        visitor.sendall(data)
        visitor.shutdown(socket.SHUT_WR)
        assert read_to_end(visitor) == late_answer_to(len(data), hashlib.sha256(data))


@MODES
def test_nc_gets_its_late_answer(ports: dict[tuple[bool, str, str], int], mux: bool) -> None:
    command = [need_tool("nc"), "-N", "127.0.0.1", str(ports[mux, "plain", "late"])]
    done = subprocess.run(command, input=b"x", capture_output=True, timeout=20, check=True)
    assert done.stdout == late_answer_to(1, hashlib.sha256(b"x"))


@MODES
@WRAPPED
def test_what_comes_after_the_services_end_arrives(
    ports: dict[tuple[bool, str, str], int], local: Local, mux: bool, wrapper: str
) -> None:
    local.heard.clear()
    with visit(ports[mux, wrapper, "first"]) as visitor:
        assert read_to_end(visitor) == b"no more from me"
        visitor.sendall(b"but more from me")
        visitor.shutdown(socket.SHUT_WR)
        wait_until(lambda: local.heard, "the service heard the rest")
    assert local.heard == [b"but more from me"]


@MODES
@WRAPPED
def test_a_reset_by_the_service_reaches_the_visitor(
    ports: dict[tuple[bool, str, str], int], mux: bool, wrapper: str
) -> None:
    with visit(ports[mux, wrapper, "reset"]) as visitor:
        assert visitor.recv(14, socket.MSG_WAITALL) == b"half an answer"
        visitor.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            visitor.recv(1)


@MODES
@WRAPPED
def test_a_reset_by_the_visitor_reaches_the_service(
    ports: dict[tuple[bool, str, str], int], local: Local, mux: bool, wrapper: str
) -> None:
    local.heard.clear()
    visitor = visit(ports[mux, wrapper, "witness"])
    assert visitor.recv(4, socket.MSG_WAITALL) == b"here"
    visitor.sendall(b"half")
    wait_until(lambda: local.heard, "the service heard the half")
    reset(visitor)
    wait_until(lambda: len(local.heard) == 2, "the service heard of the end")
    assert local.heard == [b"half", b"reset"]


def told_why(program: Program) -> bool:
    return bool(program.count(r"\[W\].*\[web\].*connection refused"))


@MODES
@WRAPPED
def test_a_dead_service_is_told_at_once_and_works_when_it_comes(
    stage: Stage, mux: bool, wrapper: str
) -> None:
    local_port = free_port()
    tunnel = stage.tunnel({"web": local_port}, mux=mux, proxy=WRAPPERS[wrapper])
    begun = time.monotonic()
    with visit(tunnel.ports["web"]) as visitor:
        wait_until(lambda: is_over(visitor), "the visitor is sent away")
    assert time.monotonic() - begun < 5  # not after user_conn_timeout, which is 10
    wait_until(lambda: told_why(tunnel.frpc), "the log says which proxy and why")
    with Service(echo, local_port):
        assert echoes(tunnel.ports["web"])


@MODES
def test_a_service_that_stops_cuts_its_visitors_only(
    stage: Stage, echo_port: int, mux: bool
) -> None:
    with Service(echo) as mortal:
        tunnel = stage.tunnel({"mortal": mortal.port, "other": echo_port}, mux=mux)
        with visit(tunnel.ports["mortal"]) as cut, visit(tunnel.ports["other"]) as spared:
            assert exchange(cut, b"a") == b"a"
            assert exchange(spared, b"a") == b"a"
            mortal.close()
            wait_until(lambda: is_over(cut), "its visitor is cut")
            assert exchange(spared, b"b") == b"b"
