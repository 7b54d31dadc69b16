"""The table of checks."""

from __future__ import annotations

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.checks import CHECKS


def test_each_check_has_a_name_of_its_own_and_a_time() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert all(check.seconds > 0 for check in CHECKS)


def test_what_does_not_concern_a_program_finds_nothing_there() -> None:
    by_name = {check.name: check for check in CHECKS}
    for name in ("dns", "reach", "login", "services", "session", "proxies", "door", "clients"):
        assert list(by_name[name].examine(Case("frps"))) == []
