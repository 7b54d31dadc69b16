"""frpd.admin.frps.shapes: times as frp writes them; the rest is tested by the endpoints."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from frpd.admin.frps.shapes import frp_time


@pytest.fixture(autouse=True)
def _zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Etc/GMT-8")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_times_are_local_and_without_a_year() -> None:
    assert frp_time(0.0) == ""
    assert frp_time(1_527_825_600.0) == "06-01 12:00:00"
