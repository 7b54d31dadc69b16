"""A client far away: its namespace, the server's, a wire between, and traffic from the server's.

    client 192.0.2.2 == wire == server 192.0.2.1

Visitors, and a frpc that visits the client's stcp proxy, are beside the server, so every byte
crosses the wire twice.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import time
from typing import TYPE_CHECKING

from tests.helpers.chaos import Census, listening
from tests.helpers.chaos_traffic import Ask, Channel, Post, Talk, Traffic, echo_posts
from tests.helpers.middle_box import MiddleBox
from tests.helpers.programs import BIN, SECONDS, need_tool, wait_until
from tests.helpers.services import Service, echo
from tests.helpers.stage import READY, TOKEN, started
from tests.helpers.udp import UdpService
from tests.helpers.visitors import exchange, is_over, visit
from tests.helpers.wire import Wire, inside

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.helpers.programs import Program, Settings
    from tests.helpers.stage import Stage

CLIENT, SERVER, ELSEWHERE = "192.0.2.2", "192.0.2.1", "192.0.2.3"
BIND_PORT, UDP_BIND_PORT, HTTP_PORT = 17000, 17001, 17080
PORTS = {"tcp": 17100, "udp": 17101, "stcp": 17102}
SK = "wired sk"
CARRIERS: dict[str, dict[str, object]] = {
    "mux": {},
    "direct": {"tcp_mux": False, "dial_server_keepalive": 1},
    "tls": {"tls_enable": True},
    "websocket": {"protocol": "websocket"},
    "kcp": {"protocol": "kcp", "server_port": UDP_BIND_PORT},
    "quic": {"protocol": "quic", "server_port": UDP_BIND_PORT},
}
"""What each of them adds to [common] of frpc."""
HEARTBEATS = {"heartbeat_interval": 1, "heartbeat_timeout": 3}
MAX_THREADS = 10
MAX_GROWTH_BYTES = 16 << 20  # what malloc keeps, and modules that are loaded when they are wanted
_numbers = itertools.count()


class Wired:
    """The lab with its programs and traffic; made by ``wired``.

    Args:
        stage: its programs.
        carrier: of CARRIERS.
        stack: closes what is not a program.

    Attributes:
        box: what ``place_box`` has put on the way.
    """

    def __init__(
        self,
        stage: Stage,
        carrier: str,
        stack: contextlib.ExitStack,
    ) -> None:
        self.box: MiddleBox | None = None
        self._stage, self.stack, self.carrier = stage, stack, carrier
        self._ip = need_tool("ip")
        tag = f"frpd-{os.getpid()}-w{next(_numbers)}"
        self.client, self.server = f"{tag}c", f"{tag}s"
        for name in (self.client, self.server):
            self.stack.callback(self._forget, name)
            self._run("netns", "add", name)
            self.ip(name, "link set lo up")
        self.wire = self.stack.enter_context(Wire((self.client, self.server)))
        for name, address in ((self.client, CLIENT), (self.server, SERVER)):
            self.ip(name, f"address add {address}/24 dev wire0")
            self.ip(name, "link set wire0 up")
        self.temporary = stage.folder / "tmp"
        self.temporary.mkdir()
        services: dict[str, Service | UdpService] = {
            "echo": inside(self.client, lambda: Service(echo)),
            "web": inside(self.client, lambda: Service(echo_posts)),
            "udp": inside(self.client, UdpService),
        }
        for service in services.values():
            self.stack.callback(service.close)
        self._local = {name: service.port for name, service in services.items()}
        self.files: dict[str, Path] = {}
        self.programs: dict[str, Program] = {}

    def begin(self, server: Settings, client: Settings) -> None:
        """Start the programs and the traffic.

        Args:
            server: more settings for [common] of frps,
            client: and of frpc.
        """
        self.files = {
            "frps": self._stage.write({"common": {**self._common(), **server}}),
            "frpc": self._stage.write(
                {
                    "common": {**self._far(), **CARRIERS[self.carrier], **client},
                    **self._proxies(),
                }
            ),
            "guest": self._stage.write(
                {"common": {**self._near(), **server}, "stcp_v": self._visitor()}
            ),
        }
        for end in self.files:
            self.start(end)
        self.traffic: Traffic = inside(self.server, lambda: Traffic(self._channels()))
        self.stack.callback(self.traffic.end)

    def ip(self, namespace: str, arguments: str) -> None:
        """Run one command of ip(8) in a namespace."""
        self._run("-netns", namespace, *arguments.split())

    def command(self, namespace: str, *words: str, told: str = "") -> None:
        """Run a command in a namespace."""
        self._run("netns", "exec", namespace, *words, told=told)

    # Programs.

    def start(self, end: str, *, wait: bool = True) -> Program:
        """Start frps, frpc or guest, and wait until it serves."""
        name = "frps" if end == "frps" else "frpc"
        home = self.client if end == "frpc" else self.server
        env = {**os.environ, "TMPDIR": str(self.temporary)}
        command = (str(BIN / name), "-c", str(self.files[end]))
        program = self._stage.start(end, self._ip, "netns", "exec", home, *command, env=env)
        self.programs[end] = program
        ready = {"frps": (READY,), "frpc": map(started, ("tcp", "udp", "http", "stcp"))}
        for pattern in ready.get(end, ("start visitor success",)) if wait else ():
            program.wait_for(pattern)
        return program

    def logins(self) -> int:
        """Return how often the client has logged in."""
        return self.programs["frpc"].count("login to server success")

    def place_box(self) -> None:
        """Put a box at the client's own BIND_PORT, on the way to the server."""
        self.box = inside(self.client, lambda: MiddleBox(BIND_PORT, (SERVER, BIND_PORT)))
        self.stack.callback(self.box.close)

    # Visitors.

    def visit(self) -> socket.socket:
        """Return a visitor in the middle of a talk."""
        visitor = inside(self.server, lambda: visit(PORTS["tcp"]))
        assert exchange(visitor, b"hello") == b"hello"
        return visitor

    @staticmethod
    def until_over(visitor: socket.socket, seconds: float) -> float:
        """Wait until a visitor hears of the end; return the seconds that took."""
        return wait_until(lambda: is_over(visitor), "the visitor hears of the end", seconds)

    # What is left.

    def rest(self) -> dict[str, Census]:
        """Pause the traffic, wait until all is quiet, count, and go on."""
        self.traffic.pause()
        for program in self.programs.values():
            _until_steady(program)
        found = {end: Census.of(one, self.temporary) for end, one in self.programs.items()}
        self.traffic.resume()
        return found

    def check_leaks(self, first: dict[str, Census], spare: int) -> dict[str, object]:
        """Fail if a program holds more than at the first census; return the differences."""
        figures: dict[str, object] = {}
        last = self.rest()
        for end, before in first.items():
            after = last[end]
            figures[end] = {
                "files": len(after.files) - len(before.files),
                "threads": after.threads - before.threads,
                "kib": (after.memory - before.memory) // 1024,
            }
            told = f"{end}: {figures[end]}\nbefore {before}\nafter {after}"
            assert len(after.files) <= len(before.files) + spare, told
            assert after.threads <= max(before.threads, MAX_THREADS), told
            assert _fixed(after.listens) == _fixed(before.listens), told
            assert after.memory <= before.memory + MAX_GROWTH_BYTES, told
        return figures

    def listens(self, end: str) -> set[str]:
        """Return the fixed places that a program listens at now."""
        program = self.programs[end]
        return _fixed(listening(program.pid, program.open_files()))

    # Configuration.

    def _common(self) -> dict[str, object]:
        return {
            "bind_addr": "0.0.0.0",
            "bind_port": BIND_PORT,
            "token": TOKEN,
            "vhost_http_port": HTTP_PORT,
            "statistics_file": "off",
            "shutdown_drain_seconds": 0,
            "tcp_keepalive": 1,  # without tcp_mux nothing else asks after visitors' connections
            "heartbeat_timeout": HEARTBEATS["heartbeat_timeout"],
            **({f"{self.carrier}_bind_port": UDP_BIND_PORT} if self._has_datagrams() else {}),
            "tcp_mux": CARRIERS[self.carrier].get("tcp_mux", True),
        }

    def _has_datagrams(self) -> bool:
        return self.carrier in ("kcp", "quic")

    def _far(self) -> dict[str, object]:
        return {
            "server_addr": SERVER,
            "server_port": BIND_PORT,
            "token": TOKEN,
            "login_fail_exit": False,
            "dial_server_timeout": 2,
            "shutdown_drain_seconds": 0,
            **HEARTBEATS,
        }

    def _near(self) -> dict[str, object]:
        """Return the settings of the frpc beside the server, which visits."""
        mux = CARRIERS[self.carrier].get("tcp_mux", True)
        return {**self._far(), "server_addr": "127.0.0.1", "tcp_mux": mux}

    def _proxies(self) -> dict[str, dict[str, object]]:
        def local(service: str) -> dict[str, object]:
            return {"local_ip": "127.0.0.1", "local_port": self._local[service]}

        return {
            "tcp": {"type": "tcp", "remote_port": PORTS["tcp"], **local("echo")},
            "udp": {"type": "udp", "remote_port": PORTS["udp"], **local("udp")},
            "http": {"type": "http", "custom_domains": "web.test", **local("web")},
            "stcp": {"type": "stcp", "sk": SK, **local("echo")},
        }

    def _visitor(self) -> dict[str, object]:
        visitor = {"role": "visitor", "type": "stcp", "server_name": "stcp", "sk": SK}
        return {**visitor, "bind_addr": "127.0.0.1", "bind_port": PORTS["stcp"]}

    def _channels(self) -> dict[str, Channel]:
        return {
            "tcp": Talk(PORTS["tcp"]),
            "steady": Talk(PORTS["tcp"], steady=True),
            "stcp": Talk(PORTS["stcp"]),
            "http": Post(HTTP_PORT, "web.test"),
            "udp": Ask(PORTS["udp"]),
        }

    def _run(self, *words: str, told: str = "") -> None:
        done = subprocess.run(
            [self._ip, *words],
            input=told,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, (words, done.stderr)

    def _forget(self, namespace: str) -> None:
        command = [self._ip, "netns", "del", namespace]
        subprocess.run(command, capture_output=True, check=False)


def _fixed(places: frozenset[str]) -> set[str]:
    """Return those that were asked for; sockets of flows are at ports of luck."""
    return {place for place in places if 17_000 <= int(place.partition("/")[2]) < 18_000}


def _until_steady(program: Program, seconds: float = 1.0) -> None:
    """Wait until the number of its open files has been the same for a while."""
    last, since = -1, time.monotonic()

    def steady() -> bool:
        nonlocal last, since
        now = program.descriptors()
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > seconds

    wait_until(steady, f"a steady number of open files of {program.name}")


@contextlib.contextmanager
def wired(
    stage: Stage,
    carrier: str,
    *,
    server: Settings | None = None,
    client: Settings | None = None,
    before: Callable[[Wired], None] | None = None,
) -> Iterator[Wired]:
    """Make a lab, see Wired; wait until all traffic runs; at the end every byte was right."""
    with contextlib.ExitStack() as stack:
        lab = Wired(stage, carrier, stack)
        if before is not None:
            before(lab)
        lab.begin(server or {}, client or {})
        lab.traffic.wait_until_back(SECONDS)
        yield lab
        lab.traffic.check()
