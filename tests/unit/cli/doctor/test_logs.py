"""The place of the log."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Verdict
from frpd.cli.doctor.logs import (
    LOW_BYTES,
    LogPlace,
    check_logs,
    judge_place,
    may_write,
    read_place,
)
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.server import ServerConfig

PATH = "/var/log/frpd/frps.log"


@pytest.mark.parametrize(
    ("place", "found", "remedy"),
    [
        (LogPlace(PATH, errno.ENOSPC), "is full", "make room"),
        (LogPlace(PATH, errno.EDQUOT), "is full", "make room"),
        (LogPlace(PATH, free_bytes=LOW_BYTES, free_files=0), "is full", "make room"),
        (LogPlace(PATH, errno.ENOENT), "does not exist", "make /var/log/frpd"),
        (LogPlace(PATH, errno.EACCES), "permission denied", "give /var/log/frpd"),
        (LogPlace(PATH, errno.EIO), "input/output error", "mend that disk"),
        (LogPlace(PATH, free_bytes=LOW_BYTES, denied_to="user 7"), "user 7", "to that user"),
    ],
)
def test_a_log_that_cannot_be_written_is_a_fault(place: LogPlace, found: str, remedy: str) -> None:
    finding = judge_place("frps", place)
    assert finding.verdict is Verdict.FAULT
    assert found in finding.found
    assert remedy in finding.remedy


def test_a_disk_that_is_nearly_full_is_a_warning() -> None:
    assert judge_place("frps", LogPlace(PATH, free_bytes=LOW_BYTES - 1)).verdict is Verdict.WARNING
    assert judge_place("frps", LogPlace(PATH, free_bytes=LOW_BYTES)).verdict is Verdict.OK


def test_a_trial_leaves_nothing_behind(tmp_path: Path) -> None:
    log = tmp_path / "frps.log"
    assert read_place(str(log), os.getpid()).error == 0
    assert os.listdir(tmp_path) == []
    log.write_text("old\n")
    assert read_place(str(log), os.getpid()).error == 0
    assert log.read_text() == "old\n"


def test_what_is_in_the_way_is_the_error(tmp_path: Path) -> None:
    assert read_place(str(tmp_path / "no" / "frps.log")).error == errno.ENOENT
    assert read_place(str(tmp_path)).error == errno.EISDIR


def test_the_mode_says_who_may_write(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch()
    path.chmod(0o640)
    status = path.stat()
    mine, group = status.st_uid, frozenset({status.st_gid})
    other = mine + 4711
    assert may_write(status, 0, frozenset())
    assert may_write(status, mine, group)
    assert not may_write(status, other, group)
    path.chmod(0o660)
    assert may_write(path.stat(), other, group)
    assert not may_write(path.stat(), other, frozenset())


def test_a_console_is_whoever_started_it() -> None:
    case = Case("frps")
    assert list(check_logs(case)) == []
    case.server = ServerConfig()
    assert ["standard output" in one.found for one in check_logs(case)] == [True]


def test_a_file_is_tried(tmp_path: Path) -> None:
    case = Case("frpc")
    path = str(tmp_path / "no" / "frpc.log")
    case.client = ClientSetup(common=ClientConfig(log_file=path))
    assert ["does not exist" in one.found for one in check_logs(case)] == [True]
