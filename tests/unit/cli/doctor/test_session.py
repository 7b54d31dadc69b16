"""What frpc says of its session, its proxies and its visitors."""

from __future__ import annotations

from typing import Any

import pytest

from frpd.cli.admin_client import Target
from frpd.cli.ctl.daemons import Daemon
from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Verdict
from frpd.cli.doctor.session import (
    check_proxies,
    check_session,
    judge_proxies,
    judge_session,
    judge_visitors,
)

CONNECTED = {"address": "s:7000", "is_connected": True, "speaks": "frpd, sealed"}
LOST = {"address": "s:7000", "is_connected": False, "last_error": "connection refused"}


def row(status: str, err: str = "") -> dict[str, Any]:
    return {"name": "web", "status": status, "err": err, "local_addr": "127.0.0.1:80"}


def case_of(server: dict[str, Any], *proxies: dict[str, Any]) -> Case:
    about = {"program": "frpc", "server": server, "proxies": list(proxies), "visitors": []}
    return Case("frpc", daemon=Daemon(Target("/x"), about))


def test_a_session_is_fine_and_none_is_a_fault_with_its_reason() -> None:
    assert judge_session(CONNECTED).verdict is Verdict.OK
    finding = judge_session(LOST)
    assert finding.verdict is Verdict.FAULT
    assert "connection refused" in finding.found


def test_who_has_only_just_begun_is_a_warning() -> None:
    finding = judge_session({**LOST, "last_error": ""})
    assert finding.verdict is Verdict.WARNING
    assert "about to log in" in finding.found


@pytest.mark.parametrize(
    ("status", "err", "verdict", "found", "remedy"),
    [
        ("start error", "port already used", Verdict.FAULT, "port already used", "remote_port"),
        ("start error", "port unavailable", Verdict.FAULT, "port unavailable", "another program"),
        ("start error", "port not allowed", Verdict.FAULT, "port not allowed", "allow_ports"),
        ("start error", "because", Verdict.FAULT, "because", "operator"),
        ("check failed", "", Verdict.FAULT, "health check", "start the local service"),
        ("wait start", "", Verdict.WARNING, "not registered yet", "ask again"),
    ],
)
def test_a_proxy_that_does_not_run_says_why(
    status: str, err: str, verdict: Verdict, found: str, remedy: str
) -> None:
    (finding,) = judge_proxies([row(status, err)])
    assert finding.verdict is verdict
    assert found in finding.found
    assert remedy in finding.remedy


def test_those_that_run_are_counted() -> None:
    assert [one.verdict for one in judge_proxies([row("running"), row("closed")])] == [
        Verdict.WARNING,
        Verdict.OK,
    ]


def test_a_visitor_whose_port_is_taken_says_so() -> None:
    fine = {"name": "v", "err": "", "bind_addr": "127.0.0.1:1"}
    taken = {**fine, "err": "listen tcp: bind: address already in use"}
    odd = {**fine, "err": "visitor connection error"}
    one, other = judge_visitors([fine, taken, odd])
    assert "is taken" in one.found
    assert "bind_port" in one.remedy
    assert "server_name" in other.remedy


def test_without_a_session_only_that_is_said() -> None:
    case = case_of(LOST, row("wait start"))
    assert [one.verdict for one in check_session(case)] == [Verdict.FAULT]
    assert list(check_proxies(case)) == []
    case = case_of(CONNECTED, row("running"))
    assert [one.verdict for one in (*check_session(case), *check_proxies(case))] == [
        Verdict.OK,
        Verdict.OK,
    ]
    assert list(check_session(Case("frpc"))) == []
