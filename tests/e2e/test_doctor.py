"""frpd-ctl doctor finds each of ten planted faults, and names the remedy."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from frpd.cli.config_file import ConfigFile
from frpd.cli.ctl.program import main
from frpd.cli.doctor import reach
from frpd.cli.doctor.case import Case
from frpd.cli.doctor.examine import examine
from frpd.cli.doctor.finding import Verdict
from frpd.clock import unix_now
from tests.helpers.frp_listeners import Peer, frps_without_mux
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, need_tool, run, wait_until
from tests.helpers.services import Service, flood
from tests.helpers.stage import READY, Stage, started, tcp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Ask = Callable[[Path], "Examined"]

CTL = str(BIN / "frpd-ctl")
TOKEN = "a long and random token"
MIB = 1024 * 1024


class Examined(NamedTuple):
    """What the doctor said."""

    status: int
    report: dict[str, Any]

    def fault(self, check: str) -> tuple[str, str]:
        """Return the one fault of a check: what was found, and the remedy."""
        found = [
            (one["found"], one["remedy"])
            for one in self.report["findings"]
            if (one["check"], one["verdict"]) == (check, "fault")
        ]
        assert len(found) == 1, self.report
        assert self.status == 1
        return found[0]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Ask the doctor in this process, which spares the start."""

    def ask(path: Path) -> Examined:
        status = main(["doctor", "-c", str(path), "--json"])
        return Examined(status, json.loads(capsys.readouterr().out))

    return ask


def doctor(path: Path, *before: str) -> Examined:
    """Run the doctor, as a program."""
    done = run(*before, CTL, "doctor", "-c", str(path), "--json", seconds=30)
    assert done.stderr == ""
    return Examined(done.returncode, json.loads(done.stdout))


class Tunnel(NamedTuple):
    """frps and frpc with one proxy, whose service has much to say."""

    frps_pid: int
    bind_port: int
    visitors: int
    server_file: Path
    client_file: Path


@pytest.fixture(scope="module")
def tunnel(module_stage: Stage) -> Iterator[Tunnel]:
    stage, bind_port, remote = module_stage, free_port(), free_port()
    common = {"token": TOKEN}
    with Service(flood(bytes(64 * MIB))) as service:
        server = stage.write(
            {
                "common": {
                    **common,
                    "bind_addr": "127.0.0.1",
                    "bind_port": bind_port,
                    "control_socket": f"{stage.folder}/frps.sock",
                }
            },
            "frps.ini",
        )
        client = stage.write(
            {
                "common": {
                    **common,
                    "server_addr": "127.0.0.1",
                    "server_port": bind_port,
                    "control_socket": f"{stage.folder}/frpc.sock",
                },
                "web": tcp(service.port, remote),
            },
            "frpc.ini",
        )
        frps = stage.start("frps", str(BIN / "frps"), "-c", str(server))
        frps.wait_for(READY)
        stage.start("frpc", str(BIN / "frpc"), "-c", str(client)).wait_for(started("web"))
        yield Tunnel(frps.pid, bind_port, remote, server, client)


@pytest.fixture
def client_file(tunnel: Tunnel, tmp_path: Path) -> Iterator[ClientFile]:
    """A frpc.ini that is fine but for what a test plants in it."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        yield ClientFile(tmp_path, tunnel.bind_port, service.getsockname()[1])


class ClientFile:
    """Writes a frpc.ini with one fault."""

    def __init__(self, folder: Path, bind_port: int, local_port: int) -> None:
        self.folder = folder
        self.local_port = local_port
        self._common = {
            "token": TOKEN,
            "server_addr": "127.0.0.1",
            "server_port": bind_port,
            "control_socket": f"{folder}/none.sock",
        }

    def with_fault(self, **common: object) -> Path:
        """Return its path."""
        proxy = tcp(self.local_port, 6000)
        stage = Stage(self.folder)
        return stage.write({"common": {**self._common, **common}, "web": proxy}, "frpc.ini")


def test_a_tunnel_that_works_has_no_fault(tunnel: Tunnel) -> None:
    for path in (tunnel.server_file, tunnel.client_file):
        status, report = doctor(path)
        assert (status, report["faults"]) == (0, 0), report
        assert report["pid"]


def test_wrong_token(client_file: ClientFile, ask: Ask) -> None:
    found, remedy = ask(client_file.with_fault(token="not the server's token")).fault("login")
    assert "the token is wrong" in found
    assert "same token" in remedy


def test_clock_off_by_an_hour(client_file: ClientFile) -> None:
    file = ConfigFile.named(str(client_file.with_fault()), None)
    case = Case("frpc", file, now_unix=lambda: unix_now() - 3600)
    (finding,) = [one.finding for one in examine(case) if one.finding.verdict is Verdict.FAULT]
    assert "the clocks of the two machines differ" in finding.found
    assert "timedatectl set-ntp true" in finding.remedy


def test_port_taken(client_file: ClientFile, ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found, remedy = ask(client_file.with_fault(admin_port=port)).fault("ports")
    assert f"127.0.0.1:{port} is held by" in found
    assert f"(pid {os.getpid()})" in found
    assert "choose another admin_port" in remedy


def test_local_service_down(client_file: ClientFile, ask: Ask) -> None:
    client_file.local_port = free_port()
    found, remedy = ask(client_file.with_fault()).fault("services")
    assert f"nothing listens at 127.0.0.1:{client_file.local_port}" in found
    assert "start that service" in remedy


def test_dns_failing(client_file: ClientFile, ask: Ask) -> None:
    with nameserver_without_names() as port:
        path = client_file.with_fault(server_addr="frp.test", dns_server=f"127.0.0.1:{port}")
        found, remedy = ask(path).fault("dns")
    assert "DNS fails: the name frp.test" in found
    assert "dns_server" in remedy


@contextlib.contextmanager
def nameserver_without_names() -> Iterator[int]:
    """Answer every question with NXDOMAIN; yield the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def serve() -> None:
            while (question := sock.recvfrom(512))[0]:
                data, peer = question
                head = data[:2] + b"\x81\x83\0\1\0\0\0\0\0\0"
                sock.sendto(head + data[12:], peer)

        thread = threading.Thread(target=serve)
        thread.start()
        port: int = sock.getsockname()[1]
        try:
            yield port
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
                end.sendto(b"", ("127.0.0.1", port))
            thread.join()


def test_tcp_mux_differing(client_file: ClientFile, ask: Ask) -> None:
    with Peer(frps_without_mux()) as frps:
        found, remedy = ask(client_file.with_fault(server_port=frps.port)).fault("login")
    assert "tcp_mux differs between the ends" in found
    assert "set tcp_mux = false in frpc.ini" in remedy


def test_firewall_dropping_silently(
    client_file: ClientFile,
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reach, "DIAL_SECONDS", 0.5)
    # A queue that is full takes no more, and says nothing: as a firewall does.
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as full,
        contextlib.ExitStack() as callers,
    ):
        for _ in range(4):
            caller = callers.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        says_firewall(ask(client_file.with_fault(server_port=full.getsockname()[1])))


def says_firewall(examined: Examined) -> None:
    found, remedy = examined.fault("reach")
    assert "a firewall on the way drops the packets silently" in found
    assert "let TCP to that port pass" in remedy


@pytest.mark.full
def test_packets_that_vanish_in_a_namespace(client_file: ClientFile) -> None:
    ip, name = need_tool("ip"), f"frpd-doctor-{os.getpid()}"
    if subprocess.run([ip, "netns", "add", name], check=False, capture_output=True).returncode:
        pytest.skip("no network namespaces here")
    try:
        # Nobody answers to the address of the hardware, so packets go out and are gone.
        for words in (
            "link add v0 type veth peer name v1",
            "addr add 192.0.2.1/24 dev v0",
            "link set v0 up",
            "link set v1 up",
            "neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev v0 nud permanent",
        ):
            subprocess.run([ip, "-n", name, *words.split()], check=True)
        path = client_file.with_fault(server_addr="192.0.2.2")
        says_firewall(doctor(path, ip, "netns", "exec", name))
    finally:
        subprocess.run([ip, "netns", "del", name], check=True)


def test_disk_full_for_logs(client_file: ClientFile, ask: Ask) -> None:
    folder = client_file.folder / "log"
    folder.mkdir()
    mount = [need_tool("mount"), "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        with contextlib.suppress(OSError), (folder / "full").open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        found, remedy = ask(client_file.with_fault(log_file=f"{folder}/frpc.log")).fault("log")
    finally:
        subprocess.run([need_tool("umount"), str(folder)], check=True)
    assert f"the disk of the log {folder}/frpc.log is full" in found
    assert "make room" in remedy


def test_slow_visitor(tunnel: Tunnel) -> None:
    with socket.socket() as visitor:
        visitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # soon full
        visitor.connect(("127.0.0.1", tunnel.visitors))
        wait_until(lambda: visitor.recv(1024, socket.MSG_PEEK), "the first words")
        found, remedy = doctor(tunnel.server_file).fault("traffic")
        port = visitor.getsockname()[1]
    assert f"a visitor of proxy web (127.0.0.1:{port}) is slow" in found
    assert "its own window limits" in found
    assert "the visitor's program" in remedy


def test_fd_limit_low(tunnel: Tunnel) -> None:
    soft, hard = resource.prlimit(tunnel.frps_pid, resource.RLIMIT_NOFILE)
    resource.prlimit(tunnel.frps_pid, resource.RLIMIT_NOFILE, (100, hard))
    try:
        found, remedy = doctor(tunnel.server_file).fault("limits")
    finally:
        resource.prlimit(tunnel.frps_pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert "the limit of open files is too low: frps may have 100" in found
    assert "LimitNOFILE=" in remedy
    assert f"prlimit --pid {tunnel.frps_pid}" in remedy
