"""Hours of mixed traffic through real processes: does anything grow, get slower, or go wrong?

    python -m bench.soak [--minutes 20] [--hours 24] [--out samples.csv]

Visitors of tcp (echo, bulk, half-closed, reset, idle), encrypted and compressed, limited, stcp,
udp, http and https proxies come and go, with and without tcp_mux, and look at every byte. Files
are changed and read again, clients and a server are killed and come back, strangers knock, an
operator asks. Samples of the programs that live all the time are taken every 5 seconds; after
the warm-up (a quarter of the time, 10 minutes at most) a line is laid through each figure.
What is behind ± is twice the error of its slope: with a short run it is large, and says so.

Ends with 1 if bytes were wrong, a visit failed that nothing excuses, somebody did not come
back in time, or a figure surely grows by more than its bound. Control-C ends it early.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.ground import LOOPBACK, ask
from bench.soak.samples import Samples, Watcher, report
from bench.soak.visits import FAILURES, Place, Visit, WrongBytesError, check, connect, echo, take
from bench.soak.world import World, world
from bench.tunnel.processes import MeasurementError

SAMPLE_SECONDS: Final = 5.0
PROBE_SECONDS: Final = 0.05
PAUSE_SECONDS: Final = 0.15
RELOAD_SECONDS: Final = 10.0
RESTLESS_SECONDS: Final = 15.0
RESTART_SECONDS: Final = 120.0
OPERATOR_SECONDS: Final = 2.0
STRANGER_SECONDS: Final = 0.5
BACK_SECONDS: Final = 20.0
MOST_WARM_UP_SECONDS: Final = 600.0
SETTLE_SECONDS: Final = 20.0
MOST_TOLD: Final = 20
OPENINGS: Final = (
    b"",
    b"o",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\0\1\0\1\0\0\0\1\0\0\0\0",
    b"\x16\x03\x01\x02\x00",
    b'o\0\0\0\0\0\0\0\x40{"version":"0.51.3","privilege_key":"0123456789abcdef","timestamp":1}',
)


class Soak:
    """Everything that goes on at once, and what has become of it."""

    def __init__(self, stage: World) -> None:
        self.world = stage
        self.over = threading.Event()
        self.visits: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.events: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        """Start all that goes on."""
        for name, visit, place in self.world.visits():
            self._go(name, self._visit_again, name, visit, place)
        rest = {"restless": RESTLESS_SECONDS, "short": RESTART_SECONDS}
        self._every(RELOAD_SECONDS, "reloads", self._reload)
        self._every(rest["restless"], "frpc killed", self._kill_restless)
        self._every(rest["short"], "frps restarted", self._restart_short)
        self._every(OPERATOR_SECONDS, "asked by an operator", self._ask)
        self._every(STRANGER_SECONDS, "strangers", self._knock)
        self._go("probe", self._probe)

    def _go(self, name: str, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def end(self) -> None:
        """Stop all of it."""
        self.over.set()
        for thread in self._threads:
            thread.join(60)

    def blame(self, what: str) -> None:
        """Note what nothing excuses."""
        self.events["errors"] += 1
        if len(self.wrong) < MOST_TOLD:
            self.wrong.append(what)

    def latencies(self) -> list[float]:
        """Return those since the last call."""
        found, self._latencies = self._latencies, []
        return found

    # What goes on.

    def _visit_again(self, name: str, visit: Visit, place: Place) -> None:
        dice = random.Random(name)
        while not self.over.wait(dice.uniform(0, 2 * PAUSE_SECONDS)):
            self._visit(name, visit, place, dice)

    def _visit(self, name: str, visit: Visit, place: Place, dice: random.Random) -> None:
        try:
            visit(place, dice)
        except WrongBytesError as error:
            self.blame(f"{name}: {error}")
        except FAILURES as error:
            self.blame(f"{name}: {type(error).__name__}: {error}")
        else:
            self.visits[name] += 1

    def _probe(self) -> None:
        """Send 64 bytes on a connection that stays, again and again."""
        place = Place(self.world.port["mux"])
        try:
            with connect(place) as sock:
                while not self.over.wait(PROBE_SECONDS):
                    begun = time.monotonic()
                    sock.sendall(bytes(64))
                    check(bytes(64), take(sock, 64))
                    self._latencies.append(time.monotonic() - begun)
        except (WrongBytesError, OSError) as error:
            self.blame(f"the probe's connection: {error}")

    def _every(self, seconds: float, what: str, act: Callable[[int], None]) -> None:
        def run() -> None:
            count = 0
            while not self.over.wait(seconds):
                count += 1
                try:
                    act(count)
                except (WrongBytesError, MeasurementError, *FAILURES) as error:
                    self.blame(f"{what}: {type(error).__name__}: {error}")
                else:
                    self.events[what] += 1

        self._go(what, run)

    def _reload(self, version: int) -> None:
        self.world.reload(version)
        self.comes_back("a proxy of the new file", echo, self.world.side(version))

    def _kill_restless(self, _count: int) -> None:
        self.world.kill_restless()
        self.comes_back(*self.world.come_and_go()["restless"])

    def _restart_short(self, count: int) -> None:
        self.world.restart_short(politely=count % 2 == 0)
        self.comes_back(*self.world.come_and_go()["patient"])

    def comes_back(self, name: str, visit: Visit, place: Place) -> None:
        """Wait until a visit succeeds."""
        end = time.monotonic() + BACK_SECONDS
        while True:
            try:
                visit(place, random.Random(0))
            except FAILURES as error:
                if time.monotonic() > end:
                    raise MeasurementError(f"{name} is not back: {error}") from error
                time.sleep(PAUSE_SECONDS)
            else:
                return

    def _ask(self, _count: int) -> None:
        ask(self.world.port["admin"], "/api/frpd/overview")

    def _knock(self, count: int) -> None:
        """Be a stranger; some stay until they are sent away."""
        opening = OPENINGS[count % len(OPENINGS)]
        with socket.create_connection((LOOPBACK, self.world.port["long"]), 20) as sock:
            sock.sendall(opening)
            if count % 7 == 0:
                with contextlib.suppress(ConnectionResetError):
                    sock.recv(4096)


def watch(soak: Soak, watcher: Watcher, samples: Samples, seconds: float) -> None:
    """Take samples until the time is over, or somebody has enough."""
    end = time.monotonic() + seconds
    with contextlib.suppress(KeyboardInterrupt):
        while time.monotonic() < end:
            time.sleep(SAMPLE_SECONDS)
            soak.world.check()
            row = watcher.row(soak.latencies())
            samples.add(time.monotonic(), row | {"errors": float(soak.events["errors"])})


def leftovers(watcher: Watcher, before: dict[str, int]) -> list[str]:
    """Return who has more open than before any traffic, when there is no more."""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        now = {name: watcher.files(name) for name in before}
        more = [name for name in before if now[name] > before[name]]
        if not more or time.monotonic() > end:
            return [f"{name} has {now[name]} files open, {before[name]} before" for name in more]
        time.sleep(0.5)


def main() -> int:
    """Run it, report, judge."""
    line = argparse.ArgumentParser(
        prog="python -m bench.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    line.add_argument("--minutes", type=float, default=20.0)
    line.add_argument("--hours", type=float, default=0.0)
    line.add_argument("--out", type=Path, help="for all samples: .json or .csv")
    line.add_argument("--keep", help="a folder for files and logs")
    options = line.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell may have had the first ignored
        signal.signal(number, signal.default_int_handler)
    seconds = options.hours * 3600 or options.minutes * 60
    with contextlib.ExitStack() as stack:
        folder = options.keep or stack.enter_context(tempfile.TemporaryDirectory())
        try:
            return run(Path(folder), seconds, options.out)
        except MeasurementError as error:
            print(f"broken: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("ended before anything was measured, or twice", file=sys.stderr)
            return 1


def run(folder: Path, seconds: float, out: Path | None) -> int:
    """Soak for so long; return the exit status."""
    samples = Samples()
    with world(folder) as stage:
        soak, watcher = Soak(stage), Watcher(stage)
        for name, visit, place in (*stage.visits(), *stage.come_and_go().values()):
            soak.comes_back(name, visit, place)
        watcher.row([])  # what answers the first request stays open
        before = {name: watcher.files(name) for name in stage.lasting}
        soak.begin()
        try:
            watch(soak, watcher, samples, seconds)
        finally:
            soak.end()
            if out is not None:
                samples.write(out)
        left = leftovers(watcher, before)
    warm_up = min(seconds / 4, MOST_WARM_UP_SECONDS)
    lines, broken = report(samples, warm_up)
    took = samples.times[-1] - samples.times[0] if samples.times else 0.0
    print(f"{took / 60:.1f} minutes, {sum(soak.visits.values()):,} visits:", *lines, sep="\n")
    print("visits:", ", ".join(f"{name} {count:,}" for name, count in soak.visits.items()))
    print("besides:", ", ".join(f"{name} {count:,}" for name, count in soak.events.items()))
    print("load average:", *(f"{load:.1f}" for load in os.getloadavg()))
    broken = [*soak.wrong, *left, *broken]
    for words in broken:
        print(f"broken: {words}")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
