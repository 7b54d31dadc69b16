"""frpd.admin.log_view: the log's level, and its last lines."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from frpd import log
from frpd.admin import log_view
from frpd.admin.access import ControlGate
from frpd.admin.web_app import AdminApp
from tests.unit.admin.wsgi import Caller


@pytest.fixture
def app() -> AdminApp:
    return AdminApp(lambda _environ: ControlGate())


@pytest.fixture
def call(app: AdminApp, tmp_path: Path) -> Iterator[Caller]:
    log.setup(target=str(tmp_path / "log"), level="trace", max_days=0, color=False)
    log_view.register(app)
    yield Caller(app)
    log.close()


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    logger = logging.getLogger("frpd")
    before = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(before)


def test_the_level_of_the_log_is_shown_and_changed(app: AdminApp) -> None:
    log_view.register(app)
    call = Caller(app)
    assert call.get("/api/log-level").json == {"level": "info"}
    answer = call("PUT", "/api/log-level", {"level": "debug"})
    assert answer.json == {"level": "debug", "before": "info"}
    assert logging.getLogger("frpd").level == logging.DEBUG
    wrong = call("PUT", "/api/log-level", {"level": "loud"})
    assert wrong.status == 400
    assert "accepted: trace, debug, info, warn, error" in wrong.json["msg"]


def test_lines_come_with_numbers_and_each_only_once(call: Caller) -> None:
    logger = log.get_logger("frpd.test").prefixed("web")
    logger.info("first")
    logger.error("second %s", "x" * 5)
    found = call.get("/api/frpd/logs").json
    assert found["next"] == 2
    first, second = found["lines"]
    assert (first["n"], first["level"], first["text"]) == (1, "I", "[web] first")
    assert (second["n"], second["level"], second["text"]) == (2, "E", "[web] second xxxxx")
    assert first["where"].startswith("test_log_view.py:")
    assert first["time"] > 1_600_000_000
    assert call.get("/api/frpd/logs?after=2").json == {"next": 2, "lines": []}
    logger.info("third")
    (line,) = call.get("/api/frpd/logs?after=2").json["lines"]
    assert line["n"] == 3


def test_the_latest_of_a_level_are_chosen(call: Caller) -> None:
    logger = log.get_logger("frpd.test")
    for index in range(4):
        logger.warning("w%d", index)
        logger.debug("d%d", index)
    found = call.get("/api/frpd/logs?level=warn&limit=2").json["lines"]
    assert [line["text"] for line in found] == ["w2", "w3"]
    found = call.get("/api/frpd/logs?level=debug&limit=2").json["lines"]
    assert [line["text"] for line in found] == ["w3", "d3"]


@pytest.mark.parametrize("parameters", ["limit=0", "limit=501", "after=-1", "level=loud"])
def test_nonsense_is_refused(call: Caller, parameters: str) -> None:
    assert call.get(f"/api/frpd/logs?{parameters}").status == 400


def test_every_level_has_its_marks() -> None:
    for level, marks in log_view.LEVELS.items():
        log.set_level(level)
        assert "TDIWE".endswith(marks)
    assert log.level() == "error"
