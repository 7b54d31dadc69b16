"""frpd.log_json: one line of ASCII, and times that say where they are."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from frpd.log_json import timestamp, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_an_object_is_one_line_that_no_terminal_obeys() -> None:
    wild = "a\nb\r\x1b]0;x\x07\x7f\x85\u2028\u202e\udc80"
    line = to_json({"text": wild})
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {"text": wild}


@pytest.mark.usefixtures("_berlin")
def test_a_time_is_local_and_says_how_far_from_utc() -> None:
    assert timestamp(1_800_000_000.25) == "2027-01-15T09:00:00.250+01:00"
