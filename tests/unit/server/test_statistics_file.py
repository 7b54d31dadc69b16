"""frpd.server.statistics_file: figures are kept and found again, and nobody waits for a disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from frpd import log
from frpd.clock import unix_now
from frpd.metrics.statistics import Statistics
from frpd.server.statistics_file import SAVE_SECONDS, StatisticsFile, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers.world import World


@pytest.fixture
def said(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "frps.log"
    log.setup(target=str(path), level="info", max_days=0, color=False)
    yield path
    log.close()


def count(books: Statistics, nbytes: int) -> None:
    """A proxy comes, carries bytes, and goes."""
    counters = books.counters("web", "tcp")
    books.proxy_started("web", "tcp", counters, run_id="run", now=unix_now())
    counters.opened()
    counters.closed(nbytes, nbytes)
    books.sample({}, unix_now())
    books.proxy_closed("web", unix_now())


def carried(books: Statistics) -> list[int]:
    return [sum(one.traffic_in) for one in books.figures(unix_now())]


def keep(world: World, path: Path) -> tuple[Statistics, StatisticsFile]:
    books = Statistics(unix_now())
    return books, StatisticsFile(world.loop, world.pool, books, str(path))


def loaded(world: World, path: Path) -> tuple[Statistics, StatisticsFile]:
    books, file = keep(world, path)
    world.until(lambda: file._is_loaded)
    return books, file


def pass_a_minute(world: World, file: StatisticsFile) -> None:
    """Let a minute pass, and what it brings be over: then the next one is waited for."""
    before = file._timer
    world.clock.advance(SAVE_SECONDS)
    world.until(lambda: file._timer is not before)


def test_figures_outlive_their_server(world: World, tmp_path: Path) -> None:
    path = tmp_path / "frps.sqlite"
    books, file = loaded(world, path)
    count(books, 10)
    file.close()
    books, file = loaded(world, path)
    assert carried(books) == [10]
    count(books, 5)
    assert carried(books) == [15]
    file.close()
    books, file = loaded(world, path)
    assert carried(books) == [15]
    file.close()
    assert oct(path.stat().st_mode)[-3:] == "640"


def test_they_are_saved_every_minute(world: World, tmp_path: Path) -> None:
    path = tmp_path / "frps.sqlite"
    books, file = loaded(world, path)
    pass_a_minute(world, file)
    assert not path.exists()  # there is nothing to say yet
    count(books, 10)
    pass_a_minute(world, file)
    other, reader = loaded(world, path)
    assert carried(other) == [10]
    for one in (file, reader):
        one.close()


def test_nothing_is_written_before_the_old_figures_are_read(world: World, tmp_path: Path) -> None:
    path = tmp_path / "frps.sqlite"
    books, file = loaded(world, path)
    count(books, 10)
    file.close()
    books, file = keep(world, path)
    count(books, 5)
    file.close()
    books, file = loaded(world, path)
    assert carried(books) == [10]
    file.close()


def test_a_file_that_cannot_be_written_is_told_once_and_loses_nothing(
    world: World, tmp_path: Path, said: Path
) -> None:
    folder = tmp_path / "state"
    path = folder / "frps.sqlite"
    books, file = loaded(world, path)
    for number in range(1, 4):
        count(books, number)
        pass_a_minute(world, file)
    assert said.read_text().count("cannot be written") == 1
    folder.mkdir()
    pass_a_minute(world, file)
    assert "can be written again" in said.read_text()
    file.close()
    books, file = loaded(world, path)
    assert carried(books) == [6]
    file.close()


def test_a_broken_file_is_set_aside_and_told(world: World, tmp_path: Path, said: Path) -> None:
    path = tmp_path / "frps.sqlite"
    path.write_text("no database " * 100)
    books, file = loaded(world, path)
    assert "cannot be used (file is not a database)" in said.read_text()
    count(books, 10)
    pass_a_minute(world, file)
    path.write_text("no database " * 100)
    count(books, 1)
    for _ in range(2):  # the one that finds out, and the one that writes it all anew
        pass_a_minute(world, file)
    file.close()
    books, file = loaded(world, path)
    assert carried(books) == [11]
    file.close()


def test_a_file_that_cannot_be_read_now_is_left_alone(
    world: World, tmp_path: Path, said: Path
) -> None:
    path = tmp_path / "frps.sqlite"
    path.mkdir()
    _, file = keep(world, path)
    world.until(lambda: "cannot be read" in said.read_text())
    file.close()
    assert path.is_dir()


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(tmp_path)
    monkeypatch.setattr("frpd.server.statistics_file.FOLDER", folder + "/nowhere")
    assert place_of("off", "web", {"STATE_DIRECTORY": folder}) is None
    assert place_of("/a/b.sqlite", "web", {}) == "/a/b.sqlite"
    assert place_of("", "web", {"STATE_DIRECTORY": f"{folder}:/b"}) == f"{folder}/web.sqlite"
    assert place_of("", "web", {}) is None
    monkeypatch.setattr("frpd.server.statistics_file.FOLDER", folder)
    assert place_of("", "web", {}) == f"{folder}/web.sqlite"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert place_of("", "web", {}) is None
