"""How many files a daemon may have open."""

from __future__ import annotations

import os
import resource

import pytest

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Verdict
from frpd.cli.doctor.limits import (
    RESERVE_FILES,
    FileLimit,
    check_limits,
    judge_limit,
    needed,
    read_limit,
)


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [
        (FileLimit(100, 20, pid=7), Verdict.FAULT),
        (FileLimit(1000, 20, pid=7), Verdict.WARNING),
        (FileLimit(1000, 950, pid=7), Verdict.FAULT),
        (FileLimit(1000, 20, needed=2000, pid=7), Verdict.FAULT),
        (FileLimit(65536, 20, pid=7), Verdict.OK),
        (FileLimit(65536, None, pid=7), Verdict.OK),
        (FileLimit(100), Verdict.FAULT),
    ],
)
def test_a_limit_is_judged_by_what_is_needed(limit: FileLimit, verdict: Verdict) -> None:
    assert judge_limit("frps", limit).verdict is verdict


def test_a_client_needs_less() -> None:
    assert judge_limit("frpc", FileLimit(1024, 20, pid=7)).verdict is Verdict.OK


def test_the_remedy_for_a_daemon_that_runs_needs_no_restart() -> None:
    low = judge_limit("frps", FileLimit(100, 20, pid=7))
    assert "LimitNOFILE=" in low.remedy
    assert "prlimit --pid 7" in low.remedy
    assert "prlimit" not in judge_limit("frps", FileLimit(100)).remedy


def test_proxies_and_connections_need_files() -> None:
    assert needed({"proxies": {"tcp": 3, "http": 1}, "connections": 10}) == RESERVE_FILES + 24
    assert needed({"proxies": [{"cur_conns": 2}, {"cur_conns": 3}]}) == RESERVE_FILES + 12
    assert needed({}) == RESERVE_FILES


def test_the_limit_of_a_process_is_the_kernel_s() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    running, from_here = read_limit(os.getpid(), {}), read_limit(0, {})
    assert running is not None
    assert from_here is not None
    assert running.limit == soft
    assert running.used
    assert from_here.limit == hard
    assert read_limit(2**22 + 1, {}) is None  # more than a pid can be


def test_without_a_daemon_the_limit_is_what_one_would_get() -> None:
    (finding,) = check_limits(Case("frps"))
    assert "would get from here" in finding.found
