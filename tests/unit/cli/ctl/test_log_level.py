"""frpd.cli.ctl.log_level: shown, and changed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from frpd import log
from tests.unit.cli.ctl.scene import Scene


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    before = log.level()
    yield
    log.set_level(before)


def test_it_is_shown_and_changed(scene: Scene) -> None:
    scene.frpc()
    log.set_level("info")
    assert scene("log-level") == (0, "info\n", "")
    done = scene("log-level", "debug")
    assert done.out == "debug (was info), until a reload or a restart\n"
    assert log.level() == "debug"
    found = json.loads(scene("log-level", "warn", "--json").out)
    assert found == {"program": "frpc", "level": "warn", "before": "debug"}


def test_a_level_that_there_is_not_changes_nothing(scene: Scene) -> None:
    scene.frpc()
    before = log.level()
    done = scene("log-level", "loud")
    assert (done.status, log.level()) == (1, before)
    assert "choose from 'trace', 'debug', 'info', 'warn', 'error'" in done.err
