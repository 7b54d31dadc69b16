"""The programs of a soak: what runs for all of its time, and what is killed and comes again.

frps "long" and two frpc, with and without tcp_mux, live from the beginning to the end: their
figures have slopes. A third frpc of it is killed again and again. frps "short" is restarted
every few minutes, and the frpc "patient", which lives on as well, finds back to it.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.ground import LOOPBACK, Ground, dashboard
from bench.soak.visits import (
    Place,
    Visit,
    bulk,
    datagrams,
    echo,
    half_close,
    http,
    https,
    idle,
    reset,
)
from bench.tunnel.processes import Child, free_ports

HOSTS: Final = {"http": "web.soak.test", "https": "safe.soak.test"}
SIDES: Final = 3
"""Proxies beside the others that reloads add, change and remove."""
NAMES: Final = (
    *("long", "short", "admin", "vhost_http", "vhost_https", "echo", "sink", "web", "safe"),
    *("mux", "nomux", "both", "limited", "udp", "stcp", "restless", "patient"),
    *(f"side{number}" for number in range(2 * SIDES)),
)


class World:
    """All programs of a soak. The programs' ends raise MeasurementError where they are seen."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.port = dict(zip(NAMES, free_ports(len(NAMES)), strict=True))
        port = self.port
        ground.services(port["echo"], port["sink"])
        ground.python("web", "bench.soak.services", str(port["web"]), str(port["safe"]))
        server: dict[str, object] = {
            "bind_addr": LOOPBACK,
            "proxy_bind_addr": LOOPBACK,
            "bind_port": port["long"],
        }
        server |= _BOTH
        server |= {"vhost_http_port": port["vhost_http"], "vhost_https_port": port["vhost_https"]}
        self._long: dict[str, object] = server | dashboard(port["admin"])
        path = ground.write("long.ini", {"common": self._long})
        ground.write("short.ini", {"common": server | {"bind_port": port["short"]} | _NO_VHOSTS})
        self.lasting = {"frps": ground.python("frps", *_FRPS, path, port=port["long"])}
        self._short = self._start_short()
        for name in ("mux", "nomux", "patient"):
            self._write(name, 0)
            self.lasting[name] = ground.frpc(name, self._path(name), port[name])
        self._write("restless", 0)
        self._restless = self._start_restless()

    def _start_short(self) -> Child:
        return self._start("short", "frpd.cli.frps")

    def _start_restless(self) -> Child:
        return self._start("restless", "frpd.cli.frpc")

    def _start(self, name: str, module: str) -> Child:
        """Start one that has to be ended by us: there will be thousands of them."""
        command = [sys.executable, "-m", module, "-c", self._path(name)]
        return Child(command, self._ground.folder / f"{name}.log")

    def close(self) -> None:
        """End those."""
        self._short.stop()
        self._restless.stop()

    def _path(self, name: str) -> str:
        return str(self._ground.folder / f"{name}.ini")

    def _write(self, name: str, version: int) -> None:
        """Write the file of a frpc; versions differ in proxies that nothing else needs."""
        server = "short" if name == "patient" else "long"
        common = {"server_addr": LOOPBACK, "server_port": self.port[server]}
        common |= {"tcp_mux": name != "nomux", "login_fail_exit": False, **_BOTH}
        own: dict[str, dict[str, object]] = {name: self._tcp(name)}
        if name == "mux":
            own |= self._many() | self._sides(version)
        if name == "nomux":
            own["secret"] = {"type": "stcp", "sk": "soak", "local_port": self.port["echo"]}
        self._ground.write(f"{name}.ini", {"common": common, **own})

    def _tcp(self, name: str, **more: object) -> dict[str, object]:
        ports = {"local_port": self.port["echo"], "remote_port": self.port[name]}
        return {"type": "tcp", **ports, **more}

    def _many(self) -> dict[str, dict[str, object]]:
        visitor = {"type": "stcp", "role": "visitor", "sk": "soak", "server_name": "secret"}
        where = {"bind_addr": LOOPBACK, "bind_port": self.port["stcp"]}
        return {
            "both": self._tcp("both", use_encryption=True, use_compression=True),
            "limited": self._tcp("limited", bandwidth_limit="2MB"),
            "udp": self._tcp("udp") | {"type": "udp"},
            "http": _site("http", self.port["web"]),
            "https": _site("https", self.port["safe"]),
            "secret_visitor": {**visitor, **where},
        }

    def _sides(self, version: int) -> dict[str, dict[str, object]]:
        """Return others of each version; what has the same name has another setting."""
        return {
            f"side{number}": self._tcp(
                f"side{number + SIDES * (version % 2)}", use_compression=bool(version % 3)
            )
            for number in range(1 + version % SIDES)
        }

    def side(self, version: int) -> Place:
        """Return where a proxy of this version is visited that others have not."""
        return Place(self.port[f"side{SIDES * (version % 2)}"])

    def visits(self) -> list[tuple[str, Visit, Place]]:
        """Return everything that should be possible all the time."""
        port = self.port
        found: list[tuple[str, Visit, Place]] = [
            (f"{name} {visit.__name__}", visit, Place(port[name]))
            for name in ("mux", "nomux")
            for visit in (echo, bulk, half_close, reset, idle)
        ]
        found += [
            ("both bulk", bulk, Place(port["both"])),
            ("both echo", echo, Place(port["both"])),
        ]
        found += [("stcp echo", echo, Place(port["stcp"])), ("udp", datagrams, Place(port["udp"]))]
        found += [("stcp bulk", bulk, Place(port["stcp"]))]
        found += [("limited", half_close, Place(port["limited"]))]
        found += [("http", http, Place(port["vhost_http"], HOSTS["http"]))] * 2
        found += [("https", https, Place(port["vhost_https"], HOSTS["https"]))]
        return found

    def come_and_go(self) -> dict[str, tuple[str, Visit, Place]]:
        """Return what is possible only while nobody restarts it."""
        return {
            "restless": ("restless echo", echo, Place(self.port["restless"])),
            "patient": ("patient bulk", bulk, Place(self.port["patient"])),
        }

    def reload(self, version: int) -> None:
        """Have the long-living ones read other files."""
        self._write("mux", version)
        settings = {**self._long, "max_pending_per_source": 200 + version % 50}
        self._ground.write("long.ini", {"common": settings})
        for name in ("mux", "frps"):
            self.lasting[name].process.send_signal(signal.SIGHUP)

    def kill_restless(self) -> None:
        """Kill that frpc, and start another."""
        _end(self._restless, signal.SIGKILL)
        self._restless = self._start_restless()

    def restart_short(self, *, politely: bool) -> None:
        """Restart that frps."""
        _end(self._short, signal.SIGTERM if politely else signal.SIGKILL)
        time.sleep(1.0)
        self._short = self._start_short()

    def check(self) -> None:
        """Raise MeasurementError if one of those is gone that should live on."""
        for child in self.lasting.values():
            child.check()


_FRPS: Final = ("frpd.cli.frps", "-c")
_BOTH: Final[dict[str, object]] = {"log_level": "warn", "udp_session_timeout": 10}
"""Shorter than usual, so that the end of all traffic is soon seen in the number of files."""
_NO_VHOSTS: Final[dict[str, object]] = {"vhost_http_port": 0, "vhost_https_port": 0}


def _site(kind: str, local_port: int) -> dict[str, object]:
    return {"type": kind, "local_port": local_port, "custom_domains": HOSTS[kind]}


def _end(child: Child, number: signal.Signals) -> None:
    child.process.send_signal(number)
    child.process.wait(30)


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    """Have them all run."""
    with Ground(folder) as ground:
        made = World(ground)
        ground.callback(made.close)
        yield made
