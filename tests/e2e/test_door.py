"""Connections that never log in are gone when their time is up, and the tunnel never pauses."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.helpers.programs import SECONDS, wait_until, want_descriptors
from tests.helpers.visitors import echoes, exchange, is_over, visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helpers.stage import Stage, Tunnel

    Record = Callable[[str, object], None]

YAMUX_SYN = struct.pack(">BBHII", 0, 1, 1, 1, 0)
YAMUX_PING = struct.pack(">BBHII", 0, 2, 1, 0, 7)
YAMUX_DATA = struct.pack(">BBHII", 0, 0, 1, 1, 1000)
OPENINGS = {
    "nothing": b"",
    "one byte of yamux": b"\0",
    "one byte of login": b"o",
    "garbage": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "noise": bytes(range(255, 0, -1)) * 4,
    "yamux header": YAMUX_SYN,
    "yamux stream that says nothing": YAMUX_SYN + YAMUX_DATA,
    "login that is announced as huge": b"o" + struct.pack(">q", 1 << 62),
    "login that never comes": b"o" + struct.pack(">q", 100),
}


def knock(port: int, count: int, stack: contextlib.ExitStack) -> list[socket.socket]:
    openings = list(OPENINGS.values())
    strangers = []
    for number in range(count):
        stranger = stack.enter_context(visit(port))
        with contextlib.suppress(ConnectionError):  # those who talk nonsense may be gone already
            stranger.sendall(openings[number % len(openings)])
        strangers.append(stranger)
    return strangers


def watch_them_go(
    tunnel: Tunnel, strangers: list[socket.socket], resident: socket.socket, seconds: float
) -> tuple[float, float]:
    """Return when the last one was gone, and the longest that an echo took meanwhile."""
    left, begun, slowest = set(strangers), time.monotonic(), 0.0
    while left:
        asked = time.monotonic()
        assert asked - begun < seconds, f"{len(left)} are still there after {seconds:g} s"
        assert exchange(resident, b"still there?") == b"still there?"
        assert echoes(tunnel.ports["echo"])
        slowest = max(slowest, time.monotonic() - asked)
        left.difference_update([stranger for stranger in left if is_over(stranger)])
    return time.monotonic() - begun, slowest


def test_connections_without_a_login_end_in_time(stage: Stage, echo_port: int) -> None:
    # Time enough for the real client on a busy machine: its first login waits for the key.
    tunnel = stage.tunnel({"echo": echo_port}, server={"login_timeout_seconds": 2})
    with contextlib.ExitStack() as stack:
        strangers = {opening: stack.enter_context(visit(tunnel.bind_port)) for opening in OPENINGS}
        for opening, stranger in strangers.items():
            stranger.sendall(OPENINGS[opening])
        for opening, stranger in strangers.items():
            wait_until(partial(is_over, stranger), f"{opening}: it is sent away")
    closed = r"127.0.0.1:\d+: connection closed before login: "
    wait_until(lambda: tunnel.frps.count(closed) == len(OPENINGS), "the log names each")


def test_a_crowd_at_the_door_is_gone_in_time(
    stage: Stage, echo_port: int, record_property: Record
) -> None:
    tunnel = stage.tunnel({"echo": echo_port}, server={"login_timeout_seconds": 2})
    before = tunnel.frps.descriptors()
    with contextlib.ExitStack() as stack:
        resident = stack.enter_context(visit(tunnel.ports["echo"]))
        strangers = knock(tunnel.bind_port, 200, stack)
        gone, slowest = watch_them_go(tunnel, strangers, resident, 12)
    record_property("seconds", {"gone": round(gone, 2), "slowest echo": round(slowest, 3)})
    assert slowest < 5
    tunnel.frps.wait_for_descriptors(before)


@pytest.mark.full
def test_a_thousand_at_the_door_are_gone_15_seconds_later(
    stage: Stage, echo_port: int, record_property: Record
) -> None:
    """With the default settings, which also push out the oldest when they become too many."""
    want_descriptors(3000)
    tunnel = stage.tunnel({"echo": echo_port})
    before = tunnel.frps.descriptors()
    with contextlib.ExitStack() as stack:
        resident = stack.enter_context(visit(tunnel.ports["echo"]))
        strangers = knock(tunnel.bind_port, 1000, stack)
        gone, slowest = watch_them_go(tunnel, strangers, resident, 15)
    record_property("seconds", {"gone": round(gone, 2), "slowest echo": round(slowest, 3)})
    assert slowest < 5
    tunnel.frps.wait_for_descriptors(before)


def test_a_client_gets_in_while_the_door_is_crowded(stage: Stage, echo_port: int) -> None:
    """More strangers than may wait, all from the address that the client has too."""
    tunnel = stage.tunnel(
        {"echo": echo_port}, server={"max_pending_connections": 30, "max_pending_per_source": 20}
    )
    tunnel.frpc.kill()
    with contextlib.ExitStack() as stack:
        strangers = knock(tunnel.bind_port, 100, stack)
        tunnel.restart_client()
        assert echoes(tunnel.ports["echo"])
        assert sum(not is_over(stranger) for stranger in strangers) <= 20


def test_a_work_connection_for_an_unknown_client_is_closed(stage: Stage, echo_port: int) -> None:
    tunnel = stage.tunnel({"echo": echo_port}, mux=False)
    body = b'{"run_id":"0123456789abcdef"}'
    with visit(tunnel.bind_port) as stranger:
        stranger.sendall(b"w" + struct.pack(">q", len(body)) + body)
        wait_until(lambda: is_over(stranger), "it is closed")
    tunnel.frps.wait_for("no client has run id")
    assert echoes(tunnel.ports["echo"], os.urandom(1000))


def is_dropped(port: int, host: str) -> bool:
    """Return whether who comes from there is reset; else its ping was answered."""
    try:  # it may be reset while it still connects
        with socket.create_connection(("127.0.0.1", port), SECONDS, (host, 0)) as stranger:
            stranger.sendall(YAMUX_PING)
            return stranger.recv(1) != b"\0"
    except ConnectionError:
        return True


def test_who_has_a_wrong_token_is_soon_refused_and_others_are_not(
    stage: Stage, echo_port: int
) -> None:
    server = {
        "per_source_penalties": "authfail:600",
        "per_source_penalty_exempt_list": "192.0.2.0/24",
        "deny_cidrs": "127.0.0.3",
    }
    tunnel = stage.tunnel(
        {"echo": echo_port}, server=server, client={"connect_server_local_ip": "127.0.0.2"}
    )
    bad = {"server_addr": "127.0.0.1", "server_port": tunnel.bind_port, "token": "wrong"}
    assert stage.frpc(bad | {"login_fail_exit": True}, {}).wait() == 1
    tunnel.frps.wait_for(r"penalty: 127\.0\.0\.1 refused for 600 s \(authfail\)")
    said = tunnel.frps.count("closed before login: ")
    for host in ("127.0.0.1", "127.0.0.3") * 3:
        assert is_dropped(tunnel.bind_port, host)
    assert tunnel.frps.count("closed before login: ") == said
    assert not is_dropped(tunnel.bind_port, "127.0.0.2")
    assert echoes(tunnel.ports["echo"])
