"""frpc's plugins as people use them: curl and git through proxies, nginx on a Unix socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from base64 import b64encode
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse, RemoteDisconnected
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.helpers.loads import checksum
from tests.helpers.outside import (
    PASSWORD,
    SITE_DOMAIN,
    USER,
    Outside,
    git,
    open_outside,
    plugin_ports,
    plugins,
)
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, SECONDS, ini, need_tool, wait_until
from tests.helpers.stage import started
from tests.helpers.visitors import exchange, is_over, visit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers.programs import Program
    from tests.helpers.stage import Stage

LOGIN = f"{quote(USER)}:{quote(PASSWORD)}@"
CURL_RECEIVE, CURL_SOCKS = 56, 97


@dataclass(frozen=True, slots=True)
class Tunnel:
    """frps and frpc with every plugin."""

    frps: Program
    frpc: Program
    ports: dict[str, int]
    http_port: int
    idle_descriptors: int

    def url(self, scheme: str, name: str, login: str = "") -> str:
        return f"{scheme}://{login}127.0.0.1:{self.ports[name]}"


@pytest.fixture(scope="module")
def outside(module_stage: Stage) -> Iterator[Outside]:
    made = open_outside(module_stage)
    yield made
    made.close()


@pytest.fixture(scope="module", params=[True, False], ids=["mux", "direct"])
def tunnel(request: pytest.FixtureRequest, module_stage: Stage, outside: Outside) -> Tunnel:
    bind_port, http_port, ports = free_port(), free_port(), plugin_ports()
    both = {"token": "plugins", "tcp_mux": request.param}
    frps = module_stage.frps(
        {"bind_addr": "127.0.0.1", "bind_port": bind_port, "vhost_http_port": http_port, **both}
    )
    frpc = module_stage.frpc(
        {"server_addr": "127.0.0.1", "server_port": bind_port, "log_level": "debug", **both},
        plugins(outside, ports),
    )
    return Tunnel(frps, frpc, ports, http_port, frpc.descriptors())


def curl(target: Path, url: str, *options: str, status: int = 0) -> str:
    """Fetch an address into a file; return the HTTP status, and that of CONNECT."""
    done = subprocess.run(
        [
            *(need_tool("curl"), "-sS", "--max-time", str(4 * SECONDS), "--noproxy", ""),
            *("-o", str(target), "-w", "%{http_code} %{http_connect}", *options, url),
        ],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == status, done.stderr
    return done.stdout


def test_a_server_on_a_unix_socket_is_reached(
    tunnel: Tunnel, outside: Outside, tmp_path: Path
) -> None:
    got = tmp_path / "got"
    curl(got, f"http://127.0.0.1:{tunnel.ports['unix']}/large")
    assert checksum(got) == checksum(outside.large)
    up = f"http://127.0.0.1:{tunnel.ports['unix']}/up/unix"
    assert curl(got, up, "-T", str(outside.large)).startswith(("201 ", "204 "))
    assert checksum(outside.folder / "www" / "up" / "unix") == checksum(outside.large)


def test_a_plugin_serves_a_virtual_host(tunnel: Tunnel, outside: Outside, tmp_path: Path) -> None:
    got = tmp_path / "got"
    site = f"http://127.0.0.1:{tunnel.http_port}/large"
    curl(got, site, "-H", f"Host: {SITE_DOMAIN}")
    assert checksum(got) == checksum(outside.large)


@pytest.mark.parametrize(
    ("name", "tunnels"),
    [("http", False), ("http", True), ("http-open", False)],
    ids=["forward", "connect", "open"],
)
def test_curl_through_http_proxy(
    tunnel: Tunnel, outside: Outside, tmp_path: Path, name: str, tunnels: bool
) -> None:
    got, site = tmp_path / "got", f"http://localhost:{outside.port}"
    proxy = ["-x", tunnel.url("http", name, LOGIN if name == "http" else "")]
    proxy += ["-p"] if tunnels else []
    assert curl(got, f"{site}/large", *proxy) == f"200 {'200' if tunnels else '000'}"
    assert checksum(got) == checksum(outside.large)
    put = curl(got, f"{site}/up/{name}", "-T", str(outside.large), *proxy)
    assert put.startswith(("201 ", "204 "))
    assert checksum(outside.folder / "www" / "up" / name) == checksum(outside.large)


def test_http_proxy_says_what_is_wrong(tunnel: Tunnel, outside: Outside, tmp_path: Path) -> None:
    got, site = tmp_path / "got", f"http://localhost:{outside.port}/large"
    proxy = ("-x", tunnel.url("http", "http"))
    assert curl(got, site, *proxy) == "407 000"
    assert curl(got, site, *proxy, "-U", f"{USER}:wrong") == "407 000"
    assert curl(got, site, *proxy, "-p", status=CURL_RECEIVE) == "000 407"
    opened = ("-x", tunnel.url("http", "http-open"))
    assert curl(got, f"http://localhost:{free_port()}/", *opened) == "502 000"
    assert curl(got, "http://nobody.invalid/", *opened) == "502 000"
    assert "nobody" not in got.read_text()


@pytest.mark.parametrize(
    ("name", "host"), [("socks", "localhost"), ("socks-open", "127.0.0.1")], ids=["login", "open"]
)
def test_curl_through_socks5(
    tunnel: Tunnel, outside: Outside, tmp_path: Path, name: str, host: str
) -> None:
    got, site = tmp_path / "got", f"http://{host}:{outside.port}"
    proxy = ("-x", tunnel.url("socks5h", name, LOGIN if name == "socks" else ""))
    curl(got, f"{site}/large", *proxy)
    assert checksum(got) == checksum(outside.large)
    put = curl(got, f"{site}/up/{name}", "-T", str(outside.large), *proxy)
    assert put.startswith(("201 ", "204 "))


def test_socks5_says_what_is_wrong(tunnel: Tunnel, outside: Outside, tmp_path: Path) -> None:
    got, site = tmp_path / "got", f"http://localhost:{outside.port}/large"
    curl(got, site, "-x", tunnel.url("socks5h", "socks"), status=CURL_SOCKS)
    curl(got, site, "-x", tunnel.url("socks5h", "socks", "ann:wrong@"), status=CURL_SOCKS)
    opened = ("-x", tunnel.url("socks5h", "socks-open"))
    curl(got, f"http://localhost:{free_port()}/", *opened, status=CURL_SOCKS)
    curl(got, "http://nobody.invalid/", *opened, status=CURL_SOCKS)


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_git_clones_and_pushes(
    tunnel: Tunnel, outside: Outside, tmp_path: Path, scheme: str
) -> None:
    name = "http" if scheme == "http" else "socks"
    through = ("-c", f"http.proxy={tunnel.url(scheme, name, LOGIN)}")
    origin = f"http://localhost:{outside.git_port}/origin.git"
    git(*through, "clone", "-q", origin, "copy", cwd=tmp_path)
    copy = tmp_path / "copy"
    (copy / "more").write_bytes(os.urandom(100_000))
    git("add", ".", cwd=copy)
    git("commit", "-q", "-m", "more", cwd=copy)
    branch = f"from-{scheme}-{tunnel.ports[name]}"
    git(*through, "push", "-q", "origin", f"HEAD:{branch}", cwd=copy)
    pushed = git("rev-parse", branch, cwd=outside.folder / "git" / "origin.git")
    assert pushed == git("rev-parse", "HEAD", cwd=copy)


def test_datagrams_of_a_visitor_who_reaches_the_client(tunnel: Tunnel) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near,
        visit(tunnel.ports["socks-open"]) as control,
    ):
        for sock in (service, near):
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(SECONDS)
        control.sendall(b"\x05\x01\x00" + b"\x05\x03\x00\x01" + bytes(6))
        answer = b""
        while len(answer) < 12:
            answer += control.recv(100)
        assert answer[:10] == b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01"
        relay = ("127.0.0.1", int.from_bytes(answer[10:12], "big"))
        port = service.getsockname()[1].to_bytes(2, "big")
        header = b"\x00\x00\x00\x01\x7f\x00\x00\x01" + port
        near.sendto(header + b"question", relay)
        question, sender = service.recvfrom(100)
        assert question == b"question"
        service.sendto(b"answer", sender)
        assert near.recvfrom(100) == (header + b"answer", relay)
        descriptors = tunnel.frpc.descriptors()
    tunnel.frpc.wait_for_descriptors(descriptors - 2)


def test_many_visitors_at_a_time_leave_nothing(tunnel: Tunnel, echo_port: int) -> None:
    ask = f"CONNECT 127.0.0.1:{echo_port} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    data = os.urandom(100_000)
    visitors = [visit(tunnel.ports["http-open"]) for _ in range(40)]
    for visitor in visitors:
        visitor.sendall(ask)
    for visitor in visitors:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += visitor.recv(1)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert exchange(visitor, data) == data
    for visitor in visitors:
        visitor.close()
    # Spare work connections stay, and visitors of other tests may not have been missed yet.
    tunnel.frpc.wait_for_descriptors(tunnel.idle_descriptors + 4)


def test_a_plugin_that_cannot_start_says_why_and_the_others_run(
    stage: Stage, outside: Outside
) -> None:
    bind_port, port = free_port(), free_port()
    stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind_port})
    tcp = {"type": "tcp", "remote_port": free_port()}
    frpc = stage.frpc(
        {"server_addr": "127.0.0.1", "server_port": bind_port},
        {
            "nameless": {**tcp, "plugin": "nix"},
            "pathless": {**tcp, "plugin": "unix_domain_socket"},
            "lost": {
                **tcp,
                "remote_port": port,
                "plugin": "unix_domain_socket",
                "plugin_unix_path": outside.folder / "nobody.sock",
            },
        },
        wait_for=["lost"],
    )
    frpc.wait_for(r"\[nameless\] start error: plugin \[nix\] is not registered")
    frpc.wait_for(r"\[pathless\] start error: plugin_unix_path not found")
    assert not frpc.count(started("nameless"))
    with visit(port) as visitor:
        wait_until(lambda: is_over(visitor), "the end of a visitor whom nobody serves")
    frpc.wait_for(r"refused .*dial unix .*/nobody.sock: connect: no such file or directory")


class Regular:
    """A visitor with the password ``old``, on one connection."""

    def __init__(self, port: int, target: str, host: str = "") -> None:
        self._target = target
        login = f"Basic {b64encode(f'{USER}:old'.encode()).decode()}"
        self._fields = {"Authorization": login, "Proxy-Authorization": login}
        if host:
            self._fields["Host"] = host
        self._connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        self._connection.connect()
        self._connection.auto_open = 0

    def __enter__(self) -> Regular:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self) -> HTTPResponse:
        self._connection.request("GET", self._target, headers=self._fields)
        return self._connection.getresponse()


@pytest.mark.parametrize("mux", [True, False], ids=["mux", "direct"])
def test_a_new_password_is_asked_of_those_who_are_connected(
    stage: Stage, outside: Outside, mux: bool
) -> None:
    """And what they had asked for before comes whole."""
    ports = {name: free_port() for name in ("files", "site", "out")}
    server = {"bind_addr": "127.0.0.1", "bind_port": free_port(), "tcp_mux": mux}
    stage.frps({**server, "vhost_http_port": ports["site"]})

    to_server = {"server_addr": "127.0.0.1", "server_port": server["bind_port"], "tcp_mux": mux}

    def settings(password: str) -> str:
        login = {"plugin_http_user": USER, "plugin_http_passwd": password}
        files = {"plugin": "static_file", "plugin_local_path": outside.folder / "www", **login}
        out = {"plugin": "http_proxy", **login}
        return ini(
            {
                "common": to_server,
                "files": {"type": "tcp", "remote_port": ports["files"], **files},
                "site": {"type": "http", "custom_domains": SITE_DOMAIN, **files},
                "out": {"type": "tcp", "remote_port": ports["out"], **out},
            }
        )

    path = stage.write(settings("old"))
    frpc = stage.start("frpc", str(BIN / "frpc"), "-c", str(path))
    for name in ports:
        frpc.wait_for(started(name))
    large = outside.large.read_bytes()
    beyond = f"http://localhost:{outside.port}/large"
    with ExitStack() as stack:

        def regulars() -> tuple[Regular, Regular, Regular]:
            files = Regular(ports["files"], "/large")
            site = Regular(ports["site"], "/large", SITE_DOMAIN)
            out = Regular(ports["out"], beyond)
            for regular in (files, site, out):
                stack.enter_context(regular)
            return files, site, out

        idle = regulars()
        assert all(regular.ask().read() == large for regular in idle)
        answers = [regular.ask() for regular in regulars()]
        path.write_text(settings("new"))
        mark = frpc.said()
        frpc.signal(signal.SIGHUP)
        for name in ports:
            frpc.wait_for(started(name), since=mark)
        files, site, out = idle
        for regular in (files, out):
            with pytest.raises((RemoteDisconnected, ConnectionError)):
                regular.ask()
        assert site.ask().status == 401  # its connection is with frps
        assert [regular.ask().status for regular in regulars()] == [401, 401, 407]
        assert all(answer.read() == large for answer in answers)
