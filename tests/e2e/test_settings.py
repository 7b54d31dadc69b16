"""What the ini files say is what happens: ports, names, addresses, limits, logs, templates."""

from __future__ import annotations

import socket
import threading
from functools import partial
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import psutil
import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, wait_until
from tests.helpers.services import Service, says
from tests.helpers.stage import READY, Stage, started, tcp
from tests.helpers.visitors import echoes, read_to_end, refuses, visit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def server_port(stage: Stage, **common: object) -> int:
    """Start frps with these settings; return its port."""
    port = free_port()
    stage.frps({"bind_port": port, **common})
    return port


def to(port: int, **common: object) -> dict[str, object]:
    """Return the [common] of a client of a server here."""
    return {"server_addr": "127.0.0.1", "server_port": port, **common}


@pytest.mark.parametrize("line", ["remote_port = 0", ""], ids=["zero", "absent"])
def test_without_a_remote_port_the_server_chooses(stage: Stage, echo_port: int, line: str) -> None:
    allowed = free_port()
    bind_port = free_port()
    frps = stage.frps({"bind_port": bind_port, "allow_ports": allowed})
    path = stage.write(
        f"[common]\nserver_addr = 127.0.0.1\nserver_port = {bind_port}\n"
        f"[any]\ntype = tcp\nlocal_port = {echo_port}\n{line}\n"
    )
    stage.start("frpc", str(BIN / "frpc"), "-c", str(path)).wait_for(started("any"))
    frps.wait_for(rf"new proxy \[any\] success: tcp :{allowed}$")
    assert echoes(allowed)


def test_a_range_section_is_as_many_proxies(stage: Stage) -> None:
    with Service(says(b"one")) as one, Service(says(b"two")) as two:
        ports = [free_port(), free_port()]
        stage.frpc(
            to(server_port(stage)),
            {
                "range:r": {
                    "type": "tcp",
                    "local_port": f"{one.port},{two.port}",
                    "remote_port": f"{ports[0]},{ports[1]}",
                }
            },
            wait_for=["r_0", "r_1"],
        )
        answers = []
        for port in ports:
            with visit(port) as visitor:
                answers.append(read_to_end(visitor))
    assert answers == [b"one", b"two"]


def test_users_may_give_the_same_name(stage: Stage, echo_port: int) -> None:
    port, (a, b, c) = server_port(stage), (free_port(), free_port(), free_port())
    stage.frpc(to(port, user="alice"), {"web": tcp(echo_port, a)})
    stage.frpc(to(port, user="bob"), {"web": tcp(echo_port, b)})
    again = stage.frpc(to(port, user="bob"), {"web": tcp(echo_port, c)}, wait_for=())
    again.wait_for(r"\[web\] start error: .*bob.web.* already in use")
    assert echoes(a)
    assert echoes(b)
    assert refuses(c)


def test_ports_that_are_not_allowed_are_refused(stage: Stage, echo_port: int) -> None:
    allowed, other = free_port(), free_port()
    port = server_port(stage, allow_ports=f"1000-1005,{allowed}")
    frpc = stage.frpc(
        to(port),
        {"good": tcp(echo_port, allowed), "bad": tcp(echo_port, other)},
        wait_for=["good"],
    )
    frpc.wait_for(r"\[bad\] start error: port not allowed")
    assert echoes(allowed)
    assert refuses(other)


def test_ports_that_are_taken_are_refused(stage: Stage, echo_port: int) -> None:
    bind_port, good = free_port(), free_port()
    frps = stage.frps({"bind_port": bind_port})
    with socket.create_server(("0.0.0.0", 0)) as taken:
        proxies = {
            "taken": tcp(echo_port, taken.getsockname()[1]),
            "own": tcp(echo_port, bind_port),
            "good": tcp(echo_port, good),
            "again": tcp(echo_port, good),
        }
        frpc = stage.frpc(to(bind_port), proxies, wait_for=["good"])
        frpc.wait_for(r"\[taken\] start error: port unavailable")
        frpc.wait_for(r"\[own\] start error: port unavailable")
        frpc.wait_for(r"\[again\] start error: port already used")
        frps.wait_for(r"held by .*pid \d+")
    assert echoes(good)


def test_a_client_may_take_only_so_many_ports(stage: Stage, echo_port: int) -> None:
    port, (first, second) = server_port(stage, max_ports_per_client=1), (free_port(), free_port())
    frpc = stage.frpc(
        to(port), {"a": tcp(echo_port, first), "b": tcp(echo_port, second)}, wait_for=["a"]
    )
    frpc.wait_for(r"\[b\] start error: exceed the max_ports_per_client")
    assert echoes(first)
    assert refuses(second)


def test_start_names_the_proxies_that_run(stage: Stage, echo_port: int) -> None:
    ports = {name: free_port() for name in "abc"}
    proxies = {name: tcp(echo_port, port) for name, port in ports.items()}
    frpc = stage.frpc(to(server_port(stage), start="a, c"), proxies, wait_for=["a", "c"])
    assert [name for name in ports if not refuses(ports[name])] == ["a", "c"]
    assert not frpc.count(r"\[b\]")


def test_visitors_ports_are_on_proxy_bind_addr(stage: Stage, echo_port: int) -> None:
    remote = free_port()
    port = server_port(stage, bind_addr="127.0.0.1", proxy_bind_addr="127.0.0.2")
    stage.frpc(to(port), {"web": tcp(echo_port, remote)})
    assert echoes(remote, host="127.0.0.2")
    assert refuses(remote)


@pytest.mark.parametrize("server_addr", ["127.0.0.1", "::1", "localhost"])
def test_all_addresses_of_both_families(stage: Stage, echo_port: int, server_addr: str) -> None:
    remote = free_port()
    port = server_port(stage, bind_addr="::")
    stage.frpc({"server_addr": server_addr, "server_port": port}, {"web": tcp(echo_port, remote)})
    assert echoes(remote)
    assert echoes(remote, host="::1")


def test_without_a_server_addr_it_is_this_machine(stage: Stage, echo_port: int) -> None:
    remote = free_port()
    stage.frpc({"server_port": server_port(stage)}, {"web": tcp(echo_port, remote)})
    assert echoes(remote)


def test_templates_read_the_environment(stage: Stage, echo_port: int) -> None:
    bind_port, port = free_port(), free_port()
    token = "token = {{ .Envs.FRP_TOKEN }}"
    server = stage.write(f"[common]\nbind_port = {bind_port}\n{token}\n")
    client = stage.write(
        f"[common]\nserver_port = {bind_port}\n{token}\n"
        f"[web]\ntype = tcp\nlocal_port = {echo_port}\nremote_port = {port}\n"
    )
    env = {"FRP_TOKEN": "123"}
    frps = stage.start("frps", str(BIN / "frps"), "-c", str(server), env=env)
    frps.wait_for(READY)
    other = {"FRP_TOKEN": "124"}
    stranger = stage.start("frpc", str(BIN / "frpc"), "-c", str(client), env=other)
    assert stranger.wait() == 1
    frpc = stage.start("frpc", str(BIN / "frpc"), "-c", str(client), env=env)
    frpc.wait_for(started("web"))
    assert echoes(port)


def test_includes_bring_their_proxies(stage: Stage, echo_port: int) -> None:
    ports = [free_port(), free_port()]
    files = [
        stage.write(f"[p{index}]\nlocal_port = {echo_port}\nremote_port = {port}\n")
        for index, port in enumerate(ports)
    ]
    common = {"server_port": server_port(stage), "includes": ",".join(map(str, files))}
    stage.frpc(common, {}).wait_for(started("p1"))
    assert all(echoes(port) for port in ports)


class NameServer:
    """Answers every question for an IPv4 address with 127.0.0.1."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._sock.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.may_answer.set()
        self._sock.sendto(b"", self._sock.getsockname())
        self._thread.join()
        self._sock.close()

    def _serve(self) -> None:
        while True:
            data, peer = self._sock.recvfrom(4096)
            if not data:
                return
            query = dns.message.from_wire(data)
            question = query.question[0]
            self.asked.append(question.name.to_text())
            self.may_answer.wait()
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.RA
            if question.rdtype == dns.rdatatype.A:
                answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", "127.0.0.1"))
            self._sock.sendto(answer.to_wire(), peer)


@pytest.fixture
def name_server() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.close()


def test_names_are_asked_of_dns_server(
    stage: Stage, echo_port: int, name_server: NameServer
) -> None:
    remote, port = free_port(), server_port(stage)
    common = {
        "server_addr": "frps.example.test",
        "server_port": port,
        "dns_server": name_server.address,
    }
    proxy = {**tcp(echo_port, remote), "local_ip": "service.example.test"}
    stage.frpc(common, {"web": proxy})
    assert echoes(remote)
    assert {"frps.example.test.", "service.example.test."} <= set(name_server.asked)


def test_a_name_server_that_takes_its_time_delays_no_other_visitor(
    stage: Stage, echo_port: int, name_server: NameServer
) -> None:
    named, direct, port = free_port(), free_port(), server_port(stage)
    proxies = {
        "named": {**tcp(echo_port, named), "local_ip": "service.example.test"},
        "direct": tcp(echo_port, direct),
    }
    name_server.may_answer.clear()
    stage.frpc(to(port, dns_server=name_server.address), proxies)
    with visit(named) as waiting:
        waiting.sendall(b"ping")
        wait_until(lambda: "service.example.test." in name_server.asked, "the name is asked for")
        for _ in range(100):
            assert echoes(direct)
        name_server.may_answer.set()
        assert waiting.recv(4) == b"ping"


def logged_starts(log: Path, count: int) -> bool:
    return log.read_text().count("frps started successfully") == count


def test_the_log_goes_to_its_file_and_is_appended(stage: Stage, echo_port: int) -> None:
    log = stage.folder / "frps.log"
    log.write_text("what an earlier run left\n")
    path = stage.write({"common": {"bind_port": free_port(), "log_file": log}})
    for runs in (1, 2):
        frps = stage.start("frps", str(BIN / "frps"), "-c", str(path))
        wait_until(partial(logged_starts, log, runs), f"start {runs} is logged")
        assert frps.terminate() == 0
        assert frps.output == ""
    assert log.read_text().startswith("what an earlier run left\n")


def test_a_log_that_was_moved_away_begins_anew(stage: Stage, echo_port: int) -> None:
    log, moved = stage.folder / "frps.log", stage.folder / "frps.log.1"
    bind_port, remote = free_port(), free_port()
    path = stage.write({"common": {"bind_port": bind_port, "log_file": log}})
    stage.start("frps", str(BIN / "frps"), "-c", str(path))
    wait_until(lambda: log.exists() and "success" in log.read_text(), "frps started")
    stage.frpc(to(bind_port), {"web": tcp(echo_port, remote)})
    log.rename(moved)

    def visited() -> bool:
        return echoes(remote) and log.exists() and "visitor" in log.read_text()

    wait_until(visited, "visits are in the new file")
    assert "frps started successfully" in moved.read_text()


def test_a_log_that_cannot_be_opened_is_told_before_anything_is_bound(stage: Stage) -> None:
    port = free_port()
    path = stage.write({"common": {"bind_port": port, "log_file": stage.folder / "no" / "log"}})
    frps = stage.start("frps", str(BIN / "frps"), "-c", str(path))
    assert frps.wait() == 1
    assert f"{stage.folder}/no/log" in frps.output
    assert refuses(port)


@pytest.mark.parametrize(("wish", "granted"), [(4, 4), (50, 6)])
def test_work_connections_are_kept_ready(
    stage: Stage, echo_port: int, wish: int, granted: int
) -> None:
    """Without tcp_mux each is a connection of its own; as many again after a visitor took one."""
    tunnel = stage.tunnel(
        {"web": echo_port}, mux=False, server={"max_pool_count": 6}, client={"pool_count": wish}
    )
    client = psutil.Process(tunnel.frpc.pid)

    def in_stock() -> int:
        connections = client.net_connections("tcp4")
        return sum(link.raddr[1:] == (tunnel.bind_port,) for link in connections) - 1

    wait_until(lambda: in_stock() == granted, f"{granted} are in stock")
    assert echoes(tunnel.ports["web"])
    wait_until(lambda: in_stock() == granted, f"{granted} are in stock again")
