"""The clients of frps, and what they speak."""

from __future__ import annotations

from frpd.cli.admin_client import Target
from frpd.cli.ctl.daemons import Daemon
from frpd.cli.doctor.case import Case
from frpd.cli.doctor.clients import check_clients, judge_clients
from frpd.cli.doctor.finding import Verdict

OURS = {"speaks": "frpd, sealed", "weak": []}
GO = {"speaks": "frp 0.21.0, legacy cipher", "weak": ["x"]}


def test_clients_are_counted_by_what_they_speak() -> None:
    (finding,) = judge_clients([OURS, OURS])
    assert finding.found == "clients are connected: 2 by frpd, sealed"
    assert judge_clients([]).__next__().found == "no client is connected"


def test_weak_ones_are_a_warning() -> None:
    fine, weak = judge_clients([OURS, GO])
    assert fine.verdict is Verdict.OK
    assert weak.verdict is Verdict.WARNING
    assert weak.found.startswith("1 of them")


def test_only_a_server_has_clients_and_one_that_is_silent_is_a_warning() -> None:
    daemon = Daemon(Target("/no/such/socket"), {"program": "frpc", "pid": 1})
    assert list(check_clients(Case("frpc", daemon=daemon))) == []
    assert list(check_clients(Case("frps"))) == []
    assert [one.verdict for one in check_clients(Case("frps", daemon=daemon))] == [Verdict.WARNING]
