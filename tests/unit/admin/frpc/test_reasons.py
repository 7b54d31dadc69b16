"""frpd.admin.frpc.reasons: why a proxy is not running, in words for people."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frpd.admin.frpc.reasons import reason
from frpd.client.snapshot import ProxySnapshot, SessionSnapshot

PROXY = ProxySnapshot(
    name="web",
    proxy_type="tcp",
    phase="new",
    error="",
    since=None,
    retry_in_seconds=None,
    remote_addr="",
    wanted_port=6000,
    local_addr="127.0.0.1:22",
    plugin="",
    connections_open=0,
    connections_total=0,
    bytes_in=0,
    bytes_out=0,
)
SESSION = SessionSnapshot(
    address="x:7000",
    protocol="tcp",
    tls=False,
    is_connected=True,
    since=1.0,
    retry_in_seconds=None,
    run_id="me",
    server_version="0.51.3",
    features=(),
    is_sealed=False,
    logins=1,
    last_error="",
    rtt_ms=None,
    retransmits=None,
    history=(),
)
AWAY = replace(SESSION, is_connected=False, since=None)


def test_what_runs_needs_no_reason() -> None:
    assert reason(replace(PROXY, phase="running"), SESSION) == ""


def test_without_a_session_that_is_the_reason() -> None:
    lost = replace(AWAY, last_error="connection refused", retry_in_seconds=1.2)
    for phase in ("new", "closed", "wait start"):
        assert reason(replace(PROXY, phase=phase), lost) == (
            "there is no session with the server: connection refused; "
            "the next attempt is made in 1 s"
        )
    assert reason(PROXY, AWAY) == "there is no session with the server"


def test_a_server_that_is_silent() -> None:
    assert reason(replace(PROXY, phase="wait start"), SESSION) == "the server has not answered yet"


def test_a_health_check_that_fails() -> None:
    ill = replace(PROXY, phase="check failed", error="connection refused")
    assert reason(ill, SESSION).endswith("service fails: connection refused")


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("port not allowed", "allow_ports"),
        ("port already used", "choose another one"),
        ("port unavailable", "another program"),
        ("no available port", "are taken"),
        ("exceed the max_ports_per_client", "no more ports"),
        ("proxy name [web] is already in use", "rename the section"),
        ("proxy [web] already exists", "rename the section"),
        ("custom listener for [web] is repeated", "rename the section"),
        ("router config conflict", "has this domain"),
        ("type [http] not support when vhost_http_port is not set", "has no port for this type"),
        ("group auth failed", "group_key"),
    ],
)
def test_a_refusal_comes_with_its_remedy(error: str, remedy: str) -> None:
    refused = replace(PROXY, phase="start error", error=error, retry_in_seconds=12.3)
    text = reason(refused, SESSION)
    assert text.startswith(f"the server refuses it: {error}; ")
    assert remedy in text
    assert text.endswith("; it is asked again in 12 s")


def test_a_refusal_that_nobody_knows_is_told_as_it_is() -> None:
    refused = replace(PROXY, phase="start error", error="E42", retry_in_seconds=12.0)
    assert reason(refused, SESSION) == "the server refuses it: E42; it is asked again in 12 s"


def test_what_we_cannot_serve_ourselves_is_no_refusal() -> None:
    broken = replace(PROXY, phase="start error", error="plugin x is unknown")
    assert reason(broken, AWAY) == "plugin x is unknown"
