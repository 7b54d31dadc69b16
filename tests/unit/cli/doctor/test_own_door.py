"""frps, asked at its own port."""

from __future__ import annotations

from frpd.cli.admin_client import Target
from frpd.cli.ctl.daemons import Daemon
from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Verdict
from frpd.cli.doctor.own_door import check_own_door, client_of, judge_own_door
from frpd.cli.doctor.probe import LoginResult, Outcome
from frpd.config.secret import Secret
from frpd.config.server import ServerConfig
from tests.helpers.frp_listeners import Peer, frps_without_mux

AT = "127.0.0.1:7000"


def test_a_client_of_this_machine_is_set_as_the_server_is() -> None:
    config = ServerConfig(bind_port=7001, token=Secret("x"), tcp_mux=False, tls_only=True)
    client = client_of(config)
    assert (client.server_addr, client.server_port) == ("127.0.0.1", 7001)
    assert (client.token, client.tcp_mux, client.tls_enable) == (Secret("x"), False, True)
    assert client_of(ServerConfig(bind_addr="192.0.2.1")).server_addr == "192.0.2.1"


def test_a_token_that_was_changed_in_the_file_alone_is_found_out() -> None:
    assert judge_own_door(AT, LoginResult(Outcome.ENTERED)).verdict is Verdict.OK
    refused = judge_own_door(AT, LoginResult(Outcome.REFUSED, "authorization failed"))
    assert refused.verdict is Verdict.FAULT
    assert "reload" in refused.remedy
    silent = judge_own_door(AT, LoginResult(Outcome.UNANSWERED, "closed"))
    assert silent.verdict is Verdict.FAULT
    assert "has the port" in silent.remedy


def test_only_a_server_that_runs_is_asked() -> None:
    with Peer(frps_without_mux()) as peer:
        case = Case("frps", daemon=Daemon(Target("/x"), {"program": "frps", "pid": 1}))
        assert list(check_own_door(case)) == []
        case.server = ServerConfig(bind_port=peer.port, tcp_mux=False)
        assert [one.verdict for one in check_own_door(case)] == [Verdict.OK]
        case.server = ServerConfig(bind_port=1, tls_only=True, tls_trusted_ca_file="ca.pem")
        assert list(check_own_door(case)) == []
