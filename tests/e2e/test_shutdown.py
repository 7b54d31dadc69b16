"""SIGTERM: ports free at once, active visitors may finish for a while, exit status 0."""

from __future__ import annotations

import time

import pytest

from tests.helpers.modes import MODES, MUX_ELSE_FULL
from tests.helpers.ports import is_free
from tests.helpers.programs import wait_until
from tests.helpers.stage import Stage
from tests.helpers.visitors import exchange, is_over, refuses, visit, wait_for_echo

ENDS = pytest.mark.parametrize("end", ["frps", "frpc"])


@MODES
@ENDS
def test_a_visitor_may_finish(stage: Stage, echo_port: int, mux: bool, end: str) -> None:
    drain = {"shutdown_drain_seconds": 30}
    tunnel = stage.tunnel({"echo": echo_port}, mux=mux, server=drain, client=drain)
    stopped = tunnel.frps if end == "frps" else tunnel.frpc
    with visit(tunnel.ports["echo"]) as visitor:
        assert exchange(visitor, b"before") == b"before"
        stopped.process.terminate()
        stopped.wait_for("stopping")
        if end == "frps":
            wait_until(lambda: refuses(tunnel.ports["echo"]), "the visitors' port is closed")
            wait_until(lambda: refuses(tunnel.bind_port), "the clients' port is closed")
        assert exchange(visitor, b"after" * 50_000) == b"after" * 50_000
        assert stopped.process.poll() is None
    assert stopped.wait(5) == 0


@MUX_ELSE_FULL
@ENDS
def test_a_visitor_that_does_not_finish_is_cut(
    stage: Stage, echo_port: int, mux: bool, end: str
) -> None:
    tunnel = stage.tunnel({"echo": echo_port}, mux=mux)
    stopped = tunnel.frps if end == "frps" else tunnel.frpc
    with visit(tunnel.ports["echo"]) as visitor:
        assert exchange(visitor, b"hello") == b"hello"
        begun = time.monotonic()
        assert stopped.terminate() == 0
        assert time.monotonic() - begun < 5  # and not when the visitor leaves
        wait_until(lambda: is_over(visitor), "the visitor is cut")


@MODES
def test_the_server_can_start_again_on_its_ports_at_once(
    stage: Stage, echo_port: int, mux: bool
) -> None:
    tunnel = stage.tunnel({"echo": echo_port}, mux=mux)
    port = tunnel.ports["echo"]
    for _ in range(2):
        wait_for_echo(port)
        assert tunnel.frps.terminate() == 0
        assert is_free(port)
        assert is_free(tunnel.bind_port)
        tunnel.restart_server()
    wait_for_echo(port)
    assert tunnel.frpc.terminate() == 0
    wait_until(lambda: is_free(port), "the port is free")
    tunnel.restart_client()
    wait_for_echo(port)


@ENDS
def test_a_second_sigterm_does_not_wait(stage: Stage, echo_port: int, end: str) -> None:
    drain = {"shutdown_drain_seconds": 600}
    tunnel = stage.tunnel({"echo": echo_port}, server=drain, client=drain)
    stopped = tunnel.frps if end == "frps" else tunnel.frpc
    with visit(tunnel.ports["echo"]) as visitor:
        assert exchange(visitor, b"hello") == b"hello"
        stopped.process.terminate()
        stopped.wait_for("stopping")
        assert stopped.terminate() == 0
