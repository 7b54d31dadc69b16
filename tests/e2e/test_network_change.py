"""A client whose network changes under it: two namespaces, two cables, and nobody says goodbye.

Heartbeats and keep-alives are minutes apart, so only the watcher can be why a tunnel is back.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.helpers.modes import MUX_ELSE_FULL
from tests.helpers.programs import BIN, SECONDS, need_tool, wait_until
from tests.helpers.services import Service, echo
from tests.helpers.stage import READY, started, tcp
from tests.helpers.visitors import echoes, exchange, visit

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from tests.helpers.programs import Program
    from tests.helpers.stage import Stage

    Record = Callable[[str, object], None]

Value = TypeVar("Value")

CLONE_NEWNET = 0x40000000
SERVER = "203.0.113.1"
BIND_PORT, REMOTE_PORT = 7000, 6000
BACK_SECONDS = 12.0  # after an address went; a second or so where nothing else wants the processors
PROBE_SECONDS = 3.0  # what a server has to answer a probe
SILENT = {"heartbeat_interval": 300, "heartbeat_timeout": 900, "tcp_mux_keepalive_interval": 600}
HIDDEN = "import sys; sys.modules['pyroute2'] = None; from frpd.cli.frpc import main; main()"


class Namespaces:
    """A server with two cables to its client, which has an address and a default route on each."""

    def __init__(self) -> None:
        self._ip = need_tool("ip")
        self.server, self.client = (f"frpd-{os.getpid()}-{end}" for end in "sc")

    def open(self) -> None:
        """Make everything; skip the test where that is not allowed."""
        for name in (self.server, self.client):
            made = subprocess.run(
                [self._ip, "netns", "add", name], capture_output=True, text=True, check=False
            )
            if made.returncode != 0:
                pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
        for name in (self.server, self.client):
            self.ip(name, "link set lo up")
        self.ip(self.server, f"address add {SERVER}/32 dev lo")
        for cable, net in (("veth0", "192.0.2"), ("veth1", "198.51.100")):
            self.ip(self.server, f"link add {cable} type veth peer {cable} netns {self.client}")
            self.ip(self.server, f"address add {net}.1/24 dev {cable}")
            self.ip(self.client, f"address add {net}.2/24 dev {cable}")
            for name in (self.server, self.client):
                self.ip(name, f"link set {cable} up")
        self.ip(self.client, "route add default via 192.0.2.1")

    def close(self) -> None:
        for name in (self.server, self.client):
            subprocess.run([self._ip, "netns", "del", name], capture_output=True, check=False)

    def ip(self, namespace: str, arguments: str) -> None:
        """Run one command of ip(8) in a namespace."""
        command = [self._ip, "-netns", namespace, *arguments.split()]
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)

    def start(self, stage: Stage, namespace: str, *command: str) -> Program:
        name = Path(command[0]).name
        return stage.start(name, self._ip, "netns", "exec", namespace, *command)


def inside(namespace: str, call: Callable[[], Value]) -> Value:
    """Call in a thread that has moved into a namespace: sockets belong where they were made."""
    results: list[Value] = []

    def move_and_call() -> None:
        with open(f"/run/netns/{namespace}") as door:
            moved = ctypes.CDLL(None, use_errno=True).setns(door.fileno(), CLONE_NEWNET)
        assert moved == 0, os.strerror(ctypes.get_errno())
        results.append(call())

    thread = threading.Thread(target=move_and_call)
    thread.start()
    thread.join()
    assert results, "the call failed, see the thread's exception"
    return results[0]


@pytest.fixture
def net() -> Iterator[Namespaces]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces are for root")
    namespaces = Namespaces()
    try:
        namespaces.open()
        yield namespaces
    finally:
        namespaces.close()


@pytest.fixture
def local_port(net: Namespaces) -> Iterator[int]:
    """An echo service beside the client."""
    with inside(net.client, lambda: Service(echo)) as service:
        yield service.port


class Tunnel:
    """frps in one namespace, frpc in the other, and a way to ask whether a visitor gets through."""

    def __init__(
        self,
        stage: Stage,
        net: Namespaces,
        local_port: int,
        *,
        mux: bool,
        client: tuple[str, ...] = (str(BIN / "frpc"),),
    ) -> None:
        self._net = net
        common = {"tcp_mux": mux, "log_level": "debug", **SILENT}
        server = {"bind_port": BIND_PORT, **common}
        del server["heartbeat_interval"]
        file = stage.write({"common": server})
        self.frps = net.start(stage, net.server, str(BIN / "frps"), "-c", str(file))
        self.frps.wait_for(READY)
        common = {"server_addr": SERVER, "server_port": BIND_PORT, **common}
        file = stage.write({"common": common, "echo": tcp(local_port, REMOTE_PORT)})
        self.frpc = net.start(stage, net.client, *client, "-c", str(file))
        self.frpc.wait_for(started("echo"))

    def visit(self) -> socket.socket:
        return inside(self._net.server, lambda: visit(REMOTE_PORT))

    def answers(self) -> bool:
        return inside(self._net.server, lambda: echoes(REMOTE_PORT))

    def logins(self) -> int:
        return self.frpc.count("login to server success")

    def wait_until_back(self, begun: float) -> float:
        """Wait for the second login and an echo; return the seconds since the change began."""
        wait_until(lambda: self.logins() == 2, f"a second login; frpc said:\n{self.frpc.output}")
        wait_until(self.answers, "an echo")
        return time.monotonic() - begun


@MUX_ELSE_FULL
def test_a_client_whose_address_is_replaced_is_back_at_once(
    stage: Stage, net: Namespaces, local_port: int, mux: bool, record_property: Record
) -> None:
    tunnel = Tunnel(stage, net, local_port, mux=mux)
    assert tunnel.answers()
    begun = time.monotonic()
    net.ip(net.client, "address del 192.0.2.2/24 dev veth0")
    net.ip(net.client, "address add 192.0.2.3/24 dev veth0")
    net.ip(net.client, "route replace default via 192.0.2.1")
    seconds = tunnel.wait_until_back(begun)
    record_property("seconds_until_back", round(seconds, 2))
    assert seconds < BACK_SECONDS
    tunnel.frpc.wait_for("session with the server lost: 192.0.2.2 is no longer an address")
    # The server had heard of no end.
    end = tunnel.frps.wait_for("client exit success")
    assert end.endswith("replaced by a new login of the same client")


@MUX_ELSE_FULL
def test_a_client_without_any_address_is_back_soon_after_it_gets_one(
    stage: Stage, net: Namespaces, local_port: int, mux: bool, record_property: Record
) -> None:
    tunnel = Tunnel(stage, net, local_port, mux=mux)
    net.ip(net.client, "address del 192.0.2.2/24 dev veth0")
    net.ip(net.client, "address del 198.51.100.2/24 dev veth1")
    tunnel.frpc.wait_for("login to server failed: .*(unreachable|assign)")
    begun = time.monotonic()
    net.ip(net.client, "address add 198.51.100.3/24 dev veth1")
    net.ip(net.client, "route replace default via 198.51.100.1")
    seconds = tunnel.wait_until_back(begun)
    record_property("seconds_until_back", round(seconds, 2))
    assert seconds < BACK_SECONDS


@MUX_ELSE_FULL
def test_a_new_default_route_brings_back_a_client_whose_old_way_is_dead(
    stage: Stage, net: Namespaces, local_port: int, mux: bool, record_property: Record
) -> None:
    tunnel = Tunnel(stage, net, local_port, mux=mux)
    assert tunnel.answers()
    # What the server sends to the old address is lost without a word; the address itself stays.
    net.ip(net.server, "route add blackhole 192.0.2.2/32")
    begun = time.monotonic()
    net.ip(net.client, "route replace default via 198.51.100.1")
    seconds = tunnel.wait_until_back(begun)
    record_property("seconds_until_back", round(seconds, 2))
    assert PROBE_SECONDS < seconds < PROBE_SECONDS + BACK_SECONDS
    tunnel.frpc.wait_for("session with the server lost: no answer since the network has changed")
    tunnel.frps.wait_for(r"client login info: ip \[198\.51\.100\.2:")


@MUX_ELSE_FULL
def test_a_change_elsewhere_cuts_no_visitor(
    stage: Stage, net: Namespaces, local_port: int, mux: bool
) -> None:
    tunnel = Tunnel(stage, net, local_port, mux=mux)
    with tunnel.visit() as visitor:
        assert exchange(visitor, b"before") == b"before"
        net.ip(net.client, "link set veth1 down")
        net.ip(net.client, "address add 203.0.113.77/32 dev lo")
        net.ip(net.client, "route add 198.18.0.0/15 via 192.0.2.1")
        tunnel.frpc.wait_for("the network changed: .*address 203.0.113.77 there")
        tunnel.frpc.wait_for("receive heartbeat from server")
        # Also when the time of a probe without answer would be over.
        for _ in range(8):
            data = os.urandom(100_000)
            assert exchange(visitor, data) == data
            threading.Event().wait(PROBE_SECONDS / 7)
        assert exchange(visitor, b"after") == b"after"
    assert tunnel.logins() == 1
    assert tunnel.frpc.count("session with the server lost") == 0


def test_without_pyroute2_the_tunnel_works_and_changes_go_unnoticed(
    stage: Stage, net: Namespaces, local_port: int
) -> None:
    client = (sys.executable, "-c", HIDDEN)
    tunnel = Tunnel(stage, net, local_port, mux=True, client=client)
    assert tunnel.answers()
    assert tunnel.frpc.count("not watched: pyroute2 is not installed") == 1
    net.ip(net.client, "address add 203.0.113.77/32 dev lo")
    assert tunnel.answers()
    assert tunnel.frpc.count("the network changed") == 0
    assert tunnel.frpc.terminate() == 0
