"""The checks, in their order. To add one: a file, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.certificates import check_certificates
from frpd.cli.doctor.clients import check_clients
from frpd.cli.doctor.clock import check_clock
from frpd.cli.doctor.file import check_file, check_rights, check_token
from frpd.cli.doctor.finding import Finding
from frpd.cli.doctor.limits import check_limits
from frpd.cli.doctor.login import check_login
from frpd.cli.doctor.logs import check_logs
from frpd.cli.doctor.own_door import check_own_door
from frpd.cli.doctor.ports import check_ports
from frpd.cli.doctor.reach import check_dns, check_reach
from frpd.cli.doctor.running import check_daemon, check_load
from frpd.cli.doctor.services import check_services
from frpd.cli.doctor.session import check_proxies, check_session
from frpd.cli.doctor.traffic import check_traffic


class Check(NamedTuple):
    """One check.

    Attributes:
        name: one word, for the operator and for programs.
        examine: gathers facts and judges them; on a thread of its own.
        seconds: how long it may take before it is given up.
    """

    name: str
    examine: Callable[[Case], Iterable[Finding]]
    seconds: float = 5.0


CHECKS: Final[tuple[Check, ...]] = (
    Check("file", check_file),
    Check("rights", check_rights),
    Check("token", check_token),
    Check("daemon", check_daemon),
    Check("clock", check_clock),
    Check("limits", check_limits),
    Check("log", check_logs),
    Check("certificates", check_certificates),
    Check("ports", check_ports, 8.0),
    Check("dns", check_dns, 5.0),
    Check("reach", check_reach, 6.0),
    Check("login", check_login, 12.0),
    Check("door", check_own_door, 6.0),
    Check("services", check_services, 8.0),
    Check("session", check_session),
    Check("proxies", check_proxies),
    Check("clients", check_clients),
    Check("load", check_load),
    Check("traffic", check_traffic, 10.0),
)
"""One that does not concern a program finds nothing there."""
