"""The things compared: a server and a client each, and a running tunnel of them."""

from __future__ import annotations

import contextlib
import shlex
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.tunnel.kinds import KINDS
from bench.tunnel.kinds.kind import Task
from bench.tunnel.processes import Child, listens, running, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.tunnel.settings import Ports, Setting

READY_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Implementation:
    """What ``--impl NAME=KIND:SERVER|CLIENT`` says, and what ``--set`` adds to frp's ini files."""

    name: str
    server: tuple[str, ...]
    client: tuple[str, ...]
    extra: tuple[str, ...] = ()
    kind: str = "frp"

    def task(self, setting: Setting, ports: Ports, folder: Path) -> Task:
        """Return what its kind needs to know to make a tunnel of it."""
        return Task(self.name, self.server, self.client, self.extra, setting, ports, folder)


def parse_implementation(text: str) -> Implementation:
    """Read ``NAME=SERVER COMMAND|CLIENT COMMAND``, or one of another kind: ``NAME=KIND:PROGRAMS``.

    PROGRAMS are SERVER|CLIENT, one for both, or none for those of the PATH.

    Raises:
        ValueError: it has another form.
    """
    name, _, commands = text.partition("=")
    word, colon, programs = commands.partition(":")
    kind = word.strip() if colon and word.strip() in KINDS else ""
    server, bar, client = (programs if kind else commands).partition("|")
    if kind:
        defaults = KINDS[kind].programs
        client = (client if bar else server).strip() or defaults[1]
        server = server.strip() or defaults[0]
    if not (name.strip() and server.strip() and client.strip()):
        raise ValueError(f"{text!r} is not NAME=SERVER COMMAND|CLIENT COMMAND, nor NAME=KIND:...")
    words = tuple(shlex.split(server)), tuple(shlex.split(client))
    return Implementation(name.strip(), *words, kind=kind or "frp")


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
    kind = KINDS[implementation.kind]
    task = implementation.task(setting, ports, folder)
    commands = kind.commands(task)
    logs = [task.path(f"{end}.log") for end in ("server", "client")]
    for log in logs:
        log.unlink(missing_ok=True)
    began = time.monotonic()
    with running(commands[0], logs[0]) as server:
        wait_until(lambda: listens(kind.door(ports)), "a listening server", READY_SECONDS, [server])
        server_ready = time.monotonic() - began
        with running(commands[1], logs[1]) as client:
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
