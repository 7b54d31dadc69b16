"""LogFile: a file that lines are appended to; it rotates at local midnight.

The day's file gets its date and a new one begins, as in frp. Rotated by somebody else
(logrotate), it is begun anew too: no signal is needed, it is seen within a second.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from typing import Final

from frpd.clock import unix_now

_FILE_MODE: Final = 0o640
_ROTATED_MODE: Final = 0o440  # as frp leaves them: history is not written to


class LogFile:
    """One file, open until close(). One thread at a time.

    Args:
        path: where; relative to the working folder of now.
        max_days: how many days of rotated files to keep; 0 or less keeps all.

    Attributes:
        path: absolute.
        max_days: may change at any time.

    Raises:
        OSError: it cannot be opened.
        ValueError: its name has a NUL.
    """

    def __init__(self, path: str, max_days: int) -> None:
        self.path = os.path.abspath(path)
        self.max_days = max_days
        self._fd = _open_append(self.path)
        info = os.fstat(self._fd)
        self._regular = stat.S_ISREG(info.st_mode)
        # A file that a stopped daemon left yesterday is yesterday's.
        self._day = _local_day(info.st_mtime if info.st_size else unix_now())
        self._checked = 0
        self._is_torn = False  # ends with a part of a line

    def follow(self, now: float) -> None:
        """Move on to a new file if it is time to; call it ahead of write()."""
        second = int(now)
        if second != self._checked and self._regular:
            self._checked = second
            # A folder that cannot be written to is no reason to lose the line: keep the open file.
            with contextlib.suppress(OSError):
                self._follow(now)

    def write(self, data: bytes) -> None:
        """Append whole lines, all of them or none.

        Raises:
            OSError: they could not be written.
        """
        view, written = memoryview(b"\n" + data if self._is_torn else data), 0
        try:
            while written < len(view):
                written += os.write(self._fd, view[written:])
        except OSError:
            if written:
                self._take_back(written)
            raise
        self._is_torn = False

    def close(self) -> None:
        """Close it. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _take_back(self, count: int) -> None:
        """Cut off what a full disk has left of lines; whoever parses them knows no halves."""
        with contextlib.suppress(OSError):
            end = os.lseek(self._fd, 0, os.SEEK_CUR)
            if self._regular and os.fstat(self._fd).st_size == end:
                os.ftruncate(self._fd, end - count)
                return
        self._is_torn = True

    def _follow(self, now: float) -> None:
        """Move on to a new file at a new day, and when the path no longer leads to ours."""
        day = _local_day(now)
        if day != self._day:
            finished, self._day = self._day, day
            target = _free_name(self.path, finished)
            os.rename(self.path, target)
            os.chmod(target, _ROTATED_MODE)
            remove_old(self.path, today=day, max_days=self.max_days)
        elif self._is_ours():
            return
        new = _open_append(self.path)
        os.close(self._fd)
        self._fd = new
        self._is_torn = False

    def _is_ours(self) -> bool:
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._fd))


def write_all(fd: int, data: bytes) -> None:
    """Write all of it, in as many calls as it takes.

    Raises:
        OSError: not all of it could be written.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _open_append(path: str) -> int:
    # O_NONBLOCK: a fifo without a reader must be an error, not a wait; files do not care.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    return os.open(path, flags, _FILE_MODE)


def _local_day(when: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(when))


def _name_parts(path: str) -> tuple[str, str]:
    stem, suffix = os.path.splitext(path)
    return stem, suffix or ".log"


def _free_name(path: str, day: str) -> str:
    """Return ``stem.DAY.suffix``, or ``stem.DAY.001.suffix`` and on where that is taken."""
    stem, suffix = _name_parts(path)
    target = f"{stem}.{day}{suffix}"
    number = 0
    while os.path.lexists(target):
        number += 1
        target = f"{stem}.{day}.{number:03d}{suffix}"
    return target


def remove_old(path: str, *, today: str, max_days: int) -> None:
    """Delete the rotated files of ``path`` that are more than ``max_days`` days older than today.

    Goes by the date in the name and touches only names that rotation itself makes, where frp
    deleted whatever began and ended alike in the whole folder tree. 0 or less keeps all.
    """
    if max_days <= 0:
        return
    stem, suffix = _name_parts(os.path.basename(path))
    ours = re.compile(rf"{re.escape(stem)}\.(\d{{4}}-\d\d-\d\d)(?:\.\d{{3,}})?{re.escape(suffix)}")
    oldest = time.mktime(time.strptime(today, "%Y-%m-%d")) - max_days * 86400
    # Noon of the day in question is right on days of 23 and 25 hours too.
    limit = _local_day(oldest + 43200)
    folder = os.path.dirname(path)
    for name in os.listdir(folder):
        match = ours.fullmatch(name)
        if match and match.group(1) < limit:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))
