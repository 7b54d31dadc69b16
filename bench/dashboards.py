"""What open dashboards cost a server: throughput, lag of its loop, and how soon they are answered.

    python -m bench.dashboards [--proxies 500] [--connections 2000] [--rounds 5] [--seconds 6]

frps and frpc run on loopback with that many proxies and idle visitors while one bulk stream
passes. Slices without and with three dashboards follow one another (A B A B); each dashboard
asks every two seconds for what the pages ask. The lag is how late a timer of frps' loop is
that fires every 5 ms.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import itertools
import multiprocessing
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, Final

from bench.lag import Lags, percentile, read_lags

LOOPBACK: Final = "127.0.0.1"
DASHBOARDS: Final = 3
POLL_SECONDS: Final = 2.0
BLOCK: Final = bytes(1 << 16)
LOGIN: Final = "Basic " + base64.b64encode(b"ops:bench-password").decode()
PATHS: Final = (
    "/api/frpd/overview",
    "/api/frpd/proxies",
    "/api/clients",
    "/api/conns?limit=200&tcp=1",
)
"""Of each poll: more than any one page asks."""
OTHERS: Final = (
    "/api/serverinfo",
    "/api/proxy/tcp",
    "/api/frpd/config",
    "/api/frpd/logs?limit=500",
    "/metrics",
)
Figures = dict[str, list[float]]


def serve_sink(listener: socket.socket, count: Synchronized[int]) -> None:
    """Swallow what comes, and count it. A process of its own."""

    def swallow(sock: socket.socket) -> None:
        buffer = bytearray(1 << 20)
        while got := sock.recv_into(buffer):
            count.value += got

    while True:
        sock, _ = listener.accept()
        threading.Thread(target=swallow, args=(sock,), daemon=True).start()


def serve_idle(listener: socket.socket) -> None:
    """Hold connections. A process of its own."""
    held = []
    while True:
        held.append(listener.accept())


def pour(port: int) -> None:
    """Send for ever. A process of its own."""
    with socket.create_connection((LOOPBACK, port)) as sock:
        while True:
            sock.sendall(BLOCK)


class Dashboard(threading.Thread):
    """Asks as a browser does: on one connection, with ETags, packed."""

    def __init__(self, port: int, took: Figures) -> None:
        super().__init__(daemon=True)
        self._line = HTTPConnection(LOOPBACK, port, timeout=30)
        self._tags: dict[str, str] = {}
        self._took = took
        self.over = threading.Event()

    def run(self) -> None:
        """Poll until it is over."""
        while not self.over.is_set():
            for path in PATHS:
                self.ask(path)
            self.over.wait(POLL_SECONDS)

    def ask(self, path: str) -> None:
        """Ask once, and note how long it took."""
        headers = {"Authorization": LOGIN, "Accept-Encoding": "gzip"}
        headers["If-None-Match"] = self._tags.get(path, "")
        begun = time.monotonic()
        self._line.request("GET", path, headers=headers)
        answer = self._line.getresponse()
        answer.read()
        if answer.status not in (200, 304):
            raise SystemExit(f"{path}: {answer.status}")
        self._took.setdefault(path, []).append(time.monotonic() - begun)
        self._tags[path] = answer.getheader("ETag", "")


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(count)]
        return [int(sock.getsockname()[1]) for sock in socks]


def wait_for(port: int, seconds: float = 60.0) -> None:
    """Wait until somebody listens."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port)):
            return
        time.sleep(0.05)
    raise SystemExit(f"nobody listens on {port}")


@contextlib.contextmanager
def program(command: list[str], folder: Path) -> Iterator[None]:
    """Have a program run."""
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as child,
    ):
        try:
            yield
        finally:
            child.send_signal(signal.SIGTERM)


@contextlib.contextmanager
def process(target: Any, *args: Any) -> Iterator[None]:
    """Have a function run beside."""
    child = multiprocessing.get_context("fork").Process(target=target, args=args, daemon=True)
    child.start()
    try:
        yield
    finally:
        child.kill()
        child.join()


def write_files(folder: Path, bind: int, admin: int, proxies: dict[int, int]) -> None:
    """Write both ini files; ``proxies`` are remote and local ports."""
    common = f"[common]\ntoken = bench-token-of-no-use\nlog_level = warn\nserver_port = {bind}\n"
    (folder / "frps.ini").write_text(
        f"[common]\nbind_addr = {LOOPBACK}\nbind_port = {bind}\ndashboard_port = {admin}\n"
        "dashboard_user = ops\ndashboard_pwd = bench-password\nenable_prometheus = true\n"
        f"token = bench-token-of-no-use\nlog_level = warn\ncontrol_socket = off\n"
    )
    sections = "".join(
        f"[p{remote}]\ntype = tcp\nlocal_port = {local}\nremote_port = {remote}\n"
        for remote, local in proxies.items()
    )
    (folder / "frpc.ini").write_text(
        f"{common}server_addr = {LOOPBACK}\ncontrol_socket = off\n{sections}"
    )


def slices(
    options: argparse.Namespace, admin: int, count: Synchronized[int], took: Figures
) -> list[tuple[bool, float, float, float]]:
    """Return slices: with dashboards or not, begin, end, bytes a second."""
    found = []
    for with_them in [False, True] * options.rounds:
        watching = [Dashboard(admin, took) for _ in range(DASHBOARDS if with_them else 0)]
        for index, one in enumerate(watching):
            time.sleep(POLL_SECONDS / DASHBOARDS if index else 0)
            one.start()
        begun, before = time.monotonic(), count.value
        time.sleep(options.seconds)
        ended = time.monotonic()
        found.append((with_them, begun, ended, (count.value - before) / (ended - begun)))
        for one in watching:
            one.over.set()
            one.join()
    return found


def report(measured: list[tuple[bool, float, float, float]], lags: Lags, took: Figures) -> None:
    """Print figures."""
    rates: dict[bool, list[float]] = {False: [], True: []}
    late: dict[bool, list[float]] = {False: [], True: []}
    for with_them, begun, ended, rate in measured:
        rates[with_them].append(rate)
        late[with_them] += [lag for when, lag in lags if begun <= when < ended]
    for with_them, name in ((False, "without"), (True, "with three")):
        print(
            f"{name:>11}: {statistics.median(rates[with_them]) / 1e6:7.0f} MB/s"
            f"  ({', '.join(f'{rate / 1e6:.0f}' for rate in rates[with_them])})"
            f"  lag p50 {percentile(late[with_them], 0.5) * 1e3:.2f} ms"
            f"  p99 {percentile(late[with_them], 0.99) * 1e3:.2f} ms"
        )
    pairs = [on / off for off, on in zip(rates[False], rates[True], strict=True)]
    print(f"ratio with/without: {statistics.median(pairs):.3f} (median of pairs)")
    for path, seconds in took.items():
        middle, most = statistics.median(seconds) * 1e3, max(seconds) * 1e3
        nearly = percentile(seconds, 0.95) * 1e3
        print(
            f"{path:32} {len(seconds):4} answers,"
            f" median {middle:6.1f} ms, p95 {nearly:6.1f} ms, worst {most:6.1f} ms"
        )
    print("load average:", *(f"{load:.1f}" for load in os.getloadavg()))


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Set everything up, measure, and report."""
    context = multiprocessing.get_context("fork")
    count: Synchronized[int] = context.Value("q", 0, lock=False)
    took: Figures = {}
    with contextlib.ExitStack() as stack:
        sink, idle = (
            stack.enter_context(socket.create_server((LOOPBACK, 0), backlog=1024)) for _ in range(2)
        )
        bind, admin, bulk, *ports = free_ports(options.proxies + 2)
        local = idle.getsockname()[1]
        proxies = {bulk: sink.getsockname()[1], **dict.fromkeys(ports, local)}
        write_files(folder, bind, admin, proxies)
        stack.enter_context(process(serve_sink, sink, count))
        stack.enter_context(process(serve_idle, idle))
        own = [sys.executable, "-m", "bench.lag"]
        frps = [*own, str(folder / "frps.ini"), str(folder / "lags")]
        with program(frps, folder):
            wait_for(bind)
            client = [sys.executable, "-m", "frpd.cli.frpc", "-c", str(folder / "frpc.ini")]
            with program(client, folder):
                for port in (bulk, *ports):
                    wait_for(port)
                visitors = itertools.cycle(ports)
                for _ in range(options.connections):
                    visitor = socket.create_connection((LOOPBACK, next(visitors)))
                    stack.enter_context(visitor).sendall(b"x")
                idle_line = Dashboard(admin, took)
                for path in (*PATHS, *OTHERS) * 5:
                    idle_line.ask(path)
                print("without a load:")
                quiet = {path: list(seconds[1:]) for path, seconds in took.items()}
                took.clear()
                for path, seconds in quiet.items():
                    print(f"{path:32} worst of 4: {max(seconds) * 1e3:6.1f} ms")
                with process(pour, bulk):
                    time.sleep(2.0)
                    measured = slices(options, admin, count, took)
    report(measured, read_lags(folder / "lags"), took)


def main() -> int:
    """Run."""
    line = argparse.ArgumentParser(
        prog="python -m bench.dashboards",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    line.add_argument("--proxies", type=int, default=500)
    line.add_argument("--connections", type=int, default=2000)
    line.add_argument("--rounds", type=int, default=5)
    line.add_argument("--seconds", type=float, default=6.0)
    options = line.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        measure(options, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
