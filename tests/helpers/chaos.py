"""A world for faults: frps, one frpc with tcp_mux and one without, proxies of all types, traffic.

What a fault has left behind is told by a census of each program at rest.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.helpers.authority import Authority
from tests.helpers.chaos_traffic import Ask, Post, Talk, Traffic, echo_posts
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, Program, wait_until, without_proxies
from tests.helpers.services import Service, echo
from tests.helpers.stage import READY, TOKEN, WRAPPERS, started
from tests.helpers.stun_server import StunServer
from tests.helpers.udp import UdpService

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.helpers.programs import Settings
    from tests.helpers.stage import Stage

    Sections = dict[str, dict[str, object]]

LOCAL = "127.0.0.1"
SK = "chaos sk"
ENDS = ("frps", "mux", "direct")
"""frps, the frpc with tcp_mux, the frpc without it."""
BACK_SECONDS = 60.0
"""Bound for everything to be back, on a busy machine; the figures are in docs/reliability.md."""
HOLE_SECONDS = 90.0
"""An xtcp tunnel whose far end was killed is given up after 30 s of silence; users then go on."""
SPARE_FILES = {"frps": 12, "mux": 2, "direct": 12}
"""Work connections in stock, up to 10, and an xtcp tunnel that is open now and was not before."""
MAX_GROWTH_BYTES = 24 << 20
"""Of one program at rest, from the first fault to the last. One that was killed by the first has
just been started, and loads QUIC with the next tunnel: it grew by 16 MiB."""


@dataclass(frozen=True, slots=True)
class Census:
    """What a program holds at rest.

    Attributes:
        files: what is open, but for pipes, which are kept for reuse.
        threads: how many.
        listens: places that it listens at.
        memory: what is its alone, in bytes; files that it maps are others' too.
        temporary: files in its folder for temporary ones.
    """

    files: tuple[str, ...]
    threads: int
    listens: frozenset[str]
    memory: int
    temporary: int

    @classmethod
    def of(cls, program: Program, temporary: Path) -> Census:
        """Count now."""
        files = tuple(program.open_files())
        return cls(
            files,
            len(os.listdir(f"/proc/{program.pid}/task")),
            listening(program.pid, files),
            own_memory(program.pid),
            len(os.listdir(temporary)),
        )


def own_memory(pid: int) -> int:
    """Return the bytes of a process that no file stands behind."""
    match = re.search(r"(?m)^Anonymous: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text())
    assert match is not None
    return int(match[1]) * 1024


def listening(pid: int, files: Sequence[str]) -> frozenset[str]:
    """Return ``protocol/port`` of each socket among these that waits for anybody."""
    inodes = {link[8:-1] for link in files if link.startswith("socket:[")}
    found = set()
    for protocol, waiting in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for line in Path(f"/proc/{pid}/net/{protocol}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == waiting and words[9] in inodes:
                found.add(f"{protocol[:3]}/{int(words[1].rpartition(':')[2], 16)}")
    return frozenset(found)


class Chaos:
    """The world.

    Args:
        stage: its programs.
        server: more settings for [common] of frps,
        clients: and of both frpc.
        logs: a folder for logs in JSON; by default programs tell their output.
        launch: returns what starts an end, given it and its program; None for the program itself.
    """

    def __init__(
        self,
        stage: Stage,
        *,
        server: Settings | None = None,
        clients: Settings | None = None,
        logs: Path | None = None,
        launch: Callable[[str, str], tuple[str, ...]] | None = None,
    ) -> None:
        self._stage = stage
        self._logs = logs
        self._launch = launch
        self._stack = contextlib.ExitStack()
        self.temporary = {end: stage.folder / f"tmp-{end}" for end in ENDS}
        for folder in self.temporary.values():
            folder.mkdir()
        authority = Authority(stage.folder)
        pair = authority.issue("secure.test", "secure-direct.test")
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(*pair)
        self._trust = ssl.create_default_context(cafile=authority.ca_file)
        self._local_ports = {name: free_port() for name in ("echo", "web", "tls", "udp")}
        self.services: list[Service | UdpService] = []
        self.start_services()
        self._stack.callback(self.stop_services)
        self._stun = self._stack.enter_context(StunServer())
        self.bind_port, self.http_port, self.https_port = (free_port() for _ in range(3))
        self.connect_port, self.dashboard_port = free_port(), free_port()
        self.admin_ports = {end: free_port() for end in ("mux", "direct")}
        self.ports: dict[str, int] = {}
        common = {**self._server(), **self._log("frps"), **(server or {})}
        self.files = {"frps": stage.write({"common": common}, "frps.ini")}
        for end, sections in (("mux", self._owner()), ("direct", self._guest())):
            common = {**self._client(end), **self._log(end), **(clients or {})}
            self.files[end] = stage.write({"common": common, **sections}, f"{end}.ini")
        self._waits = {
            "frps": [READY],
            **{
                end: [started(name) for name in re.findall(r"(?m)^\[([\w-]+)\]\ntype", text)]
                for end, text in ((end, self.files[end].read_text()) for end in ENDS[1:])
            },
        }
        if logs is not None:
            self._waits = {end: [] for end in ENDS}
        self._calm, self._extra_port = self.files["mux"].read_text(), free_port()
        self.programs: dict[str, Program] = {}
        for end in ENDS:
            self.start(end)
            self.wait_for_start(end)
        self.traffic = Traffic(self._channels())
        self._stack.callback(self.traffic.end)

    def close(self) -> None:
        """End the traffic, then the services; the stage ends the programs."""
        self._stack.close()

    # Programs.

    def start(self, end: str) -> Program:
        """Start one that does not run; see wait_for_start."""
        name = "frps" if end == "frps" else "frpc"
        env = {**without_proxies(os.environ), "TMPDIR": str(self.temporary[end])}
        words = (str(BIN / name),) if self._launch is None else self._launch(end, name)
        command = (*words, "-c", str(self.files[end]))
        self.programs[end] = self._stage.start(f"{name} {end}", *command, env=env)
        return self.programs[end]

    def wait_for_start(self, end: str) -> None:
        """Wait until it says that it serves, or that its proxies are up, if it says anything."""
        for pattern in self._waits[end]:
            self.programs[end].wait_for(pattern, BACK_SECONDS)

    def kill(self, *ends: str) -> None:
        """SIGKILL to all of these at once, then start them again."""
        for end in ends:
            self.programs[end].process.kill()
        for end in ends:
            self.programs[end].kill()
        for end in ends:
            self.start(end)

    def signal(self, number: signal.Signals, *ends: str) -> None:
        for end in ends:
            self.programs[end].signal(number)

    def rest(self) -> dict[str, Census]:
        """Pause the traffic, wait until nobody holds more than before, count, and go on."""
        self.traffic.pause()
        for program in self.programs.values():
            _until_steady(program)
        found = {end: Census.of(one, self.temporary[end]) for end, one in self.programs.items()}
        self.traffic.resume()
        self.traffic.wait_until_back(BACK_SECONDS, without=["xtcp"])
        return found

    def check_leaks(self, first: Mapping[str, Census]) -> dict[str, object]:
        """Fail if a program holds more than at the first census; return the differences."""
        self.traffic.pause()
        for end, before in first.items():
            most = len(before.files) + SPARE_FILES[end]
            self.programs[end].wait_for_descriptors(most, HOLE_SECONDS)
        last = {end: Census.of(self.programs[end], self.temporary[end]) for end in first}
        self.traffic.resume()
        figures: dict[str, object] = {}
        for end, before in first.items():
            after = last[end]
            figures[end] = {
                "files": len(after.files) - len(before.files),
                "threads": after.threads - before.threads,
                "kib": (after.memory - before.memory) // 1024,
                "temporary": after.temporary - before.temporary,
            }
            told = f"{end}: {figures[end]}\nbefore {before}\nafter {after}"
            assert after.threads <= max(before.threads, MAX_THREADS), told
            assert _fixed(after.listens) == _fixed(before.listens), told
            assert after.memory <= before.memory + MAX_GROWTH_BYTES, told
            assert after.temporary <= before.temporary, told
        return figures

    def change_file(self, with_extra: bool) -> None:
        """Write the file of the client with tcp_mux anew, with a proxy more or without it."""
        extra = f"\n[extra]\ntype = tcp\nlocal_port = 9\nremote_port = {self._extra_port}\n"
        path = self.files["mux"]
        beside = path.with_suffix(".new")
        beside.write_text(self._calm + (extra if with_extra else ""))
        beside.replace(path)

    # Local services.

    def start_services(self) -> None:
        """Start all local services, at the ports that they have always had."""
        ports = self._local_ports
        self.services = [
            Service(echo, ports["echo"]),
            Service(echo_posts, ports["web"]),
            Service(self._echo_tls, ports["tls"]),
            UdpService(port=ports["udp"]),
        ]

    def stop_services(self) -> None:
        """Cut whoever they serve, and free their ports."""
        for service in self.services:
            service.close()
        self.services.clear()

    async def _echo_tls(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.start_tls(self._tls)
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()

    # Configuration.

    def log_of(self, end: str) -> Path:
        """Return the path of a log in the folder for logs."""
        assert self._logs is not None
        return self._logs / f"{end}.log"

    def _log(self, end: str) -> dict[str, object]:
        if self._logs is None:
            return {}
        return {"log_file": self.log_of(end), "log_format": "json", "log_level": "debug"}

    def _server(self) -> dict[str, object]:
        return {
            "bind_addr": LOCAL,
            "bind_port": self.bind_port,
            "token": TOKEN,
            "vhost_http_port": self.http_port,
            "vhost_https_port": self.https_port,
            "tcpmux_httpconnect_port": self.connect_port,
            "dashboard_addr": LOCAL,
            "dashboard_port": self.dashboard_port,
            "dashboard_user": "admin",
            "dashboard_pwd": "admin",
            "statistics_file": "off",
            "shutdown_drain_seconds": 1,
        }

    def _client(self, end: str) -> dict[str, object]:
        return {
            "server_addr": LOCAL,
            "server_port": self.bind_port,
            "token": TOKEN,
            "tcp_mux": end == "mux",
            "login_fail_exit": False,
            "nat_hole_stun_server": self._stun.where,
            "admin_addr": LOCAL,
            "admin_port": self.admin_ports[end],
            "shutdown_drain_seconds": 1,
        }

    def _owner(self) -> Sections:
        """Return what the client with tcp_mux has: all types, and all that is secret."""
        secret = {"sk": SK, **self._local("echo")}
        return {
            **self._open(""),
            "connect": {
                "type": "tcpmux",
                "multiplexer": "httpconnect",
                "custom_domains": "connect.test",
                **self._local("echo"),
            },
            "stcp": {"type": "stcp", **secret},
            "sudp": {"type": "sudp", "sk": SK, **self._local("udp")},
            "xtcp": {"type": "xtcp", **secret},
        }

    def _guest(self) -> Sections:
        """Return what the client without tcp_mux has: some proxies, and all visitors."""
        visitors: Sections = {}
        for kind in ("stcp", "sudp", "xtcp"):
            self.ports[kind] = free_port()
            visitors[f"{kind}_v"] = {
                "role": "visitor",
                "type": kind,
                "server_name": kind,
                "sk": SK,
                "bind_addr": LOCAL,
                "bind_port": self.ports[kind],
            }
        visitors["xtcp_v"] |= {"fallback_to": "stcp_v", "fallback_timeout_ms": 500}
        return {**self._open("-direct"), **visitors}

    def _open(self, tail: str) -> Sections:
        """Return proxies that anybody may visit."""
        found: Sections = {}
        for kind, local, more in (
            ("tcp", "echo", {}),
            ("both", "echo", WRAPPERS["both"]),
            ("udp", "udp", {}),
        ):
            name = f"{kind}{tail}"
            self.ports[name] = free_port()
            found[name] = {
                "type": "udp" if kind == "udp" else "tcp",
                "remote_port": self.ports[name],
                **self._local(local),
                **more,
            }
        for kind, local, domain in (("http", "web", "web"), ("https", "tls", "secure")):
            found[f"{kind}{tail}"] = {
                "type": kind,
                "custom_domains": f"{domain}{tail}.test",
                **self._local(local),
            }
        return found

    def _local(self, service: str) -> dict[str, object]:
        return {"local_ip": LOCAL, "local_port": self._local_ports[service]}

    def _channels(self) -> dict[str, Talk | Post | Ask]:
        ports = self.ports
        found: dict[str, Talk | Post | Ask] = {
            "connect": Talk(self.connect_port, connect="connect.test"),
            "stcp": Talk(ports["stcp"]),
            "xtcp": Talk(ports["xtcp"]),
            "sudp": Ask(ports["sudp"]),
            "steady-stcp": Talk(ports["stcp"], steady=True),
        }
        for tail in ("", "-direct"):
            found |= {
                f"tcp{tail}": Talk(ports[f"tcp{tail}"]),
                f"both{tail}": Talk(ports[f"both{tail}"]),
                f"steady{tail}": Talk(ports[f"tcp{tail}"], steady=True),
                f"udp{tail}": Ask(ports[f"udp{tail}"]),
                f"http{tail}": Post(self.http_port, f"web{tail}.test"),
                f"https{tail}": Talk(self.https_port, tls=(f"secure{tail}.test", self._trust)),
            }
        return found


MAX_THREADS = 10
"""The loop's, four workers, and five that serve admin requests: no fault may need more."""


def _fixed(places: frozenset[str]) -> set[str]:
    """Return those that were asked for; sockets of flows and of holes are at ports of luck."""
    return {place for place in places if 10_000 <= int(place.partition("/")[2]) < 32_000}


def _until_steady(program: Program, seconds: float = 0.5) -> None:
    """Wait until the number of its open files has been the same for a while."""
    quiet = threading.Event()
    counts: list[int] = []

    def steady() -> bool:
        counts.append(program.descriptors())
        quiet.wait(seconds / 5)
        return len(counts) > 5 and len(set(counts[-6:])) == 1

    wait_until(steady, f"a steady number of open files of {program.name}")


@contextlib.contextmanager
def chaos(stage: Stage, **options: Any) -> Iterator[Chaos]:
    """Make a world, see Chaos; wait until all traffic runs, and end it."""
    world = Chaos(stage, **options)
    try:
        world.traffic.wait_until_back(BACK_SECONDS)
        yield world
        world.traffic.check()
    finally:
        world.close()
