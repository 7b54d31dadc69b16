from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pytest

from frpd.auth import AUTHENTICATORS
from frpd.auth.token import Credential, TokenAuthenticator, privilege_key
from frpd.errors import AuthError
from tests.unit.proto.vectors import load

NOW = 1_600_000_000


@dataclass
class Login:
    """The checked fields of the real one; auth does not know messages."""

    privilege_key: str = ""
    timestamp: int = 0
    version: str = "0.21.0"


class Text:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


def authenticator(
    token: str = "t",
    timeout: int = 900,
    *,
    heartbeats: bool = False,
    new_work_conns: bool = False,
) -> TokenAuthenticator:
    return TokenAuthenticator(
        Text(token), timeout, heartbeats=heartbeats, new_work_conns=new_work_conns
    )


def login_at(timestamp: int, *, token: str = "t", version: str = "0.21.0") -> Login:
    return Login(privilege_key(token, timestamp), timestamp, version)


def test_keys_equal_frps() -> None:
    cases = load("auth_keys")["cases"]
    assert len(cases) == 24
    for case in cases:
        assert privilege_key(case["token"], int(case["timestamp"])) == case["key"]


def test_token_bytes_that_are_not_utf8_count_as_those_bytes() -> None:
    assert privilege_key("\udcff", 1) == hashlib.md5(b"\xff1").hexdigest()


def test_the_method_stands_in_the_table() -> None:
    assert AUTHENTICATORS["token"] is TokenAuthenticator


@pytest.mark.parametrize("token", ["", "t", "pässword\udcff"])
def test_a_clients_fields_pass_its_servers_check(token: str) -> None:
    both = authenticator(token)
    fields = both.login_fields(NOW)
    both.verify_login(Login(fields.privilege_key, fields.timestamp), NOW + 900)


@pytest.mark.parametrize(
    "login", [login_at(NOW, token="x"), Login("", NOW), Login("é", NOW), Login("0" * 32, NOW)]
)
def test_a_wrong_key_is_refused(login: Login) -> None:
    with pytest.raises(AuthError, match=r"^authorization failed$"):
        authenticator().verify_login(login, NOW)


def test_an_old_login_is_refused_and_a_future_one_is_not() -> None:
    authenticator().verify_login(login_at(NOW - 900), NOW)
    authenticator().verify_login(login_at(NOW + 10**6), NOW)
    with pytest.raises(AuthError, match=r"^authorization timeout$"):
        authenticator().verify_login(login_at(NOW - 901), NOW)


def test_time_is_checked_before_the_key() -> None:
    with pytest.raises(AuthError, match=r"^authorization timeout$"):
        authenticator().verify_login(Login("", 0), NOW)


def test_timeout_zero_asks_for_no_time() -> None:
    authenticator(timeout=0).verify_login(login_at(1), NOW)


@pytest.mark.parametrize(
    "version",
    ["", "0.18", "0.17.9", "0.x.0", "v1.2.3", "0.-20.0", "0.\u0661\u0669.0", "0.1_9.0", "a.b.c"],
)
def test_a_client_below_0_18_is_told_to_upgrade(version: str) -> None:
    with pytest.raises(AuthError) as caught:
        authenticator().verify_login(Login(version=version), NOW)
    assert str(caught.value) == "Please upgrade your frpc version to at least 0.18.0"


@pytest.mark.parametrize("version", ["0.18.0", "0.51.3", "1.0.0", "0.18.x", "0.70.1.2", "0.+19.0"])
def test_a_client_from_0_18_on_may_come(version: str) -> None:
    authenticator().verify_login(login_at(NOW, version=version), NOW)


def test_without_scopes_heartbeats_and_work_connections_carry_nothing() -> None:
    both = authenticator()
    assert both.ping_fields(NOW) == both.new_work_conn_fields(NOW) == Credential("", 0)
    both.verify_ping(Login())
    both.verify_new_work_conn(Login())


def test_heartbeat_scope_covers_pings_only() -> None:
    both = authenticator(heartbeats=True)
    assert both.ping_fields(NOW) == both.login_fields(NOW)
    assert both.new_work_conn_fields(NOW) == Credential("", 0)
    both.verify_ping(login_at(5))
    both.verify_new_work_conn(Login())
    with pytest.raises(AuthError) as caught:
        both.verify_ping(Login())
    assert str(caught.value) == "token in heartbeat doesn't match token from configuration"


def test_work_connection_scope_covers_work_connections_only() -> None:
    both = authenticator(new_work_conns=True)
    assert both.new_work_conn_fields(NOW) == both.login_fields(NOW)
    assert both.ping_fields(NOW) == Credential("", 0)
    both.verify_new_work_conn(login_at(5))
    both.verify_ping(Login())
    with pytest.raises(AuthError) as caught:
        both.verify_new_work_conn(Login())
    assert str(caught.value) == "token in NewWorkConn doesn't match token from configuration"


def test_a_login_that_proves_itself_later_may_leave_the_key_out_and_not_lie() -> None:
    ours = authenticator()
    ours.verify_login(Login(version="0.51.3"), 100, proves_later=True)
    for key, later in (("", False), ("wrong", True), ("wrong", False)):
        with pytest.raises(AuthError, match="authorization failed"):
            ours.verify_login(Login(version="0.51.3", privilege_key=key), 100, proves_later=later)
