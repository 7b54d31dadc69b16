"""The daemon that runs, or does not."""

from __future__ import annotations

import pytest

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Verdict
from frpd.cli.doctor.running import (
    check_daemon,
    check_load,
    judge_absence,
    judge_daemon,
    judge_load,
)

ABOUT = {"program": "frps", "version": "1.2", "pid": 7, "uptime_seconds": 150 * 60.0}


@pytest.mark.parametrize(
    ("reason", "verdict", "remedy"),
    [
        ("frps does not run: there is no control socket x", Verdict.WARNING, "start it"),
        ("x: permission denied: run as root", Verdict.WARNING, "as root"),
        ("x: no answer in time", Verdict.FAULT, "restart it"),
        ("x: wrong user or password", Verdict.WARNING, "control_socket"),
    ],
)
def test_each_silence_has_its_remedy(reason: str, verdict: Verdict, remedy: str) -> None:
    finding = judge_absence("frps", reason)
    assert finding.verdict is verdict
    assert reason in finding.found
    assert remedy in finding.remedy


def test_a_daemon_says_who_it_is_and_since_when() -> None:
    (finding,) = judge_daemon(ABOUT, "1.2")
    assert finding.verdict is Verdict.OK
    assert finding.found == "frps 1.2 runs as process 7 since 2 h"


def test_an_older_one_is_to_be_restarted() -> None:
    (finding,) = judge_daemon(ABOUT, "1.3")
    assert finding.verdict is Verdict.WARNING
    assert "restart" in finding.remedy


@pytest.mark.parametrize(
    ("lag", "worst", "verdict"),
    [
        (0.001, 0.1, Verdict.OK),
        (0.001, 3.0, Verdict.WARNING),
        (0.5, 3.0, Verdict.FAULT),
    ],
)
def test_a_loop_that_is_late_is_told(lag: float, worst: float, verdict: Verdict) -> None:
    assert judge_load({"lag_seconds": lag, "worst_lag_seconds": worst}).verdict is verdict


def test_without_a_daemon_there_is_no_load() -> None:
    case = Case("frps", daemon="it does not run")
    assert list(check_load(case)) == []
    assert [one.found for one in check_daemon(case)] == ["it does not run"]
