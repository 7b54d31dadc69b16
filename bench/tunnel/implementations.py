"""The things compared: a server and a client each, and a running tunnel of them."""

from __future__ import annotations

import contextlib
import shlex
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.tunnel.processes import Child, listens, running, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READY_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Implementation:
    """What ``--impl NAME='SERVER|CLIENT'`` says, and lines of ``--set`` for both its ini files."""

    name: str
    server: tuple[str, ...]
    client: tuple[str, ...]
    extra: tuple[str, ...] = ()


def parse_implementation(text: str) -> Implementation:
    """Read ``NAME=SERVER COMMAND|CLIENT COMMAND``.

    Raises:
        ValueError: it has another form.
    """
    name, _, commands = text.partition("=")
    server, bar, client = commands.partition("|")
    if not (name.strip() and server.strip() and bar and client.strip()):
        raise ValueError(f"{text!r} is not NAME=SERVER COMMAND|CLIENT COMMAND")
    return Implementation(name.strip(), tuple(shlex.split(server)), tuple(shlex.split(client)))


@dataclass(frozen=True, slots=True)
class Ports:
    """All on 127.0.0.1: the tunnel's own, the services' behind it, the ways in."""

    bind: int
    vhost: int
    echo: int
    sink: int
    iperf: int
    web: int
    probe: int
    entrance: int


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy under measurement.

    Attributes:
        service: the Ports attribute of the service behind it.
        kind: frp's type.
        lines: further ini lines of its section.
    """

    service: str
    kind: str = "tcp"
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """What a scenario writes into the ini files of every implementation."""

    proxy: Proxy
    tcp_mux: bool = True
    pool: int = 5
    protocol: str = "tcp"


HOST: Final = "tunnel.test"
"""The virtual host of an http proxy."""


def _common(setting: Setting, extra: tuple[str, ...]) -> str:
    mux = "true" if setting.tcp_mux else "false"
    return "\n".join(["token = measured", f"tcp_mux = {mux}", "log_level = warn", *extra, ""])


def server_ini(setting: Setting, ports: Ports, extra: tuple[str, ...] = ()) -> str:
    """Return frps.ini."""
    vhost = f"vhost_http_port = {ports.vhost}\n" if setting.proxy.kind == "http" else ""
    # by datagrams the number of bind_port may serve as well
    by_datagrams = setting.protocol in ("kcp", "quic")
    datagrams = f"{setting.protocol}_bind_port = {ports.bind}\n" if by_datagrams else ""
    return (
        "[common]\nbind_addr = 127.0.0.1\n"
        f"bind_port = {ports.bind}\nmax_pool_count = 50\n{vhost}{datagrams}"
        f"{_common(setting, extra)}"
    )


def client_ini(setting: Setting, ports: Ports, extra: tuple[str, ...] = ()) -> str:
    """Return frpc.ini: the proxy that is measured, and one to the echo service for looking."""
    proxy = setting.proxy
    way_in = (
        f"custom_domains = {HOST}" if proxy.kind == "http" else f"remote_port = {ports.entrance}"
    )
    measured = [
        "[measured]",
        f"type = {proxy.kind}",
        f"local_port = {getattr(ports, proxy.service)}",
        way_in,
        *proxy.lines,
        "",
    ]
    return (
        "[common]\nserver_addr = 127.0.0.1\n"
        # newer frp turns TLS on by itself; all shall do the same work
        f"server_port = {ports.bind}\ntls_enable = false\npool_count = {setting.pool}\n"
        f"protocol = {setting.protocol}\n"
        f"{_common(setting, extra)}\n"
        f"[probe]\ntype = tcp\nlocal_port = {ports.echo}\nremote_port = {ports.probe}\n\n"
        + "\n".join(measured)
    )


@dataclass(frozen=True, slots=True)
class Tunnel:
    """Both ends, running; ``ready_seconds`` from the server's start to the first echo."""

    ports: Ports
    ends: tuple[Child, Child]
    server_ready_seconds: float
    ready_seconds: float


@contextlib.contextmanager
def tunnel(
    implementation: Implementation, setting: Setting, ports: Ports, folder: Path
) -> Iterator[Tunnel]:
    """Run both ends for as long as the block lasts; the services behind must run already.

    Raises:
        MeasurementError: the tunnel does not come up.
    """
    inis = folder / f"{implementation.name}-frps.ini", folder / f"{implementation.name}-frpc.ini"
    inis[0].write_text(server_ini(setting, ports, implementation.extra), encoding="utf-8")
    inis[1].write_text(client_ini(setting, ports, implementation.extra), encoding="utf-8")
    logs = [ini.with_suffix(".log") for ini in inis]
    for log in logs:
        log.unlink(missing_ok=True)
    began = time.monotonic()
    with running([*implementation.server, str(inis[0])], logs[0]) as server:
        wait_until(lambda: listens(ports.bind), "a listening server", READY_SECONDS, [server])
        server_ready = time.monotonic() - began
        with running([*implementation.client, str(inis[1])], logs[1]) as client:
            ends = (server, client)
            wait_until(lambda: echoes(ports.probe), "an echo", READY_SECONDS, ends)
            ready = time.monotonic() - began
            if setting.proxy.kind == "tcp":
                wait_until(lambda: listens(ports.entrance), "the proxy", READY_SECONDS, ends)
            yield Tunnel(ports, ends, server_ready, ready)
            for end in ends:
                end.check()


def echoes(port: int) -> bool:
    """Tell whether a TCP echo answers on this port."""
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as visitor:
            visitor.sendall(b"hello")
            return visitor.recv(5) == b"hello"
    except OSError:
        return False


def echoes_datagrams(port: int) -> bool:
    """Tell whether a UDP echo answers on this port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as visitor:
        visitor.settimeout(0.2)
        try:
            visitor.connect(("127.0.0.1", port))
            visitor.send(b"hello")
            return visitor.recv(5) == b"hello"
        except OSError:
            return False


def answers_http(port: int, host: str) -> bool:
    """Tell whether this port answers a GET for ``host`` with 200."""
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as visitor:
            visitor.sendall(request.encode())
            return visitor.recv(64).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False
