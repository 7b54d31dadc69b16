from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

import pytest

from bench.alone import alone

if TYPE_CHECKING:
    from pathlib import Path


def test_nobody_else_gets_the_lock_while_a_measurement_has_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("ab") as other:
        with alone(path), pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_without_a_file_nobody_is_waited_for(tmp_path: Path) -> None:
    with alone(None):
        assert list(tmp_path.iterdir()) == []
