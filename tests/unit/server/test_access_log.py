"""frpd.server.access_log: lines reach the file off the loop, within bounds, and all at the end."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from frpd import log
from frpd.log_file import LogFile
from frpd.metrics.access import Visit
from frpd.server import access_log
from frpd.server.access_log import FLUSH_SECONDS, AccessFile, tell_in_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers.world import World


def visit(proxy: str = "web") -> Visit:
    return Visit(
        when=0.0, type="tcp", proxy=proxy, run_id="run", visitor="192.0.2.7:1", ended="closed"
    )


def open_file(world: World, path: Path, *, as_json: bool = False) -> AccessFile:
    return AccessFile(world.loop, world.pool, LogFile(str(path), 0), as_json=as_json)


def test_lines_are_written_together_a_moment_later(world: World, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    file = open_file(world, path, as_json=True)
    for name in "abc":
        file.tell(visit(name))
    world.turn()
    assert path.read_text() == ""
    world.advance(FLUSH_SECONDS)
    world.until(path.read_text)
    assert [json.loads(line)["proxy"] for line in path.read_text().splitlines()] == ["a", "b", "c"]
    world.until(lambda: not world.pool.busy)
    world.settle()
    file.tell(visit("d"))
    file.close()
    assert path.read_text().count("\n") == 4


@pytest.fixture
def caught(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "frps.log"
    log.setup(target=str(path), level="info", max_days=0, color=False, line_format="json")
    yield path
    log.close()


def test_what_finds_no_room_is_counted_and_told_once(
    world: World, tmp_path: Path, caught: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "MAX_WAITING", 3)
    path = tmp_path / "access.log"
    file = open_file(world, path)
    for _ in range(5):
        file.tell(visit())
    assert file.dropped == 2
    world.advance(FLUSH_SECONDS)
    world.until(caught.read_text)
    (line,) = caught.read_text().splitlines()
    assert "access_log: 2 lines were dropped: more came" in json.loads(line)["text"]
    assert path.read_text().count("\n") == 3
    file.close()


def test_a_full_disk_costs_lines_and_is_told_once_until_it_is_over(
    world: World, tmp_path: Path, caught: Path
) -> None:
    file = open_file(world, tmp_path / "access.log")
    good, file.file = file.file, LogFile("/dev/full", 0)
    for _ in range(3):
        before = file.dropped
        file.tell(visit())
        world.advance(FLUSH_SECONDS)
        world.until(lambda: file.dropped > before)  # noqa: B023
    assert caught.read_text().count("No space left on device") == 1
    file.file.close()
    file.file = good
    file.tell(visit())
    world.advance(FLUSH_SECONDS)
    world.until(lambda: "2 lines were dropped" in caught.read_text())
    file.close()


def test_the_end_waits_for_what_is_being_written(world: World, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    file = open_file(world, path)
    file.tell(visit("a"))
    with file._lock:
        world.advance(FLUSH_SECONDS)
        world.until(lambda: world.pool.busy)
        file.tell(visit("b"))
        closing = threading.Thread(target=file.close)
        closing.start()
    closing.join()
    assert path.read_text().count("\n") == 2


def test_a_line_of_the_log_has_the_fields_as_well(caught: Path) -> None:
    tell_in_log(visit())
    found = json.loads(caught.read_text())
    assert found["names"] == ["run", "web"]
    assert found["access"]["visitor"] == "192.0.2.7:1"
    assert found["text"].startswith("access: type=tcp proxy=web run_id=run visitor=192.0.2.7:1")


def test_nothing_is_told_to_a_log_that_is_less_talkative(caught: Path) -> None:
    log.set_level("warn")
    tell_in_log(visit())
    assert caught.read_text() == ""
