"""rathole: a connection of its own for each visitor, over plain TCP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.tunnel.kinds.kind import Kind, Task

if TYPE_CHECKING:
    from collections.abc import Iterator


def _commands(task: Task) -> tuple[list[str], list[str]]:
    server = task.write("server.toml", "\n".join(_server(task)))
    client = task.write("client.toml", "\n".join(_client(task)))
    return [*task.server, "--server", server], [*task.client, "--client", client]


def _server(task: Task) -> Iterator[str]:
    yield from ("[server]", f'bind_addr = "127.0.0.1:{task.ports.bind}"')
    yield 'default_token = "measured"'
    for name, entrance, _ in task.services():
        yield from (f"[server.services.{name}]", f'bind_addr = "127.0.0.1:{entrance}"')
        yield f'type = "{_type(task, name)}"'


def _client(task: Task) -> Iterator[str]:
    yield from ("[client]", f'remote_addr = "127.0.0.1:{task.ports.bind}"')
    yield 'default_token = "measured"'
    for name, _, service in task.services():
        yield from (f"[client.services.{name}]", f'local_addr = "127.0.0.1:{service}"')
        yield f'type = "{_type(task, name)}"'


def _type(task: Task, name: str) -> str:
    return task.setting.proxy.kind if name == "measured" else "tcp"


RATHOLE: Final = Kind(
    about="rathole over plain TCP: PROGRAM",
    programs=("rathole", "rathole"),
    commands=_commands,
    lacks={
        "http": "rathole knows no virtual hosts",
        "kcp": "rathole does not speak KCP",
        "quic": "rathole does not speak QUIC",
        "use_encryption": "rathole encrypts a whole session (TLS, Noise), not a proxy",
        "use_compression": "rathole does not compress",
    },
    note="a connection for each visitor, whatever the row says of tcp_mux; nothing is encrypted",
)
