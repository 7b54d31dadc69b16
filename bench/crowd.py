"""Many at once: python -m bench.crowd [idle] [logins].

idle: 10,000 visitors who do nothing and 200 who send 64 B and wait for the echo, over and over,
on one frps and one frpc, each within 20,000 descriptors. The 200 are measured alone first. All
visitors, and the service, are programs of their own.

logins: 500 clients in one process and 20 frpc are logged in when frps is killed. It comes back
three seconds later: when does everybody's proxy run again, and what does the rush cost? With
--penalties frps has nobody exempt from penalties, so that the door treats loopback as it treats
all others.

Ends with 1 if an idle one is lost, a program needs more descriptors, the 200 are slowed down to
less than half, anybody is missing after the restart for longer than --bound, or the 99th
percentile of the lag of frps' loop is not below 100 ms (it has just been started, and imports).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.ground import (
    LOOPBACK,
    Ground,
    dashboard,
    descriptors,
    run,
    scrape,
)
from bench.lag import Lags, percentile, read_lags
from bench.tunnel.processes import (
    Child,
    MeasurementError,
    free_ports,
    leashed,
    pss_kib,
    wait_until,
)

MOST_DESCRIPTORS: Final = 20_000
MOST_LAG_SECONDS: Final = 0.100
LEAST_SPEED: Final = 0.5
DOWN_SECONDS: Final = 3.0
CONNECT_SECONDS: Final = 120.0
POLL_SECONDS: Final = 0.05
NEW_PROXY: Final = re.compile(rb"new proxy \[.*\] success")


@dataclass(slots=True)
class Tale:
    """A table, and what was not as it should be."""

    lines: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def row(self, *cells: object) -> None:
        """Add a line to the table."""
        self.lines.append(f"| {' | '.join(map(str, cells))} |")

    def must(self, holds: bool, words: str) -> None:
        """Note a bound that does not hold."""
        if not holds:
            self.broken.append(words)


class Holder:
    """A program that says a line of JSON now and then, until its stdin ends."""

    def __init__(self, ground: Ground, name: str, *command: str) -> None:
        log = ground.enter_context((ground.folder / f"{name}.log").open("ab"))
        self.said: list[dict[str, float]] = []
        self.process = subprocess.Popen(
            leashed(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        ground.callback(self.process.wait)
        ground.callback(self.process.kill)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(json.loads(line))

    def wait(self, until: Callable[[dict[str, float]], bool], what: str, seconds: float) -> None:
        """Wait for a line such as this."""
        end = time.monotonic() + seconds
        while not (self.said and until(self.said[-1])):
            if time.monotonic() > end or self.process.poll() is not None:
                raise MeasurementError(f"{what}: not in {seconds:g} s: {self.said[-1:]}")
            time.sleep(POLL_SECONDS)

    def end(self) -> None:
        """Let it come to its end."""
        assert self.process.stdin is not None
        self.process.stdin.close()


def tunnel(ground: Ground) -> tuple[Child, Child, int]:
    """Start frps, frpc and an echo behind them; return both and the visitors' port."""
    bind, entrance, echo, sink = free_ports(4)
    server = {"bind_addr": LOOPBACK, "bind_port": bind, "proxy_bind_addr": LOOPBACK}
    client = {"server_addr": LOOPBACK, "server_port": bind}
    proxy = {"type": "tcp", "local_port": echo, "remote_port": entrance}
    ground.services(echo, sink)
    frps = ground.frps("frps", ground.write("frps.ini", {"common": server}), bind)
    frpc = ground.frpc(
        "frpc", ground.write("frpc.ini", {"common": client, "echo": proxy}), entrance
    )
    return frps, frpc, entrance


def idle(options: argparse.Namespace, folder: Path, tale: Tale) -> None:
    """Measure idle visitors and active ones."""
    count, active = options.idle, options.active
    with Ground(folder) as ground:
        frps, frpc, entrance = tunnel(ground)
        talk = [ground.load, "rtt", str(entrance), str(active), "64", str(options.seconds)]
        alone = json.loads(run(talk, options.seconds + 60))
        before = [pss_kib([end]) for end in (frps, frpc)]
        begun = time.monotonic()
        holder = Holder(ground, "hold", ground.load, "hold", str(entrance), str(count))
        holder.wait(lambda said: "held" in said, f"{count} visitors", CONNECT_SECONDS)
        connected = time.monotonic()
        held = holder.said[-1]["held"]
        time.sleep(1.0)
        after = [pss_kib([end]) for end in (frps, frpc)]
        since = time.monotonic()
        beside = json.loads(run(talk, options.seconds + 60))
        until = time.monotonic()
        files = [descriptors(end) for end in (frps, frpc)]
        holder.end()
        holder.wait(lambda said: "alive" in said, "an echo for each", 60)
        alive = holder.said[-1]["alive"]
    lags = read_lags(folder / "frps.lags")
    tale.row("idle visitors", f"{held:,.0f} of {count:,} connected in {connected - begun:.1f} s")
    tale.row("still served at the end", f"{alive:,.0f}")
    for name, old, new, number in zip(("frps", "frpc"), before, after, files, strict=True):
        each = (new - old) / max(held, 1)
        sizes = f"{old / 1024:.0f} MiB without, {new / 1024:.0f} MiB with them"
        tale.row(name, f"{sizes}: {each:.1f} KiB each; {number:,} descriptors")
        tale.must(number <= MOST_DESCRIPTORS, f"{name} has {number} descriptors")
    for words, figures in (("alone", alone), (f"beside {count:,}", beside)):
        times = f"p50 {figures['p50_us'] / 1e3:.1f} ms, p99 {figures['p99_us'] / 1e3:.1f} ms"
        tale.row(f"{active} active, {words}", f"{figures['per_s']:,.0f} round trips/s, {times}")
    tale.row("lag of frps' loop meanwhile", lag_text(lags, since, until))
    tale.row("the same while they connected", lag_text(lags, begun, connected))
    tale.must(held == alive == count, f"of {count} held {held}, later alive {alive}")
    ratio = beside["per_s"] / alone["per_s"]
    tale.must(ratio >= LEAST_SPEED, f"{active} active have {ratio:.2f} of their speed")


def lag_text(lags: Lags, since: float, until: float) -> str:
    """Return what is to be said about the lag of some time."""
    found = [lag for when, lag in lags if since <= when < until] or [0.0]
    return f"p99 {percentile(found, 0.99) * 1e3:.1f} ms, worst {max(found) * 1e3:.1f} ms"


def logins(options: argparse.Namespace, folder: Path, tale: Tale) -> None:
    """Measure how many clients come back at once."""
    count, programs = options.clients, options.frpc
    with Ground(folder) as ground:
        bind, admin, echo, sink, *ports = free_ports(4 + count + programs)
        common: dict[str, object] = {"bind_addr": LOOPBACK, "bind_port": bind}
        common |= {"proxy_bind_addr": LOOPBACK, **dashboard(admin)}
        if options.penalties:
            common["per_source_penalty_exempt_list"] = ""
        path = ground.write("frps.ini", {"common": common})
        client = {"server_addr": LOOPBACK, "server_port": bind, "login_fail_exit": False}
        proxy = {"type": "tcp", "local_port": echo, "remote_port": ports[programs]}
        ground.services(echo, sink)
        first = ground.frps("frps", path, bind)
        many = ground.write("many.ini", {"common": client, "many": proxy})
        crowd = Holder(ground, "many", sys.executable, "-m", "bench.clients", many, str(count))
        for number in range(programs):
            its = {**proxy, "remote_port": ports[number]}
            own = ground.write(f"{number}.ini", {"common": client, f"p{number}": its})
            ground.frpc(f"frpc{number}", own)
        everybody = count + programs
        wait_until(lambda: proxies(first) == everybody, "all to log in", 90, [first])
        crowd.wait(lambda said: said["running"] == count, "all to run", 30)
        first.process.kill()
        first.process.wait()
        crowd.wait(lambda said: said["running"] == 0, "all to notice", 30)
        time.sleep(DOWN_SECONDS)
        heard = len(crowd.said)
        begun = time.monotonic()
        second = ground.frps("again", path, bind)
        listening = time.monotonic()
        crowd.wait(lambda said: said["running"] == count, "all to run again", 90)
        wait_until(lambda: proxies(second) == everybody, "all to be back", 90, [second])
        ready = time.monotonic()
        figures = scrape(admin)
        said = crowd.said[heard:]
    lags = read_lags(folder / "again.lags")
    report_logins(options, tale, said, lags, (begun, listening, ready))
    for reason in ("late", "crowded"):
        refused = figures.get(f'frpd_door_refused_total{{reason="{reason}"}}', 0.0)
        tale.row(f"sent away, {reason}", f"{refused:,.0f}")


def proxies(frps: Child) -> int:
    """Return how many it has let in, by its log: whoever asks it costs its loop time."""
    time.sleep(POLL_SECONDS)
    return len(NEW_PROXY.findall(frps.output.read_bytes()))


def report_logins(
    options: argparse.Namespace,
    tale: Tale,
    said: list[dict[str, float]],
    lags: Lags,
    times: tuple[float, float, float],
) -> None:
    """Add what became of the clients."""
    begun, listening, ready = times
    count = options.clients
    tale.row("frps listens again after", f"{listening - begun:.2f} s")
    for share in (0.5, 0.9, 0.99, 1.0):
        at = next(line["at"] for line in said if line["running"] >= share * count)
        tale.row(f"{share:.0%} of {count} clients run after", f"{at - listening:.2f} s")
    tale.row(f"all {count + options.frpc} run after", f"{ready - listening:.2f} s")
    since = next((line["attempts"] for line in said if line["at"] >= listening), 0.0)
    vain = said[-1]["attempts"] - since
    tale.row("attempts in vain meanwhile", f"{vain:,.0f}")
    tale.row("lag of frps' loop", lag_text(lags, listening, ready))
    tale.must(
        ready - listening <= options.bound, f"all are back only after {ready - listening:.1f} s"
    )
    found = [lag for when, lag in lags if listening <= when < ready]
    late = percentile(found, 0.99)
    tale.must(late < MOST_LAG_SECONDS, f"the loop's lag p99 is {late * 1e3:.1f} ms")


PARTS: Final[dict[str, Any]] = {"idle": idle, "logins": logins}


def main() -> int:
    """Measure, report, judge."""
    line = argparse.ArgumentParser(
        prog="python -m bench.crowd",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    line.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="idle|logins")
    line.add_argument("--idle", type=int, default=10_000)
    line.add_argument("--active", type=int, default=200)
    line.add_argument("--seconds", type=float, default=10.0)
    line.add_argument("--clients", type=int, default=500)
    line.add_argument("--frpc", type=int, default=20)
    line.add_argument("--bound", type=float, default=10.0, help="seconds until all are back")
    line.add_argument("--penalties", action="store_true", help="nobody is exempt from them")
    line.add_argument("--keep", help="a folder for logs")
    options = line.parse_args()
    tale = Tale()
    for part in options.parts or PARTS:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(options.keep or temporary)
            try:
                PARTS[part](options, folder, tale)
            except MeasurementError as error:
                print(f"{part} cannot be measured: {error}", file=sys.stderr)
                return 2
    print("| | |\n|---|---|", *tale.lines, sep="\n")
    print("load average:", *(f"{load:.1f}" for load in os.getloadavg()))
    for words in tale.broken:
        print(f"broken: {words}")
    return int(bool(tale.broken))


if __name__ == "__main__":
    sys.exit(main())
