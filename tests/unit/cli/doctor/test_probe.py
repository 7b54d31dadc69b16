"""Logins on trial."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from frpd.auth.token import privilege_key
from frpd.cli.doctor.probe import Outcome, log_in
from frpd.client.login_attempt import NO_SEAL
from frpd.config.client import ClientConfig
from frpd.config.secret import Secret
from tests.helpers.frp_listeners import Json, Peer, frps_without_mux, silent
from tests.helpers.ports import free_port

SECONDS = 10.0
NOW = 1_600_000_000
TOKEN = "a long and random token"


def common(port: int, **fields: Any) -> ClientConfig:
    base = ClientConfig(server_addr="127.0.0.1", server_port=port, tcp_mux=False, pool_count=5)
    return replace(base, token=Secret(TOKEN), native="off", **fields)


def test_who_is_let_in_knows_whom_he_met_and_names_the_time_that_was_given() -> None:
    heard: list[Json] = []
    with Peer(frps_without_mux("", heard)) as service:
        (result,) = log_in([common(service.port, user="me")], SECONDS, lambda: NOW)
    assert (result.outcome, result.version) == (Outcome.ENTERED, "0.21.0")
    assert heard[0]["timestamp"] == NOW
    assert heard[0]["privilege_key"] == privilege_key(TOKEN, NOW)
    assert heard[0]["user"] == "me"
    assert not heard[0].get("pool_count")


def test_each_login_has_a_run_id_of_its_own() -> None:
    heard: list[Json] = []
    with Peer(frps_without_mux("authorization failed", heard)) as service:
        results = log_in([common(service.port)] * 2, SECONDS, lambda: NOW)
    assert [one.text for one in results] == ["authorization failed"] * 2
    ids = {login["run_id"] for login in heard}
    assert len(ids) == 2
    assert "" not in ids


def test_nobody_there_is_no_answer() -> None:
    (result,) = log_in([common(free_port())], SECONDS, lambda: NOW)
    assert not result.is_answered
    assert "connection refused" in result.text


def test_silence_ends_with_the_time() -> None:
    with Peer(silent) as service:
        (result,) = log_in([common(service.port)], 0.2, lambda: NOW)
    assert (result.outcome, result.text) == (
        Outcome.UNANSWERED,
        "no answer to the login within 0 s",
    )


def test_what_cannot_be_sealed_is_not_said() -> None:
    heard: list[Json] = []
    with Peer(frps_without_mux("", heard)) as service:
        config = replace(common(service.port), native="require", token=Secret())
        (result,) = log_in([config], SECONDS, lambda: NOW)
    assert (result.outcome, result.text) == (Outcome.REFUSED, NO_SEAL)
    assert heard == []


def test_a_certificate_that_cannot_be_used_is_told() -> None:
    config = common(1, tls_enable=True, tls_trusted_ca_file="/no/such/file")
    (result,) = log_in([config], SECONDS, lambda: NOW)
    assert "/no/such/file" in result.text
