"""One point of a curve each: a fresh tunnel, so many of something, and what that costs."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil

from bench.crowd import Holder
from bench.ground import LOOPBACK, Ground, run
from bench.tunnel.processes import (
    Child,
    MeasurementError,
    free_ports,
    listens,
    pss_kib,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bench.tunnel.implementations import Implementation

Figures = dict[str, float]
"""``seconds`` until all are there, memory of each end, and a round trip beside them."""

READY_SECONDS: Final = 60.0
TRIP_SECONDS: Final = 1.0
_SETTLE_SECONDS: Final = 1.0


class Tunnel:
    """A server, and what its clients shall be told."""

    def __init__(self, ground: Ground, implementation: Implementation, ports: list[int]) -> None:
        self.ground = ground
        self.implementation = implementation
        self.bind, self.echo, sink, *self.entrances = ports
        lines = (line.partition("=") for line in implementation.extra)
        extra = {key.strip(): value.strip() for key, _, value in lines}
        self._common = {"log_level": "warn", **extra}
        own = {"bind_addr": LOOPBACK, "bind_port": self.bind, "proxy_bind_addr": LOOPBACK}
        path = ground.write("frps.ini", {"common": {**own, **self._common}})
        ground.services(self.echo, sink)
        self.frps = ground.start("frps", [*implementation.server, path], self.bind)

    def client_file(self, entrances: list[int]) -> str:
        """Write an ini file of a client with a proxy to the echo on each of the ports."""
        # newer frp turns TLS on by itself; all shall do the same work. A crowd at the door may
        # be sent away, and comes again.
        own = {"server_addr": LOOPBACK, "server_port": self.bind, "tls_enable": False}
        own["login_fail_exit"] = False
        sections: dict[str, Mapping[str, object]] = {"common": {**own, **self._common}}
        for port in entrances:
            sections[f"p{port}"] = {"type": "tcp", "local_port": self.echo, "remote_port": port}
        return self.ground.write("frpc.ini", sections)

    def frpc(self, entrances: list[int]) -> Child:
        """Start a client; return once all its proxies can be reached."""
        path = self.client_file(entrances)
        frpc = self.ground.start("frpc", [*self.implementation.client, path])
        missing = list(entrances)

        def all_listen() -> bool:
            while missing and listens(missing[-1]):
                missing.pop()
            return not missing

        wait_until(all_listen, "all proxies", READY_SECONDS, [self.frps, frpc])
        return frpc

    def trip(self) -> Figures:
        """Return times of 64 bytes and their echo, over and over, through the first entrance."""
        command = [self.ground.load, "rtt", str(self.entrances[0]), "1", "64", str(TRIP_SECONDS)]
        told = json.loads(run(command, TRIP_SECONDS + READY_SECONDS))
        return {"p50_us": told["p50_us"], "p99_us": told["p99_us"]}


def _mib(name: str, child: Child) -> Figures:
    """Return its share of the memory in use, and that part that it shares with nobody.

    The share falls when others run the same program; the own part tells what was added.
    """
    own = psutil.Process(child.process.pid).memory_full_info().uss
    return {f"{name}_mib": pss_kib([child]) / 1024, f"{name}_own_mib": own / (1 << 20)}


def connections(ground: Ground, implementation: Implementation, count: int) -> Figures:
    """So many visitors who have said one thing and stay; one more is active."""
    tunnel = Tunnel(ground, implementation, free_ports(4))
    frpc = tunnel.frpc(tunnel.entrances)
    entrance = str(tunnel.entrances[0])
    holder = Holder(ground, "hold", ground.load, "hold", entrance, str(count))
    holder.wait(lambda said: "held" in said, f"{count} visitors", READY_SECONDS)
    opened = holder.said[-1]
    time.sleep(_SETTLE_SECONDS)
    figures = {"seconds": opened["seconds"], **_mib("frps", tunnel.frps), **_mib("frpc", frpc)}
    figures |= tunnel.trip()
    holder.end()
    holder.wait(lambda said: "alive" in said, "an echo for each", READY_SECONDS)
    alive = holder.said[-1]["alive"]
    if not opened["held"] == alive == count:
        raise MeasurementError(f"of {count} held {opened['held']}, later alive {alive}")
    return figures


def proxies(ground: Ground, implementation: Implementation, count: int) -> Figures:
    """So many tcp proxies of one client, from its start until the last of them listens."""
    tunnel = Tunnel(ground, implementation, free_ports(3 + count))
    began = time.monotonic()
    frpc = tunnel.frpc(tunnel.entrances)
    seconds = time.monotonic() - began
    time.sleep(_SETTLE_SECONDS)
    figures = {"seconds": seconds, **_mib("frps", tunnel.frps), **_mib("frpc", frpc)}
    return {**figures, **tunnel.trip()}


def clients(ground: Ground, implementation: Implementation, count: int) -> Figures:
    """So many clients with a proxy each, all of them frpd's and in one process."""
    tunnel = Tunnel(ground, implementation, free_ports(3 + count))
    path = tunnel.client_file(tunnel.entrances[:1])
    command = (sys.executable, "-m", "bench.clients", path, str(count))
    crowd = Holder(ground, "clients", *command)
    crowd.wait(lambda said: said["running"] == count, f"{count} clients", READY_SECONDS)
    seconds = crowd.said[-1]["at"] - crowd.said[0]["at"]
    time.sleep(_SETTLE_SECONDS)
    return {"seconds": seconds, **_mib("frps", tunnel.frps), **tunnel.trip()}


@dataclass(frozen=True, slots=True)
class Curve:
    """A kind of crowd, how it is measured, and at which sizes."""

    name: str
    measure: Callable[[Ground, Implementation, int], Figures]
    counts: tuple[int, ...]


CURVES: Final = (
    Curve("connections", connections, (1, 10, 100, 1000, 3000, 10_000)),
    Curve("proxies", proxies, (1, 10, 100, 300, 1000)),
    Curve("clients", clients, (1, 10, 50, 100, 250, 500)),
)


def measure(curve: Curve, implementation: Implementation, count: int, folder: Path) -> Figures:
    """Return the figures of one point.

    Raises:
        MeasurementError: it could not be measured.
    """
    with Ground(folder) as ground:
        return curve.measure(ground, implementation, count)
