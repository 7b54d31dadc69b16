"""frp's programs, and what takes their ini files: the path is appended to each command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.tunnel.kinds.kind import Kind, Task
from bench.tunnel.settings import HOST

if TYPE_CHECKING:
    from bench.tunnel.settings import Ports, Setting


def _commands(task: Task) -> tuple[list[str], list[str]]:
    server = task.write("frps.ini", server_ini(task.setting, task.ports, task.extra))
    client = task.write("frpc.ini", client_ini(task.setting, task.ports, task.extra))
    return [*task.server, server], [*task.client, client]


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


FRP: Final = Kind(
    about="frp's ini files: SERVER|CLIENT, each with its -c",
    programs=("frps -c", "frpc -c"),
    commands=_commands,
)
