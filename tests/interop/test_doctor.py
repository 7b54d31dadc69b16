"""What frpd-ctl doctor makes of Go servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frpd.cli.config_file import ConfigFile
from frpd.cli.doctor.case import Case
from frpd.cli.doctor.checks import Check
from frpd.cli.doctor.examine import examine
from frpd.cli.doctor.file import check_file
from frpd.cli.doctor.finding import Finding, Verdict
from frpd.cli.doctor.login import check_login
from frpd.clock import unix_now
from tests.helpers.ports import free_port

if TYPE_CHECKING:
    from tests.helpers.peers_go import GoPeer
    from tests.helpers.stage import Stage

TOKEN = "a long and random token"
HOUR = 3600
CLOCK_COUNTS_BEFORE = (0, 23)  # later servers look at the key alone


def login(stage: Stage, port: int, *, seconds_behind: int = 0, **common: object) -> list[Finding]:
    """Return what the check of the login says."""
    base = {"server_addr": "127.0.0.1", "server_port": port, "token": TOKEN}
    file = ConfigFile.named(str(stage.write({"common": {**base, **common}})), None)
    case = Case("frpc", file, now_unix=lambda: unix_now() - seconds_behind)
    checks = [Check("file", check_file), Check("login", check_login, 20.0)]
    return [one.finding for one in examine(case, checks) if one.check == "login"]


def test_each_mistake_of_a_login_is_told_apart(stage: Stage, end_peer: GoPeer) -> None:
    port = free_port()
    stage.frps({"bind_port": port, "token": TOKEN, "tcp_mux": False}, folder=end_peer.folder)
    fine, weak = login(stage, port, tcp_mux=False)
    assert (fine.verdict, weak.verdict) == (Verdict.OK, Verdict.WARNING)
    assert f"frp {end_peer.version}" in fine.found
    (mux,) = login(stage, port, tcp_mux=True)
    assert "tcp_mux differs" in mux.found
    (token,) = login(stage, port, tcp_mux=False, token="another")
    assert "the token is wrong" in token.found
    late = login(stage, port, tcp_mux=False, seconds_behind=HOUR)[0]
    is_refused = end_peer.number < CLOCK_COUNTS_BEFORE
    assert ("clocks" in late.found) == is_refused
    assert (late.verdict is Verdict.FAULT) == is_refused
