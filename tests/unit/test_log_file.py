"""frpd.log_file: appending, rotating at midnight, and following who moves the file."""

from __future__ import annotations

import errno
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


class SmallDisk:
    """os.write to a disk that has room for so many bytes more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self._write = os.write
        monkeypatch.setattr("frpd.log_file.os.write", self.write)

    def write(self, fd: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = self._write(fd, data[: self.room])
        self.room -= count
        return count


def test_of_lines_that_a_full_disk_cut_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LogFile(str(tmp_path / "log"), 3)
    file.write(b"first\n")
    disk = SmallDisk(monkeypatch, 4)
    with pytest.raises(OSError, match="No space"):
        file.write(b"second\n")
    disk.room = 100
    file.write(b"third\n")
    file.close()
    assert (tmp_path / "log").read_bytes() == b"first\nthird\n"


def test_what_cannot_be_cut_off_again_gets_a_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another program has appended meanwhile."""
    file = LogFile(str(tmp_path / "log"), 3)
    disk = SmallDisk(monkeypatch, 4)
    monkeypatch.setattr("frpd.log_file.os.lseek", lambda *_: 0)
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            file.write(b"first\n")
    disk.room = 100
    file.write(b"second\n")
    file.write(b"third\n")
    file.close()
    assert (tmp_path / "log").read_bytes() == b"firs\nsecond\nthird\n"
