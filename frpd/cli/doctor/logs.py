"""Whether the log can be written: its folder, its disk, and who the daemon runs as."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Finding, fault, ok, warning

CONSOLE: Final = frozenset({"", "console"})
TRIAL_BYTES: Final = 4096
LOW_BYTES: Final = 64 * 1024 * 1024
MIB: Final = 1024 * 1024
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_TRIAL: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})


@dataclass(frozen=True, slots=True)
class LogPlace:
    """What is known of the place of a log.

    Attributes:
        path: of the log.
        error: errno of a trial to write there; 0 if it was a success.
        free_bytes: on its disk.
        free_files: as many can be made there; None where there is no such limit.
        denied_to: the user that the daemon runs as, if that one may not write there.
    """

    path: str
    error: int = 0
    free_bytes: int = 0
    free_files: int | None = None
    denied_to: str = ""


def check_logs(case: Case) -> Iterable[Finding]:
    """Try to write where the log is, but not into it."""
    path = _log_path(case)
    if path is None:
        return []
    if not path:
        return [ok("the log goes to standard output, so to whoever has started the daemon")]
    return [judge_place(case.program, read_place(path, case.pid))]


def _log_path(case: Case) -> str | None:
    """Return where the log is; "" for none that is a file, None if it is not known."""
    config = case.server or (case.client and case.client.common)
    if config and config.log_file not in CONSOLE:
        return os.path.abspath(config.log_file)
    if case.pid:
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/{case.pid}/fd/1")
            if os.path.isfile(target):
                return target
    return "" if config else None


def read_place(path: str, pid: int = 0) -> LogPlace:
    """Return what can be found out about a log's place, by a file without a name beside it."""
    folder = os.path.dirname(path)
    try:
        if os.path.lexists(path):
            # As the daemon opens it; nothing is written.
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY))
        _try_to_write(folder)
        found = os.statvfs(folder)
    except OSError as error:
        return LogPlace(path, error.errno or errno.EIO)
    return LogPlace(
        path,
        free_bytes=found.f_bavail * found.f_frsize,
        free_files=found.f_favail if found.f_files else None,
        denied_to=_denied_to(path, pid),
    )


def _try_to_write(folder: str) -> None:
    try:
        fd = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600)
    except OSError as error:
        # ENOENT is also what a folder says that does not exist.
        if error.errno in _NO_TRIAL and os.path.isdir(folder):
            return
        raise
    try:
        os.write(fd, bytes(TRIAL_BYTES))
        os.fsync(fd)
    finally:
        os.close(fd)


def _denied_to(path: str, pid: int) -> str:
    """Return the user of the daemon if the rights do not let that one write."""
    if not pid:
        return ""
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
        groups = _groups_of(pid)
        where = path if os.path.exists(path) else os.path.dirname(path)
        status = os.stat(where)
    except OSError:
        return ""
    return "" if may_write(status, uid, groups) else f"user {uid}"


def _groups_of(pid: int) -> frozenset[int]:
    rows = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return frozenset(map(int, (rows["Gid"] + rows["Groups"]).split()))


def may_write(status: os.stat_result, uid: int, groups: frozenset[int]) -> bool:
    """Return whether the mode bits let a user write."""
    if uid == 0:
        return True
    if status.st_uid == uid:
        return bool(status.st_mode & stat.S_IWUSR)
    if status.st_gid in groups:
        return bool(status.st_mode & stat.S_IWGRP)
    return bool(status.st_mode & stat.S_IWOTH)


def judge_place(program: str, place: LogPlace) -> Finding:
    """Judge the place of a log."""
    folder = os.path.dirname(place.path)
    make_room = f"make room on the disk of {folder}, and lower log_max_days or log_level"
    if place.error in _FULL or (not place.error and place.free_files == 0):
        return fault(f"the disk of the log {place.path} is full: lines are lost", make_room)
    if place.error:
        return _judge_error(program, place, folder)
    if place.denied_to:
        return fault(
            f"{program} runs as {place.denied_to}, which may not write the log {place.path}",
            f"give {place.path} and {folder} to that user",
        )
    if place.free_bytes < LOW_BYTES:
        return warning(
            f"the disk of the log {place.path} has only {place.free_bytes // MIB} MiB left",
            make_room,
        )
    return ok(f"the log {place.path} can be written, {place.free_bytes // MIB} MiB are free")


def _judge_error(program: str, place: LogPlace, folder: str) -> Finding:
    if place.error == errno.ENOENT:
        return fault(
            f"the folder of the log {place.path} does not exist",
            f"make {folder} and give it to the user that {program} runs as, or correct log_file",
        )
    remedy = "correct log_file, or mend that disk"
    if place.error in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = f"give {folder} to the user that {program} runs as, or run the doctor as that one"
    reason = os.strerror(place.error).lower()
    return fault(f"the log {place.path} cannot be written ({reason})", remedy)
