"""One measurement each: put a load on a running tunnel, return figures.

CPU seconds and memory are those of the tunnel's two ends alone, with all their processes.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.tunnel.processes import MeasurementError, cpu_seconds, leashed, pss_kib
from bench.tunnel.settings import HOST

if TYPE_CHECKING:
    from bench.tunnel.backends import Tools
    from bench.tunnel.implementations import Tunnel

Figures = dict[str, float]
"""Figure name -> value; bench.tunnel.report.FIGURES says what the names mean."""

GRACE_SECONDS: Final = 30.0
"""Beyond its own length, a load gets so long to connect and to finish."""
_SETTLE_SECONDS: Final = 1.0
_MICROSECONDS: Final = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}


@dataclass(frozen=True, slots=True)
class Turn:
    """One implementation's turn at one scenario."""

    tunnel: Tunnel
    tools: Tools
    seconds: float


def output_of(command: list[str], seconds: float) -> str:
    """Run a load program; return its standard output.

    Raises:
        MeasurementError: it failed, or took far longer than ``seconds``.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            leashed(command),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=seconds + GRACE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"{name} was not done {GRACE_SECONDS:g} s after its time") from None
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip())[-300:]
        raise MeasurementError(f"{name} failed: {words}")
    return done.stdout


def start(turn: Turn) -> Figures:
    """Measure how long the tunnel took to come up, and what it weighs then."""
    return {
        "ready_s": turn.tunnel.ready_seconds,
        "server_ready_s": turn.tunnel.server_ready_seconds,
        "cpu_s": cpu_seconds(turn.tunnel.ends),
        "base_mib": pss_kib(turn.tunnel.ends) / 1024,
    }


def iperf(turn: Turn, *options: str) -> Figures:
    """Bulk through iperf3; up (visitor to service) without ``-R``."""
    ends, port = turn.tunnel.ends, turn.tunnel.ports.entrance
    before = cpu_seconds(ends)
    command = [turn.tools["iperf3"], "-c", "127.0.0.1", "-p", str(port), "-J"]
    command += ["-t", str(max(1, round(turn.seconds))), *options]
    figures = parse_iperf(output_of(command, turn.seconds))
    return _per_gb(figures, cpu_seconds(ends) - before)


def parse_iperf(text: str) -> Figures:
    """Return what arrived, from iperf3's JSON."""
    answer: dict[str, Any] = json.loads(text)
    if "error" in answer:
        raise MeasurementError(f"iperf3: {answer['error']}")
    total = answer["end"]["sum_received"]
    return {"gbit_s": total["bits_per_second"] / 1e9, "bytes": total["bytes"]}


def pour(turn: Turn, payload: str) -> Figures:
    """Bulk of ``payload`` (text or random bytes) to the sink; every byte has to arrive."""
    ends = turn.tunnel.ends
    before = cpu_seconds(ends)
    figures = _load(turn, "pour", 1, turn.seconds, payload)
    return _per_gb(figures, cpu_seconds(ends) - before)


def round_trips(turn: Turn, connections: int) -> Figures:
    """64 bytes and their echo, over and over, on so many connections."""
    return _with_cpu_per_op(turn, "rtt", connections, 64, turn.seconds)


def new_connections(turn: Turn) -> Figures:
    """Connect, 64 bytes and their echo, close; 32 at once."""
    return _with_cpu_per_op(turn, "cps", 32, 64, turn.seconds)


def datagrams(turn: Turn) -> Figures:
    """512-byte datagrams and their echoes: 8 visitors with 16 under way each."""
    return _with_cpu_per_op(turn, "udp", 8, 512, turn.seconds, 16)


def idle(turn: Turn, connections: int) -> Figures:
    """Measure the memory of ``connections`` idle ones that carried one message each."""
    ends, port = turn.tunnel.ends, turn.tunnel.ports.entrance
    before = pss_kib(ends)
    holder = subprocess.Popen(
        leashed([turn.tools.load, "hold", str(port), str(connections)]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        try:
            if holder.stdin is None or holder.stdout is None:
                raise AssertionError("pipes were asked for")
            opened = json.loads(holder.stdout.readline() or '{"held": 0}')
            time.sleep(_SETTLE_SECONDS)
            after = pss_kib(ends)
            holder.stdin.close()
            alive = json.loads(holder.stdout.readline() or '{"alive": 0}')["alive"]
        finally:
            holder.kill()
    if not opened["held"] == alive == connections:
        raise MeasurementError(f"of {connections} held {opened['held']}, later alive {alive}")
    return {
        "kib_per_connection": (after - before) / connections,
        "base_mib": before / 1024,
        "opened_per_s": connections / opened["seconds"],
    }


def http(turn: Turn, connections: int, *, vhost: bool, close: bool = False) -> Figures:
    """GETs by wrk, through the virtual host or through a plain tcp proxy."""
    ends, ports = turn.tunnel.ends, turn.tunnel.ports
    port = ports.vhost if vhost else ports.entrance
    seconds = max(1, round(turn.seconds))
    command = [turn.tools["wrk"], "-t1", f"-c{connections}", f"-d{seconds}", "--latency"]
    command += ["-H", f"Host: {HOST}"] + (["-H", "Connection: close"] if close else [])
    before = cpu_seconds(ends)
    figures = parse_wrk(output_of([*command, f"http://127.0.0.1:{port}/"], seconds))
    return _per_op(figures, cpu_seconds(ends) - before)


def parse_wrk(text: str) -> Figures:
    """Return rate and 99th percentile from wrk's report.

    Raises:
        MeasurementError: there is no rate in it, or answers were not 2xx or 3xx.
    """
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    count = re.search(r"(\d+) requests in", text)
    if rate is None or count is None or not int(count[1]):
        raise MeasurementError(f"wrk had no answers: {text[-200:]}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if bad is not None:
        raise MeasurementError(f"wrk had {bad[1]} of {count[1]} answers that are no success")
    figures = {"per_s": float(rate[1]), "count": float(count[1])}
    for percent in (50, 99):
        found = re.search(rf"\b{percent}%\s+([\d.]+)(us|ms|s|m)\b", text)
        if found is not None:
            figures[f"p{percent}_us"] = float(found[1]) * _MICROSECONDS[found[2]]
    errors = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    figures["errors"] = float(sum(map(int, errors.groups()))) if errors is not None else 0.0
    return figures


def _load(turn: Turn, kind: str, *arguments: float | str) -> Figures:
    port = turn.tunnel.ports.entrance
    command = [turn.tools.load, kind, str(port), *map(str, arguments)]
    figures: Figures = json.loads(output_of(command, turn.seconds))
    return figures


def _with_cpu_per_op(turn: Turn, kind: str, *arguments: float | str) -> Figures:
    before = cpu_seconds(turn.tunnel.ends)
    figures = _load(turn, kind, *arguments)
    return _per_op(figures, cpu_seconds(turn.tunnel.ends) - before)


def _per_op(figures: Figures, cpu: float) -> Figures:
    count = figures.pop("count")
    return {**figures, "cpu_us_per_op": cpu / max(count, 1) * 1e6}


def _per_gb(figures: Figures, cpu: float) -> Figures:
    size = figures.pop("bytes")
    return {**figures, "cpu_s_per_gb": cpu / max(size, 1) * 1e9}
