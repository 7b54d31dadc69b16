"""chisel: SSH inside one WebSocket, which all visitors share."""

from __future__ import annotations

from typing import Final

from bench.tunnel.kinds.kind import Kind, Task


def _commands(task: Task) -> tuple[list[str], list[str]]:
    bind = str(task.ports.bind)
    server = [*task.server, "server", "--host", "127.0.0.1", "--port", bind]
    client = [*task.client, "client", "--auth", "tester:measured", f"http://127.0.0.1:{bind}"]
    for name, entrance, service in task.services():
        datagrams = name == "measured" and task.setting.proxy.kind == "udp"
        way = f"R:127.0.0.1:{entrance}:127.0.0.1:{service}"
        client.append(f"{way}/udp" if datagrams else way)
    return [*server, "--reverse", "--auth", "tester:measured"], client


CHISEL: Final = Kind(
    about="chisel, reverse tunnels: PROGRAM",
    programs=("chisel", "chisel"),
    commands=_commands,
    lacks={
        "http": "chisel knows no virtual hosts",
        "kcp": "chisel does not speak KCP",
        "quic": "chisel does not speak QUIC",
        "use_compression": "chisel does not compress",
        "no mux": "chisel has one connection for all visitors, always",
    },
    note="always encrypts everything (SSH in a WebSocket)",
)
