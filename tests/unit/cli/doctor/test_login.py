"""What a login that succeeds, fails, or gets no answer says about the two ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Finding, Verdict
from frpd.cli.doctor.login import AS_SET, Variant, check_login, judge_login, variants
from frpd.cli.doctor.probe import LoginResult, Outcome
from frpd.client.login_attempt import NO_SEAL, NOT_PROVED, STRIPPED
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.secret import Secret
from tests.helpers.frp_listeners import Peer, frps_without_mux, says
from tests.helpers.ports import free_port

MUX, TLS, BOTH = (
    Variant(other_mux=True, other_tls=False),
    Variant(other_mux=False, other_tls=True),
    Variant(other_mux=True, other_tls=True),
)
SILENT = LoginResult(Outcome.UNANSWERED, "the server closed the connection without an answer")
ENTERED = LoginResult(Outcome.ENTERED, "", "0.51.3", frozenset({"seal"}))
NO_TOKEN = LoginResult(Outcome.REFUSED, "authorization failed")


def judge(
    first: LoginResult,
    others: dict[Variant, LoginResult] | None = None,
    said: bytes = b"",
    **common: Any,
) -> list[Finding]:
    return list(judge_login(ClientConfig(server_addr="s", **common), first, others or {}, said))


def only(first: LoginResult, *args: Any, **common: Any) -> Finding:
    (finding,) = judge(first, *args, **common)
    assert finding.verdict is Verdict.FAULT
    return finding


def test_a_sealed_session_is_fine() -> None:
    (finding,) = judge(ENTERED)
    assert finding.verdict is Verdict.OK
    assert finding.found == "s:7000 lets us in: frpd, tcp, tcp_mux on, sealed"


def test_a_go_server_without_tls_is_weak() -> None:
    entered = LoginResult(Outcome.ENTERED, "", "0.21.0")
    fine, weak = judge(entered, tcp_mux=False)
    assert fine.found == "s:7000 lets us in: frp 0.21.0, tcp, tcp_mux off"
    assert weak.verdict is Verdict.WARNING
    assert "tls_enable" in weak.remedy


def test_tls_without_an_authority_is_weak_too() -> None:
    entered = LoginResult(Outcome.ENTERED, "", "0.51.3")
    assert "tls_trusted_ca_file" in judge(entered, tls_enable=True)[1].remedy
    assert len(judge(entered, tls_enable=True, tls_trusted_ca_file="ca.pem")) == 1


@pytest.mark.parametrize(
    ("text", "found", "remedy"),
    [
        ("authorization failed", "token is wrong", "same token"),
        ("token in login doesn't match token from configuration", "token is wrong", "same token"),
        (f"{NOT_PROVED} (x)", "token is wrong", "same token"),
        ("authorization timeout", "clocks of the two machines differ", "date -u"),
        (STRIPPED, "somebody on the way", "tls_enable"),
        (NO_SEAL, "native = require", "native = auto"),
        ("client version is too old", "does not take this version", "upgrade"),
        ("register control error", "register control error", "operator"),
    ],
)
def test_each_refusal_has_its_remedy(text: str, found: str, remedy: str) -> None:
    finding = only(LoginResult(Outcome.REFUSED, text))
    assert found in finding.found
    assert remedy in finding.remedy


def test_tcp_mux_differs_where_only_the_other_way_is_answered() -> None:
    finding = only(SILENT, {MUX: ENTERED, TLS: SILENT, BOTH: SILENT})
    assert finding.found.startswith("tcp_mux differs between the ends: it is true here")
    assert "tcp_mux = false in frpc.ini" in finding.remedy
    assert "tcp_mux = true in frpc.ini" in only(SILENT, {MUX: ENTERED}, tcp_mux=False).remedy


def test_a_server_that_takes_tls_only_is_told_by_its_answer_to_tls() -> None:
    finding = only(SILENT, {MUX: SILENT, TLS: ENTERED, BOTH: SILENT})
    assert "tls_only" in finding.found
    assert finding.remedy == "set tls_enable = true in frpc.ini"
    finding = only(SILENT, {TLS: ENTERED}, tls_enable=True)
    assert "a server that speaks TLS" in finding.remedy


def test_two_differences_and_a_wrong_token_are_three_findings() -> None:
    findings = judge(SILENT, {MUX: SILENT, TLS: SILENT, BOTH: NO_TOKEN})
    assert [one.found.split()[0] for one in findings] == ["tcp_mux", "TLS", "s:7000"]
    assert "token is wrong" in findings[2].found


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("the certificate of s is refused: certificate has expired; x", "tls_cert_file of frps"),
        ("the certificate of s is refused: certificate is not yet valid; x", "clock"),
        ("the certificate of s is refused: IP address mismatch, x", "tls_server_name"),
        ("the certificate of s is refused: self-signed certificate; x", "set tls_trusted_ca_file"),
        ("the peer says that our certificate has expired", "renew tls_cert_file here"),
        ("the peer does not trust our certificate", "set tls_cert_file"),
        ("the peer demands a certificate: set x", "set tls_cert_file"),
    ],
)
def test_each_failure_of_tls_has_its_remedy(text: str, remedy: str) -> None:
    finding = only(LoginResult(Outcome.UNANSWERED, f"TLS: {text}"), tls_enable=True)
    assert finding.found.startswith("TLS with s:7000 fails")
    assert remedy in finding.remedy


def test_without_tls_nobody_hears_the_token_of_who_asks_for_tls() -> None:
    ours = ClientConfig(tls_enable=True, token=Secret("hush"), user="me", native="require")
    for variant in (TLS, BOTH):
        turned = variant.of(ours)
        assert not turned.tls_enable
        assert turned.token != ours.token
        assert (turned.user, turned.native) == ("", "off")
    assert MUX.of(ours).token == ours.token
    assert TLS.of(replace(ours, tls_enable=False)).token == ours.token


def test_that_a_stranger_is_refused_is_no_finding() -> None:
    finding = only(SILENT, {MUX: SILENT, TLS: NO_TOKEN}, tls_enable=True)
    assert "answers only without it" in finding.found


def test_another_service_is_named() -> None:
    finding = only(SILENT, {MUX: SILENT}, b"SSH-2.0-OpenSSH_9\r\n")
    assert finding.found == "s:7000 speaks no frp: it is an SSH server (SSH-2.0-OpenSSH_9)"
    assert "what it says begins with b'what?'" in only(SILENT, {}, b"what?").found
    assert "answers no login" in only(SILENT, {}, b"").found


def test_a_carrier_that_is_tls_is_not_tried_without() -> None:
    assert variants(ClientConfig(protocol="wss")) == [MUX]
    assert variants(ClientConfig()) == [MUX, TLS, BOTH]
    assert AS_SET.of(ClientConfig()) == ClientConfig()
    turned = BOTH.of(ClientConfig())
    assert (turned.tcp_mux, turned.tls_enable) == (False, True)


def case_of(port: int, **common: Any) -> Case:
    case = Case("frpc")
    config = ClientConfig(server_addr="127.0.0.1", server_port=port, **common)
    case.client = ClientSetup(common=config)
    return case


def test_a_port_of_another_service_is_found_out() -> None:
    with Peer(says(b"SSH-2.0-x\r\n")) as service:
        (finding,) = check_login(case_of(service.port))
    assert "an SSH server" in finding.found


def test_a_server_with_the_other_tcp_mux_is_found_out() -> None:
    with Peer(frps_without_mux("authorization failed")) as service:
        mux, token = check_login(case_of(service.port))
    assert mux.found.startswith("tcp_mux differs")
    assert "token is wrong" in token.found


def test_where_the_way_is_closed_nobody_logs_in() -> None:
    case = case_of(1)
    case.can_reach = False
    assert list(check_login(case)) == []


def test_by_udp_only_silence_tells_that_nobody_is_there() -> None:
    (finding,) = check_login(case_of(free_port(), protocol="kcp"))
    assert "answers no login by kcp" in finding.found
    assert "kcp_bind_port" in finding.remedy


def test_a_token_of_a_provider_is_not_asked_for() -> None:
    (finding,) = check_login(case_of(1, authentication_method="oidc"))
    assert finding.verdict is Verdict.WARNING
    assert "OIDC" in finding.found
