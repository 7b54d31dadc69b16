"""Chaos of resources: no descriptors, no room on the disk, no memory, no ports, no name server.

All types carry traffic meanwhile, and each byte is checked.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from frpd.clock import unix_now
from frpd.metrics.statistics import SavedFigures, SavedProxy, local_day
from frpd.metrics.store import load, save
from tests.helpers.chaos import BACK_SECONDS, ENDS, Chaos, chaos
from tests.helpers.programs import SECONDS, need_tool, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.helpers.programs import Program
    from tests.helpers.stage import Stage

    Record = Callable[[str, object], None]

# Of connections that our own visitors give up halfway asyncio leaves some to the collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

LOCAL = "127.0.0.1"
STEADY = ("steady", "steady-direct", "steady-stcp")


def answers_admin(world: Chaos, end: str) -> bool:
    """Return whether the dashboard of frps, or the admin API of frpc, is served."""
    port = world.dashboard_port if end == "frps" else world.admin_ports[end]
    request = urllib.request.Request(f"http://{LOCAL}:{port}/healthz")
    request.add_header("Authorization", f"Basic {b64encode(b'admin:admin').decode()}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextlib.contextmanager
def few_descriptors(program: Program, spare: int) -> Iterator[None]:
    """Let a program open only so many files beyond its highest one."""
    pid = program.pid
    highest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1 + spare, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def stay_a_while(seconds: float) -> None:
    """Let the fault last; the traffic is what happens meanwhile."""
    threading.Event().wait(seconds)


def crowd(port: int, count: int) -> list[socket.socket]:
    """Have so many visitors come, who need not be let in."""
    visitors = [socket.socket() for _ in range(count)]
    for visitor in visitors:
        visitor.setblocking(False)
        visitor.connect_ex((LOCAL, port))
    return visitors


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("victim", ENDS)
@pytest.mark.parametrize("spare", [0, 3])
def test_without_descriptors_who_is_in_stays_in_and_later_all_come_in(
    stage: Stage, victim: str, spare: int, record_property: Record
) -> None:
    with chaos(stage) as world:
        program, seconds, first = world.programs[victim], [], None
        for _ in range(3):
            before = world.traffic.broken(*STEADY)
            with few_descriptors(program, spare):
                visitors = crowd(world.ports["tcp-direct" if victim == "direct" else "tcp"], 50)
                stay_a_while(3.0)
                for visitor in visitors:
                    visitor.close()
            seconds.append(round(world.traffic.wait_until_back(BACK_SECONDS), 1))
            assert world.traffic.broken(*STEADY) == before
            first = first or world.rest()
        assert first is not None
        assert program.process.poll() is None
        assert answers_admin(world, victim)
        record_property("seconds_until_back", seconds)
        record_property("grown", world.check_leaks({victim: first[victim]}))
        world.kill(ENDS[1] if victim == "direct" else "direct")  # and clients get in
        world.traffic.wait_until_back(BACK_SECONDS, without=["xtcp"])


class SmallDisk:
    """A file system of its own, of one MiB."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"
        folder.mkdir()
        command = [need_tool("mount"), "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no file system of our own: {done.stderr.strip()}")

    def fill(self) -> None:
        """Leave no room at all."""
        with self._ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"-" * 512):
                pass

    def make_room(self) -> None:
        self._ballast.unlink()

    def close(self) -> None:
        subprocess.run([need_tool("umount"), "-l", str(self.folder)], check=False)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    made = SmallDisk(tmp_path / "disk")
    yield made
    made.close()


def parsed(path: Path) -> list[dict[str, object]]:
    """Return the objects of a log, all of whose lines have to be whole."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def says(path: Path, text: str) -> None:
    """Wait until a log has this text."""
    wait_until(lambda: text in path.read_text(errors="replace"), f"{path.name} says: {text}")


class Growth:
    """A probe: has the file grown since."""

    def __init__(self, path: Path) -> None:
        self._path, self._size = path, path.stat().st_size

    def __call__(self) -> bool:
        return self._path.stat().st_size > self._size


@pytest.mark.full
@pytest.mark.timeout(300)
def test_a_full_disk_costs_lines_that_are_counted_and_stops_nobody(
    stage: Stage, disk: SmallDisk, record_property: Record
) -> None:
    access, figures = disk.folder / "access.log", disk.folder / "statistics.sqlite"
    server = {"access_log": access, "statistics_file": figures}
    with chaos(stage, server=server, logs=disk.folder) as world:
        before = world.traffic.broken()
        for _ in range(2):
            disk.fill()
            stay_a_while(3.0)
            assert world.traffic.broken() == before
            grows = Growth(access)
            disk.make_room()
            record_property("seconds", round(world.traffic.wait_until_back(BACK_SECONDS), 1))
            wait_until(grows, "visits are told")
            for end in ENDS:
                says(world.log_of(end), "could not be written")
            says(world.log_of("frps"), "lines were dropped")
        assert world.traffic.broken() == before
        for end in ENDS:
            assert world.programs[end].count("cannot write to log file") >= 1
            assert world.programs[end].count(".") < 20
        world.signal(signal.SIGTERM, *ENDS)
        for end in ENDS:
            assert world.programs[end].wait() == 0
        for path in (access, *map(world.log_of, ENDS)):
            assert parsed(path), path


@pytest.mark.full
@pytest.mark.timeout(300)
def test_a_log_folder_that_is_deleted_stops_nobody_and_may_come_back(
    stage: Stage, tmp_path: Path
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with chaos(stage, server={"access_log": folder / "access.log"}, logs=folder) as world:
        paths = [folder / "access.log", *map(world.log_of, ENDS)]
        before = world.traffic.broken()
        for _ in range(2):
            shutil.rmtree(folder)
            stay_a_while(2.0)
            world.traffic.wait_until_back(BACK_SECONDS)
            folder.mkdir()
            wait_until(lambda: all(path.exists() for path in paths), "all files are begun anew")
        assert world.traffic.broken() == before


SAVES_FOR_EVER = """
import itertools, sys
from frpd.clock import unix_now
from frpd.metrics.statistics import SavedFigures, SavedProxy, local_day
from frpd.metrics.store import save
day = local_day(unix_now())
for number in itertools.count(1):
    proxies = tuple(
        SavedProxy(f"proxy {which}", "tcp", unix_now(), ((day, number, number),))
        for which in range(200)
    )
    answer = save(sys.argv[1], SavedFigures(proxies, ((day, number, number),), ()), unix_now())
    print(number, answer.set_aside, flush=True)
"""


@pytest.mark.full
@pytest.mark.timeout(300)
def test_statistics_survive_kills_in_the_middle_of_a_write(
    stage: Stage, tmp_path: Path, record_property: Record
) -> None:
    """What was said to be saved is there after SIGKILL, and all 201 figures are of one save."""
    path = tmp_path / "statistics.sqlite"
    saves = 0
    for number in range(30):
        writer = stage.start("writer", sys.executable, "-c", SAVES_FOR_EVER, str(path))
        writer.wait_for("^[0-9]+ $")
        stay_a_while(0.003 * number)
        writer.kill()
        assert all(line.endswith(" ") for line in writer.lines[:-1]), writer.lines
        found = load(str(path), unix_now())
        assert not found.set_aside
        assert found.found is not None
        rows = {row for proxy in found.found.proxies for row in proxy.days}
        assert len(found.found.proxies) == 200
        assert rows == set(found.found.total)
        ((_, last, _),) = rows
        said = int(writer.lines[-1].split()[0])
        assert last >= said or len(writer.lines) == 1
        saves += said
    record_property("saves", saves)


@pytest.mark.full
def test_statistics_survive_a_full_disk(disk: SmallDisk) -> None:
    path = disk.folder / "statistics.sqlite"
    day = local_day(unix_now())

    def figures(count: int, sum_: int) -> SavedFigures:
        rows = ((day, sum_, sum_),)
        proxies = tuple(
            SavedProxy(f"proxy {number}", "tcp", unix_now(), rows) for number in range(count)
        )
        return SavedFigures(proxies, rows, ())

    assert not save(str(path), figures(10, 1), unix_now()).set_aside
    disk.fill()
    with pytest.raises((sqlite3.OperationalError, OSError)):
        save(str(path), figures(2000, 2), unix_now())
    disk.make_room()
    found = load(str(path), unix_now())
    assert not found.set_aside
    assert found.found is not None
    assert found.found.total == ((day, 1, 1),)
    assert not save(str(path), figures(2000, 3), unix_now()).set_aside


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("victim", ENDS)
def test_without_memory_an_end_stops_with_a_word_and_no_byte_is_wrong(
    stage: Stage, victim: str, record_property: Record
) -> None:
    """The address space is limited to what it has now; visitors who do not read fill it."""
    outcomes = []
    with chaos(stage) as world:
        for spare in (0, 4 << 20, 16 << 20):
            program = world.programs[victim]
            limit = address_space(program) + spare
            resource.prlimit(program.pid, resource.RLIMIT_AS, (limit, limit))
            port = world.ports["tcp-direct" if victim == "direct" else "both"]
            with contextlib.ExitStack() as stack:
                for _ in range(60):
                    stack.enter_context(stuffed(port))
                stay_a_while(5.0)
            status = program.process.poll()
            outcomes.append(status)
            if status is None:
                program.kill()
            else:
                assert status == 1
                assert program.count("out of memory: ending, with status 1") == 1
            world.start(victim)
            world.traffic.wait_until_back(BACK_SECONDS, without=["xtcp"])
        record_property("statuses", outcomes)


def address_space(program: Program) -> int:
    """Return how much of it a program has."""
    return int(Path(f"/proc/{program.pid}/statm").read_text().split()[0]) * resource.getpagesize()


@contextlib.contextmanager
def stuffed(port: int) -> Iterator[None]:
    """Have a visitor send what comes back, and read nothing of it."""
    with contextlib.suppress(OSError), socket.socket() as visitor:
        visitor.connect((LOCAL, port))
        visitor.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                visitor.send(b"x" * 65_536)
        yield
        return
    yield
