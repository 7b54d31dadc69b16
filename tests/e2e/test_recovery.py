"""Ends that die, freeze and come back: noticed, reconnected, and nothing leaks in the survivor."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.helpers.modes import MODES, MUX_ELSE_FULL
from tests.helpers.programs import BIN, wait_until
from tests.helpers.visitors import (
    echoes,
    exchange,
    is_over,
    refuses,
    visit,
    wait_for_echo,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from tests.helpers.stage import Stage, Tunnel

    Record = Callable[[str, object], None]

BACK_SECONDS = 2.0  # from the return of a peer to a working tunnel


@contextlib.contextmanager
def visitors(port: int, count: int = 5) -> Iterator[list[socket.socket]]:
    """Visitors in the middle of a conversation."""
    with contextlib.ExitStack() as stack:
        guests = [stack.enter_context(visit(port)) for _ in range(count)]
        for guest in guests:
            assert exchange(guest, b"hello") == b"hello"
        yield guests


def all_over(guests: list[socket.socket]) -> Callable[[], bool]:
    """Return a probe: have the ends of all of them come by now."""
    left = set(guests)

    def probe() -> bool:
        left.difference_update([guest for guest in left if is_over(guest)])
        return not left

    return probe


@MODES
def test_a_killed_server_is_noticed_and_the_tunnel_is_soon_back(
    stage: Stage, echo_port: int, mux: bool, record_property: Record
) -> None:
    tunnel = stage.tunnel({"echo": echo_port}, mux=mux)
    port = tunnel.ports["echo"]
    wait_for_echo(port)
    before = settled(tunnel.frpc.descriptors)
    with visitors(port) as guests:
        tunnel.frps.kill()
        wait_until(all_over(guests), "visitors see the end")
        wait_until(lambda: refuses(port), "the port refuses")
    tunnel.frpc.wait_for("try to (re)?connect to server|login to server failed")
    tunnel.restart_server()
    seconds = wait_for_echo(port)
    record_property("seconds_until_back", round(seconds, 2))
    assert seconds < BACK_SECONDS
    tunnel.frpc.wait_for_descriptors(before)


@MODES
def test_a_killed_client_frees_its_port_and_comes_back(
    stage: Stage, echo_port: int, mux: bool, record_property: Record
) -> None:
    tunnel = stage.tunnel({"echo": echo_port}, mux=mux)
    port = tunnel.ports["echo"]
    wait_for_echo(port)
    before = settled(tunnel.frps.descriptors)
    with visitors(port) as guests:
        tunnel.frpc.kill()
        wait_until(lambda: refuses(port), "the port refuses")
        wait_until(all_over(guests), "visitors see the end")
    begun = time.monotonic()
    tunnel.restart_client()
    wait_for_echo(port)
    record_property("seconds_until_back", round(time.monotonic() - begun, 2))
    tunnel.frps.wait_for_descriptors(before)


def settled(count: Callable[[], int]) -> int:
    """Return a count once it has been the same for a while."""
    last, since = count(), time.monotonic()

    def steady() -> bool:
        nonlocal last, since
        now = count()
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > 0.3

    wait_until(steady, "a steady count")
    return last


HEARTBEATS = {"heartbeat_interval": 1, "heartbeat_timeout": 2}


@MUX_ELSE_FULL
def test_a_frozen_server_is_noticed_by_heartbeat(stage: Stage, echo_port: int, mux: bool) -> None:
    tunnel = stage.tunnel({"echo": echo_port}, mux=mux, client=HEARTBEATS)
    port = tunnel.ports["echo"]
    before = settled(tunnel.frpc.descriptors)
    with visitors(port, 2):
        tunnel.frps.signal(signal.SIGSTOP)
        tunnel.frpc.wait_for("session with the server lost: no heartbeat")
    tunnel.frps.signal(signal.SIGCONT)
    wait_for_echo(port)
    assert tunnel.frps.count("new proxy .echo. success") == 2
    tunnel.frpc.wait_for_descriptors(before)


@MUX_ELSE_FULL
def test_a_frozen_client_is_noticed_by_heartbeat(stage: Stage, echo_port: int, mux: bool) -> None:
    tunnel = stage.tunnel(
        {"echo": echo_port}, mux=mux, server={"heartbeat_timeout": 3}, client=HEARTBEATS
    )
    port = tunnel.ports["echo"]
    before = settled(tunnel.frps.descriptors)
    with visitors(port, 2) as guests:
        tunnel.frpc.signal(signal.SIGSTOP)
        tunnel.frps.wait_for("client exit success: no heartbeat")
        wait_until(lambda: refuses(port), "the port refuses")
        if mux:  # without it their own connections may outlive the session
            wait_until(all_over(guests), "visitors see the end")
    tunnel.frpc.signal(signal.SIGCONT)
    wait_for_echo(port)
    tunnel.frps.wait_for_descriptors(before)


@pytest.mark.full
@pytest.mark.parametrize("frozen", ["frps", "frpc"])
def test_a_frozen_end_is_noticed_by_keepalives_of_the_mux(
    stage: Stage, echo_port: int, frozen: str
) -> None:
    keepalive = {"tcp_mux_keepalive_interval": 1}
    tunnel = stage.tunnel(
        {"echo": echo_port}, server=keepalive, client={"heartbeat_interval": -1, **keepalive}
    )
    wait_for_echo(tunnel.ports["echo"])
    victim, survivor = tunnel.frps, tunnel.frpc
    if frozen == "frpc":
        victim, survivor = survivor, victim
    before = survivor.descriptors()
    mark = survivor.said()
    victim.signal(signal.SIGSTOP)
    survivor.wait_for("session with the server lost|client exit success", 20, since=mark)
    victim.signal(signal.SIGCONT)
    wait_for_echo(tunnel.ports["echo"])
    survivor.wait_for_descriptors(before)


def test_a_client_started_before_its_server_waits_for_it(stage: Stage, echo_port: int) -> None:
    tunnel = stage.tunnel({"echo": echo_port}, client={"login_fail_exit": False})
    tunnel.frpc.kill()
    tunnel.frps.kill()
    client = stage.start("frpc", str(BIN / "frpc"), "-c", str(tunnel.client_file))
    client.wait_for("login to server failed: dial tcp .*: connect: connection refused")
    tunnel.restart_server()
    assert wait_for_echo(tunnel.ports["echo"]) < BACK_SECONDS


@pytest.mark.full
@pytest.mark.timeout(240)
@MODES
def test_killing_either_end_at_any_moment_leaks_nothing(
    stage: Stage, echo_port: int, mux: bool
) -> None:
    tunnel = stage.tunnel({"echo": echo_port}, mux=mux)
    port = tunnel.ports["echo"]
    wait_for_echo(port)
    before = {"frps": settled(tunnel.frps.descriptors), "frpc": settled(tunnel.frpc.descriptors)}
    stop = threading.Event()
    crowd = [threading.Thread(target=keep_coming, args=(port, stop)) for _ in range(4)]
    for visitor in crowd:
        visitor.start()
    try:
        for round_ in range(12):
            # A moment of its own in each round: 0 to 0.25 s after the tunnel came back.
            stop.wait(os.urandom(1)[0] / 1024)
            kill_and_return(tunnel, "frps" if round_ % 2 else "frpc")
    finally:
        stop.set()
        for visitor in crowd:
            visitor.join()
    tunnel.frps.wait_for_descriptors(before["frps"])
    tunnel.frpc.wait_for_descriptors(before["frpc"])


def kill_and_return(tunnel: Tunnel, victim: str) -> None:
    if victim == "frps":
        tunnel.frps.kill()
        tunnel.restart_server()
        assert wait_for_echo(tunnel.ports["echo"]) < BACK_SECONDS
    else:
        tunnel.frpc.kill()
        tunnel.restart_client()
        wait_for_echo(tunnel.ports["echo"])


def keep_coming(port: int, stop: threading.Event) -> None:
    data = os.urandom(300_000)
    while not stop.is_set():
        echoes(port, data)
