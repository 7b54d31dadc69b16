"""frpd.log_file: appending, rotating at midnight, and following who moves the file."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from frpd.log_file import LogFile, remove_old

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400.0


def test_lines_are_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("old\n")
    file = LogFile(str(path), 0)
    file.write(b"new\n")
    file.close()
    file.close()
    assert path.read_text() == "old\nnew\n"


def test_a_new_day_gets_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    file = LogFile(str(path), 3)
    file.write(b"today\n")
    now = time.time()
    file.follow(now + DAY)
    file.write(b"tomorrow\n")
    file.close()
    assert path.read_text() == "tomorrow\n"
    (rotated,) = tmp_path.glob("access.2*.log")
    assert rotated.read_text() == "today\n"


def test_a_file_that_somebody_moved_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    file = LogFile(str(path), 0)
    now = time.time()
    os.rename(path, tmp_path / "access.log.1")
    file.follow(now)
    file.write(b"here\n")
    file.close()
    assert path.read_text() == "here\n"


def test_max_days_of_zero_keeps_all(tmp_path: Path) -> None:
    old = tmp_path / "frps.2001-01-01.log"
    old.touch()
    remove_old(str(tmp_path / "frps.log"), today="2018-06-01", max_days=0)
    assert old.exists()


def test_a_path_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        LogFile(str(tmp_path / "nowhere" / "access.log"), 0)
