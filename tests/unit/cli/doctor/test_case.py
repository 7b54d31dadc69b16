"""Case: how long a step may take, and what is known of the daemon."""

from __future__ import annotations

import pytest

from frpd.cli.admin_client import Target
from frpd.cli.ctl.daemons import CtlError, Daemon
from frpd.cli.doctor.case import LEAST_SECONDS, WHOLE_SECONDS, Case
from tests.helpers.clock import MockClock


def test_a_step_gets_what_is_left_of_the_whole_time() -> None:
    clock = MockClock()
    case = Case("frpc", clock=clock)
    assert case.seconds(4.0) == 4.0
    clock.advance(WHOLE_SECONDS - 3.0)
    assert case.seconds(4.0) == pytest.approx(3.0)
    clock.advance(10.0)
    assert case.seconds(4.0) == LEAST_SECONDS


def test_without_a_daemon_there_is_no_status_and_nobody_to_ask() -> None:
    case = Case("frps", daemon="it does not run")
    assert case.pid == 0
    assert case.status == {}
    with pytest.raises(CtlError, match="does not run"):
        case.get("/api/conns")


def test_a_daemon_has_said_who_it_is() -> None:
    about = {"program": "frps", "pid": 17}
    case = Case("frps", daemon=Daemon(Target("/no/such/socket"), about))
    assert case.pid == 17
    with pytest.raises(CtlError, match="no control socket"):
        case.get("/api/conns")


def test_a_daemon_that_is_silent_by_now_leaves_what_it_said() -> None:
    daemon = Daemon(Target("/no/such/socket"), {"program": "frps", "pid": 17})
    case = Case("frps", daemon=daemon)
    case.look_again()
    assert case.daemon is daemon
    nobody = Case("frps", daemon="it does not run")
    nobody.look_again()
    assert nobody.daemon == "it does not run"
