"""udp proxies: datagrams whole and in order, visitors that come and go, real programs."""

from __future__ import annotations

import getpass
import itertools
import json
import os
import random
import struct
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.helpers.modes import MODES
from tests.helpers.ports import free_port, free_ports
from tests.helpers.programs import SECONDS, need_tool, wait_until
from tests.helpers.services import start_iperf
from tests.helpers.stage import WRAPPERS, Stage, started, tcp
from tests.helpers.udp import UdpService, UdpVisitor, has_ipv6, udp_socket
from tests.helpers.visitors import echoes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Record = Callable[[str, object], None]

SIZES = (0, 1, 512, 1472, 1501, 9000, 65507)
UDP: dict[str, object] = {"type": "udp"}
needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture(scope="module")
def echo_service() -> Iterator[UdpService]:
    """A UDP service that sends everything back."""
    with UdpService() as service:
        yield service


@pytest.fixture(scope="module", params=[True, False], ids=["mux", "direct"])
def ports(
    request: pytest.FixtureRequest, module_stage: Stage, echo_service: UdpService
) -> Iterator[dict[str, int]]:
    """The visitors' port of a proxy with each wrapper."""
    common = {"token": "s3cret", "tcp_mux": request.param}
    bind_port = free_port()
    ports = {wrapper: free_port() for wrapper in WRAPPERS}
    module_stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind_port, **common})
    module_stage.frpc(
        {"server_addr": "127.0.0.1", "server_port": bind_port, **common},
        {
            name: {**tcp(echo_service.port, ports[name]), **UDP, **WRAPPERS[name]}
            for name in WRAPPERS
        },
    )
    yield ports
    module_stage.close()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_datagrams_of_every_size_come_back_whole(ports: dict[str, int], wrapper: str) -> None:
    with UdpVisitor(ports[wrapper]) as visitor:
        for size in SIZES:
            data = os.urandom(size)
            assert visitor.ask(data) == data, f"{size} bytes"


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_each_visitor_gets_its_own_in_order(ports: dict[str, int], wrapper: str) -> None:
    visitors = [UdpVisitor(ports[wrapper]) for _ in range(10)]
    for turn in range(20):  # few under way, so that no buffer of the kernel runs over
        for who, visitor in enumerate(visitors):
            for number in range(5):
                visitor.send(struct.pack("HHH", who, turn, number) * (1 + number % 3 * 50))
        for who, visitor in enumerate(visitors):
            got = [visitor.receive() or b"" for _ in range(5)]
            want = [
                struct.pack("HHH", who, turn, number) * (1 + number % 3 * 50) for number in range(5)
            ]
            assert got == want
    for visitor in visitors:
        visitor.sock.close()


def test_silent_visitors_are_forgotten_and_welcome_again(
    stage: Stage, echo_service: UdpService
) -> None:
    tunnel = stage.tunnel(
        {"echo": echo_service.port},
        proxy=UDP,
        client={"udp_session_timeout": 1, "log_level": "debug"},
        server={"udp_session_timeout": 1, "log_level": "debug"},
    )
    visitors = [UdpVisitor(tunnel.ports["echo"]) for _ in range(50)]
    with visitors[0]:
        visitors[0].ask_until_answered(b"first")
        tunnel.frpc.wait_for("a visitor fell silent")
        empty = tunnel.frpc.descriptors()
        for visitor in visitors:
            assert visitor.ask(b"hello") == b"hello"
        tunnel.frpc.wait_for_descriptors(empty)
        assert wait_until(lambda: tunnel.frps.count(r"visitor \S+ fell silent") >= 50, "forgotten")
        for visitor in visitors:
            assert visitor.ask(b"again") == b"again"
    for visitor in visitors:
        visitor.sock.close()


def test_a_service_may_restart(stage: Stage) -> None:
    port = free_port()
    with UdpService(port=port) as service:
        tunnel = stage.tunnel({"echo": service.port}, proxy=UDP)
        with UdpVisitor(tunnel.ports["echo"]) as visitor:
            assert visitor.ask(b"one") == b"one"
            service.close()
            for _ in range(3):
                visitor.send(b"is anyone there?")
            tunnel.frpc.wait_for(f"local service refused: 127.0.0.1:{port} takes no datagrams")
            with UdpService(port=port):
                answer = visitor.ask_until_answered(b"two", late={b"is anyone there?"})
                assert answer == b"two"
        assert tunnel.frpc.count("local service refused") == 1


def test_both_ends_may_restart(stage: Stage, echo_service: UdpService) -> None:
    tunnel = stage.tunnel({"echo": echo_service.port}, proxy=UDP)
    with UdpVisitor(tunnel.ports["echo"]) as visitor:
        assert visitor.ask(b"one") == b"one"
        tunnel.frpc.terminate()
        tunnel.restart_client()
        assert visitor.ask_until_answered(b"two") == b"two"
        mark, peers = tunnel.frpc.said(), len(echo_service.peers)
        tunnel.frps.kill()
        tunnel.restart_server()
        tunnel.frpc.wait_for(started("echo"), since=mark)
        assert visitor.ask_until_answered(b"three", late={b"two"}) == b"three"
        assert len(echo_service.peers) == peers  # the service saw the same port all the time


@needs_ipv6
def test_ipv6_at_both_ends_and_names(stage: Stage) -> None:
    bind_port, ports = free_port(), {name: free_port() for name in ("six", "name")}
    with UdpService(host="::1") as six, UdpService() as four:
        stage.frps({"bind_addr": "::", "bind_port": bind_port})
        stage.frpc(
            {"server_addr": "127.0.0.1", "server_port": bind_port},
            {
                "six": {**UDP, "local_ip": "::1", "local_port": six.port,
                        "remote_port": ports["six"]},
                "name": {**UDP, "local_ip": "localhost", "local_port": four.port,
                         "remote_port": ports["name"]},
            },
        )  # fmt: skip
        for port in ports.values():
            for host in ("::1", "127.0.0.1", "127.0.0.2"):
                with UdpVisitor(port, host) as visitor:  # connected: takes this host's answers
                    assert visitor.ask_until_answered(host.encode()) == host.encode()


def test_a_range_of_ports(stage: Stage) -> None:
    bind_port, remote = free_port(), free_ports(2)
    local = free_ports(2)
    with UdpService(lambda _: b"0", port=local), UdpService(lambda _: b"1", port=local + 1):
        stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind_port})
        stage.frpc(
            {"server_addr": "127.0.0.1", "server_port": bind_port},
            {
                "range:games": {
                    **UDP,
                    "local_port": f"{local}-{local + 1}",
                    "remote_port": f"{remote}-{remote + 1}",
                }
            },
            wait_for=["games_0", "games_1"],
        )
        for number in range(2):
            with UdpVisitor(remote + number) as visitor:
                assert visitor.ask_until_answered(b"who?") == str(number).encode()


def test_a_flood_starves_nobody_and_grows_nothing(stage: Stage, echo_port: int) -> None:
    udp_port, tcp_port, bind_port = free_port(), free_port(), free_port()
    over = threading.Event()
    with UdpService(lambda data: data[:1]) as service:
        frps = stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind_port})
        frpc = stage.frpc(
            {"server_addr": "127.0.0.1", "server_port": bind_port},
            {
                "udp": {**tcp(service.port, udp_port), **UDP},
                "tcp": tcp(echo_port, tcp_port),
            },
        )
        with UdpVisitor(udp_port) as visitor:
            visitor.ask_until_answered(b"warm")
        before = frps.pss() + frpc.pss()
        flooder = threading.Thread(target=flood, args=(udp_port, over))
        flooder.start()
        try:
            wait_until(lambda: sum(service.peers.values()) > 5000, "the flood is under way", 60.0)
            for _ in range(10):
                assert echoes(tcp_port, os.urandom(1000))
        finally:
            over.set()
            flooder.join(SECONDS)
        with UdpVisitor(udp_port) as visitor:
            assert visitor.ask_until_answered(b"after") == b"a"
        assert frps.pss() + frpc.pss() - before < 32 << 20


def flood(port: int, over: threading.Event) -> None:
    """Send datagrams of random size and content from ever new ports, as fast as they go."""
    dice = random.Random(5)
    noise = os.urandom(70_000)
    while not over.is_set():
        with udp_socket() as sock:
            for _ in range(100):
                start, size = dice.randrange(4000), dice.choice((0, 1, 60, 700, 1400, 20_000))
                sock.sendto(noise[start : start + size], ("127.0.0.1", port))


# With real programs.


@pytest.mark.full
@pytest.mark.parametrize("wrapper", ["plain", "both"])
@MODES
def test_dig_asks_a_real_resolver(stage: Stage, mux: bool, wrapper: str) -> None:
    dig, port = need_tool("dig"), start_dnsmasq(stage)
    tunnel = stage.tunnel({"dns": port}, mux=mux, proxy={**UDP, **WRAPPERS[wrapper]})

    def ask(*question: str) -> str:
        command = (dig, "@127.0.0.1", "-p", str(tunnel.ports["dns"]), "+short", *question)
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        return done.stdout.strip()

    for number in range(1, 101):
        assert ask(f"host{number}.example.test", "A") == f"192.0.2.{number}"
    assert ask("long.example.test", "TXT", "+bufsize=4096", "+ignore").count("x") == 1800


def start_dnsmasq(stage: Stage) -> int:
    """Start a DNS server with names of its own; return its port."""
    port = free_port()
    names = [
        f"--host-record=host{number}.example.test,192.0.2.{number}" for number in range(1, 101)
    ]
    texts = ",".join(["x" * 200] * 9)
    command = (need_tool("dnsmasq"), "--keep-in-foreground", "--log-facility=-", "--conf-file=")
    options = ("--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.1",
               "--edns-packet-max=4096", f"--user={getpass.getuser()}", f"--port={port}",
               f"--pid-file={stage.folder}/dnsmasq.pid",
               f"--txt-record=long.example.test,{texts}")  # fmt: skip
    stage.start("dnsmasq", *command, *options, *names).wait_for("started")
    return port


@pytest.mark.full
@pytest.mark.parametrize("reverse", [False, True], ids=["in", "out"])
def test_iperf_sends_datagrams(stage: Stage, reverse: bool, record_property: Record) -> None:
    local, remote, bind_port = start_iperf(stage), free_port(), free_port()
    stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind_port})
    stage.frpc(
        {"server_addr": "127.0.0.1", "server_port": bind_port},
        {"control": tcp(local, remote), "data": {**tcp(local, remote), **UDP}},
    )
    command = [need_tool("iperf3"), "-c", "127.0.0.1", "-p", str(remote), "-u", "-J"]
    command += ["-b", "50M", "-l", "1400", "-t", "3", *(["-R"] if reverse else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    answer = json.loads(done.stdout)
    assert "error" not in answer, answer
    total = answer["end"]["sum"]
    record_property("lost_percent", total["lost_percent"])
    record_property("jitter_ms", round(total["jitter_ms"], 3))
    record_property("mbit_per_second", round(total["bits_per_second"] / 1e6, 1))
    assert total["lost_percent"] < 10


@pytest.mark.full
@pytest.mark.parametrize("wrapper", ["plain", "both"])
def test_a_thousand_packets_per_second(
    stage: Stage, echo_service: UdpService, wrapper: str, record_property: Record
) -> None:
    tunnel = stage.tunnel({"echo": echo_service.port}, proxy={**UDP, **WRAPPERS[wrapper]})
    sent = 5000
    arrivals: list[tuple[int, float, float]] = []
    with UdpVisitor(tunnel.ports["echo"]) as visitor:
        visitor.ask_until_answered(b"warm")

        def listen() -> None:
            while len(arrivals) < sent and (data := visitor.receive(3.0)) is not None:
                number, when = struct.unpack_from("Id", data)
                arrivals.append((number, when, time.monotonic()))

        listener = threading.Thread(target=listen)
        listener.start()
        begun = time.monotonic()
        for number in range(sent):
            time.sleep(max(begun + number / 1000 - time.monotonic(), 0))
            visitor.send(struct.pack("Id", number, time.monotonic()).ljust(200, b"."))
        listener.join(60)
    transits = [arrived - when for _, when, arrived in arrivals]
    jitter = 0.0  # as RFC 3550 has it
    for before, after in itertools.pairwise(transits):
        jitter += (abs(after - before) - jitter) / 16
    record_property("lost_percent", round(100 * (sent - len(arrivals)) / sent, 3))
    record_property("jitter_ms", round(1000 * jitter, 3))
    record_property("round_trip_ms_median", round(1000 * sorted(transits)[len(transits) // 2], 3))
    assert [number for number, _, _ in arrivals] == sorted(number for number, _, _ in arrivals)
    assert len(arrivals) > 0.95 * sent
