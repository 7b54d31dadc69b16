"""What strangers at the door cost a visitor who is there already: python -m bench.floods.

    python -m bench.floods [--kinds nothing,tls] [--rounds 5] [--seconds 4] [--sources 8]

frps and frpc with their defaults on loopback, and one visitor that sends 64 B and waits for
the echo, over and over. Slices without and with a flood follow one another (A B A B). In a
flood 1,000 connections stand at the clients' port without a login, and whoever is sent away
comes again at once. Beside it new visitors come, twenty a second. The lag is how late a timer
of frps' loop is that fires every 5 ms.

Ends with 1 if a flood more than doubles the visitor's p99 (median of the rounds), or if the
99th percentile of the lag is not below 10 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.ground import LOOPBACK, Ground
from bench.lag import Lags, percentile, read_lags
from bench.tunnel.processes import (
    Child,
    MeasurementError,
    cpu_seconds,
    free_ports,
    leashed,
)

KINDS: Final = ("nothing", "byte", "trickle", "yamux", "tls")
MOST_RATIO: Final = 2.0
MOST_LAG_SECONDS: Final = 0.010
PROBE_SECONDS: Final = 0.05
PATIENCE_SECONDS: Final = 10.0
SETTLE_SECONDS: Final = 0.5
_SOURCE: Final = Path(__file__).with_name("flood.c")


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of time with a flood, or without."""

    begun: float
    ended: float
    p50_us: float
    p99_us: float
    cpu: float
    """Of frps, as a share of one core."""
    flood: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one kind of flood has done."""

    kind: str
    ratio: float
    lag_p99: float

    @property
    def broken(self) -> str:
        """Say which bound was broken; nothing if none was."""
        if self.ratio > MOST_RATIO:
            return f"{self.kind}: p99 is {self.ratio:.2f} times that of the quiet"
        if self.lag_p99 >= MOST_LAG_SECONDS:
            return f"{self.kind}: the loop's lag p99 is {self.lag_p99 * 1e3:.1f} ms"
        return ""


class Probe(threading.Thread):
    """New visitors, one after the other: connect, 64 bytes and their echo, close."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self.over = threading.Event()
        self.took: Lags = []
        self.failed: list[float] = []

    def run(self) -> None:
        """Visit until it is over."""
        while not self.over.wait(PROBE_SECONDS):
            begun = time.monotonic()
            try:
                self._visit()
            except OSError:
                self.failed.append(begun)
            else:
                self.took.append((begun, time.monotonic() - begun))

    def _visit(self) -> None:
        with socket.create_connection((LOOPBACK, self._port), PATIENCE_SECONDS) as sock:
            sock.sendall(bytes(64))
            if len(sock.recv(64, socket.MSG_WAITALL)) != 64:
                raise ConnectionError("cut")


class Visitor:
    """The visitor who is there already."""

    def __init__(self, load: str, port: int) -> None:
        self._child = subprocess.Popen(
            leashed([load, "visit", str(port), "64"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self, seconds: float) -> dict[str, float]:
        """Return its figures for so many seconds."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(f"{seconds}\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise MeasurementError("the visitor was cut")
        figures: dict[str, float] = json.loads(line)
        if figures["errors"]:
            raise MeasurementError("the visitor was cut")
        return figures

    def close(self) -> None:
        """Let it go."""
        self._child.kill()
        self._child.communicate()


@dataclass(frozen=True, slots=True)
class Scene:
    """What runs."""

    folder: Path
    port: int
    frps: Child
    visitor: Visitor
    flood: str


def settings(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Return what the options ask of frps."""
    asked: dict[str, object] = {}
    if options.penalties:
        asked["per_source_penalty_exempt_list"] = ""
    if options.rsa:
        key, certificate = str(folder / "key"), str(folder / "certificate")
        command = ["openssl", "req", "-x509", "-newkey", f"rsa:{options.rsa}", "-nodes"]
        command += ["-subj", "/CN=bench", "-days", "2", "-keyout", key, "-out", certificate]
        subprocess.run(command, check=True, capture_output=True)
        asked |= {"tls_cert_file": certificate, "tls_key_file": key}
    return asked


@contextlib.contextmanager
def scene(options: argparse.Namespace, folder: Path) -> Iterator[tuple[Scene, Probe]]:
    """Have both ends run, with the service, the visitor and the probe."""
    bind, entrance, echo, sink = free_ports(4)
    server = {"bind_addr": LOOPBACK, "bind_port": bind, "proxy_bind_addr": LOOPBACK}
    client = {"server_addr": LOOPBACK, "server_port": bind}
    proxy = {"type": "tcp", "local_port": echo, "remote_port": entrance}
    flood = build_flood(folder)
    with Ground(folder) as ground:
        ground.services(echo, sink)
        path = ground.write("frps.ini", {"common": server | settings(options, folder)})
        frps = ground.frps("frps", path, bind)
        path = ground.write("frpc.ini", {"common": client, "echo": proxy})
        ground.frpc("frpc", path, entrance)
        visitor, probe = Visitor(ground.load, entrance), Probe(entrance)
        ground.callback(visitor.close)
        probe.start()
        yield Scene(folder, bind, frps, visitor, flood), probe
        probe.over.set()
        probe.join()


def build_flood(folder: Path) -> str:
    """Compile flood.c into ``folder``; return the program's path."""
    program = str(folder / "flood")
    command = ["cc", "-O2", "-o", program, str(_SOURCE), "-lssl", "-lcrypto"]
    if shutil.which("cc") is None:
        raise MeasurementError("not installed: cc; on Debian: apt-get install gcc libssl-dev")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise MeasurementError(f"flood.c does not compile (libssl-dev?): {done.stderr.strip()}")
    return program


@contextlib.contextmanager
def flooding(options: argparse.Namespace, scene: Scene, kind: str) -> Iterator[dict[str, float]]:
    """Have strangers at the door; what they report at the end is in the dict."""
    figures: dict[str, float] = {}
    count, sources = str(options.strangers), str(options.sources)
    environment = dict(os.environ)
    if options.penalties:
        environment["FLOOD_SOURCE"] = "127.0.0.2"
    with subprocess.Popen(
        leashed([scene.flood, kind, str(scene.port), count, sources]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as child:
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            time.sleep(SETTLE_SECONDS)
            yield figures
            child.stdin.close()
            line = child.stdout.readline()
            figures.update(json.loads(child.stdout.readline() if line == "up\n" else line))
        finally:
            child.kill()


def one_slice(options: argparse.Namespace, scene: Scene) -> Slice:
    """Measure for a while."""
    begun, before = time.monotonic(), cpu_seconds([scene.frps])
    figures = scene.visitor.measure(options.seconds)
    ended = time.monotonic()
    cpu = (cpu_seconds([scene.frps]) - before) / (ended - begun)
    return Slice(begun, ended, figures["p50_us"], figures["p99_us"], cpu)


def measure(
    options: argparse.Namespace, scene: Scene, kind: str
) -> tuple[list[Slice], list[Slice]]:
    """Return the quiet slices and the flooded ones."""
    quiet, flooded = [], []
    for _ in range(options.rounds):
        quiet.append(one_slice(options, scene))
        with flooding(options, scene, kind) as figures:
            found = one_slice(options, scene)
        found.flood.update(figures)
        flooded.append(found)
        time.sleep(SETTLE_SECONDS)
    return quiet, flooded


def within(slices: list[Slice], values: Lags) -> list[float]:
    """Return the values of these times."""
    return [value for when, value in values if any(s.begun <= when < s.ended for s in slices)]


HEAD: Final = (
    "| flood | p50 quiet, flooded | p99 quiet, flooded | ratio of p99 (rounds)"
    " | new visitor p99 quiet, flooded | lag p99 quiet, flooded (worst)"
    " | frps CPU quiet, flooded | standing, coming again | strangers' CPU |"
)


def row(
    kind: str, quiet: list[Slice], flooded: list[Slice], lags: Lags, probe: Probe
) -> tuple[str, Verdict]:
    """Return one line of the report, and what it means."""

    def pair(name: str) -> list[float]:
        return [statistics.median(getattr(s, name) for s in part) for part in both]

    def p99(values: Lags) -> list[float]:
        return [percentile(within(part, values) or [0.0], 0.99) for part in both]

    both = (quiet, flooded)
    p50s, p99s, cpus = pair("p50_us"), pair("p99_us"), pair("cpu")
    news, late = p99(probe.took), p99(lags)
    ratios = [f.p99_us / q.p99_us for q, f in zip(quiet, flooded, strict=True)]
    ratio = p99s[1] / p99s[0]
    worst = max(within(flooded, lags) or [0.0])
    reports = [s.flood for s in flooded]
    again = statistics.median(one["dialled"] / one["seconds"] for one in reports)
    effort = statistics.median(one["cpu_s"] / one["seconds"] for one in reports)
    failed = sum(any(s.begun <= when < s.ended for s in flooded) for when in probe.failed)
    text = (
        f"| {kind} | {p50s[0]:,.0f}, {p50s[1]:,.0f} us | {p99s[0]:,.0f}, {p99s[1]:,.0f} us"
        f" | {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        f" | {news[0] * 1e3:.1f}, {news[1] * 1e3:.1f} ms{f', {failed} failed' if failed else ''}"
        f" | {late[0] * 1e3:.1f}, {late[1] * 1e3:.1f} ms ({worst * 1e3:.1f})"
        f" | {cpus[0]:.0%}, {cpus[1]:.0%}"
        f" | {statistics.median(one['standing'] for one in reports):,.0f}, {again:,.0f}/s"
        f" | {effort:.0%} |"
    )
    return text, Verdict(kind, ratio, late[1])


def main() -> int:
    """Measure, report, judge."""
    line = argparse.ArgumentParser(
        prog="python -m bench.floods",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    line.add_argument("--kinds", default=",".join(KINDS))
    line.add_argument("--rounds", type=int, default=5)
    line.add_argument("--seconds", type=float, default=4.0)
    line.add_argument("--strangers", type=int, default=1000)
    line.add_argument("--sources", type=int, default=1, help="how many addresses they come from")
    line.add_argument("--penalties", action="store_true", help="no address is exempt from them")
    line.add_argument("--rsa", type=int, metavar="BITS", help="serve a certificate of RSA")
    line.add_argument("--keep", help="a folder for logs")
    options = line.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(options.keep or stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            return report(options, folder)
        except MeasurementError as error:
            print(f"cannot be measured: {error}", file=sys.stderr)
            return 2


def report(options: argparse.Namespace, folder: Path) -> int:
    """Measure each kind, print a table; return the exit status."""
    found: dict[str, Any] = {}
    with scene(options, folder) as (stage, probe):
        for kind in options.kinds.split(","):
            found[kind] = measure(options, stage, kind)
    lags = read_lags(folder / "frps.lags")
    print(f"{HEAD}\n|{'---|' * HEAD.count(' | ')}---|")
    broken = []
    for kind, (quiet, flooded) in found.items():
        text, verdict = row(kind, quiet, flooded, lags, probe)
        print(text)
        broken.append(verdict.broken)
    print("load average:", *(f"{load:.1f}" for load in os.getloadavg()))
    for words in filter(None, broken):
        print(f"broken: {words}")
    return int(any(broken))


if __name__ == "__main__":
    sys.exit(main())
