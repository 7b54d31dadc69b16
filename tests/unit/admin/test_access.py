"""frpd.admin.access: logins, peers of this machine, and pages of other origins."""

from __future__ import annotations

import base64
import logging

import pytest

from frpd.admin.access import (
    FAILURE_PAUSE_SECONDS,
    ControlGate,
    Credentials,
    Refusal,
    TcpGate,
    is_browser,
    is_of_this_machine,
    is_plain_host,
    is_same_origin,
)
from frpd.admin.lock_out import MAX_FAILURES, LockOut
from frpd.config.secret import NO_SECRET, Secret

HERE, ELSEWHERE = "127.0.0.1", "192.0.2.7"
OPS = Credentials("ops", Secret("s3cret"))
OPEN = Credentials("", NO_SECRET)
ADMIN = Credentials("admin", Secret("admin"))


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def environ(peer: str = HERE, **fields: str) -> dict[str, str]:
    return {"REMOTE_ADDR": peer, "HTTP_HOST": "127.0.0.1:7500", **fields}


class Pauses(list[float]):
    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def verdict(
    credentials: Credentials, environ: dict[str, str], *, changes: bool = False
) -> int | None:
    refusal = TcpGate(lambda: credentials, Pauses()).refuse(environ, changes=changes)
    return None if refusal is None else refusal.status


def test_who_knows_user_and_password_is_let_in_from_everywhere() -> None:
    login = basic("ops", "s3cret")
    for changes in (False, True):
        asked = environ(ELSEWHERE, HTTP_AUTHORIZATION=login)
        assert verdict(OPS, asked, changes=changes) is None


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        basic("ops", "wrong"),
        basic("wrong", "s3cret"),
        basic("ops", ""),
        basic("", "s3cret"),
        "Basic nonsense",
        "Bearer s3cret",
    ],
)
def test_nobody_else_is(authorization: str) -> None:
    fields = {"HTTP_AUTHORIZATION": authorization} if authorization else {}
    assert verdict(OPS, environ(**fields)) == 401


def test_a_wrong_password_costs_time_a_missing_one_none() -> None:
    pauses = Pauses()
    gate = TcpGate(lambda: OPS, pauses)
    gate.refuse(environ(), changes=False)
    assert pauses == []
    gate.refuse(environ(HTTP_AUTHORIZATION=basic("ops", "x")), changes=False)
    assert pauses == [FAILURE_PAUSE_SECONDS]


def test_an_empty_user_with_a_password_is_a_login() -> None:
    login = Credentials("", Secret("x"))
    assert verdict(login, environ()) == 401
    assert verdict(login, environ(HTTP_AUTHORIZATION=basic("", "x"))) is None


def test_credentials_are_asked_for_each_time() -> None:
    known = [OPS, Credentials("ops", Secret("new"))]
    gate = TcpGate(lambda: known[0], Pauses())
    asked = environ(HTTP_AUTHORIZATION=basic("ops", "new"))
    assert gate.refuse(asked, changes=False) is not None
    known.pop(0)
    assert gate.refuse(asked, changes=False) is None


def test_the_default_password_is_for_this_machine_and_that_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = TcpGate(lambda: ADMIN, Pauses())
    login = {"HTTP_AUTHORIZATION": basic("admin", "admin")}
    assert gate.refuse(environ(HERE, **login), changes=True) is None
    with caplog.at_level(logging.WARNING, "frpd"):
        for _ in range(3):
            refusal = gate.refuse(environ(ELSEWHERE, **login), changes=False)
            assert refusal is not None
            assert refusal.status == 403
            assert "set dashboard_user and dashboard_pwd" in refusal.message
    assert len(caplog.records) == 1


def test_a_reverse_proxy_on_this_machine_is_not_this_machine() -> None:
    login = basic("admin", "admin")
    asked = environ(HERE, HTTP_AUTHORIZATION=login, HTTP_X_FORWARDED_FOR=ELSEWHERE)
    assert verdict(ADMIN, asked) == 403


def test_an_open_api_is_read_from_everywhere_and_changed_from_here() -> None:
    assert verdict(OPEN, environ(ELSEWHERE)) is None
    assert verdict(OPEN, environ(HERE), changes=True) is None
    assert verdict(OPEN, environ(ELSEWHERE), changes=True) == 403


def test_an_open_api_is_not_reached_by_a_name_that_a_page_made_up() -> None:
    fields = {"HTTP_HOST": "rebound.example:7400", "HTTP_SEC_FETCH_SITE": "same-origin"}
    assert verdict(OPEN, environ() | fields) == 403
    login = {"HTTP_AUTHORIZATION": basic("ops", "s3cret")}
    assert verdict(OPS, environ() | fields | login, changes=True) is None


@pytest.mark.parametrize(
    ("fields", "is_same"),
    [
        ({}, True),
        ({"HTTP_SEC_FETCH_SITE": "same-origin"}, True),
        ({"HTTP_SEC_FETCH_SITE": "none"}, True),
        ({"HTTP_SEC_FETCH_SITE": "same-site"}, False),
        ({"HTTP_SEC_FETCH_SITE": "cross-site"}, False),
        ({"HTTP_ORIGIN": "http://127.0.0.1:7500"}, True),
        ({"HTTP_ORIGIN": "https://127.0.0.1:7500"}, True),
        ({"HTTP_ORIGIN": "http://127.0.0.1:7501"}, False),
        ({"HTTP_ORIGIN": "http://evil.example"}, False),
        ({"HTTP_ORIGIN": "null"}, False),
    ],
)
def test_a_change_comes_from_a_page_of_ours_or_from_no_page(
    fields: dict[str, str], is_same: bool
) -> None:
    asked = environ() | fields
    assert is_same_origin(asked) is is_same
    asked["HTTP_AUTHORIZATION"] = basic("ops", "s3cret")
    assert verdict(OPS, asked, changes=True) == (None if is_same else 403)
    assert verdict(OPS, asked) is None


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_peers_of_this_machine(peer: str) -> None:
    assert is_of_this_machine({"REMOTE_ADDR": peer})


@pytest.mark.parametrize("peer", ["192.0.2.7", "fe80::1%eth0", "::ffff:10.0.0.1", "", "x"])
def test_peers_of_others(peer: str) -> None:
    assert not is_of_this_machine({"REMOTE_ADDR": peer})


@pytest.mark.parametrize(
    ("host", "is_plain"),
    [
        ("127.0.0.1:7400", True),
        ("192.0.2.1", True),
        ("[::1]:7400", True),
        ("localhost:7400", True),
        ("LOCALHOST", True),
        ("", True),
        ("evil.example:7400", False),
        ("localhost.evil.example", False),
    ],
)
def test_hosts_that_no_page_can_lead_to_us(host: str, is_plain: bool) -> None:
    assert is_plain_host(host) is is_plain


@pytest.mark.parametrize(
    ("fields", "is_one"),
    [
        ({}, False),
        ({"HTTP_USER_AGENT": "Go-http-client/1.1"}, False),
        ({"HTTP_USER_AGENT": "Mozilla/5.0 (X11)"}, True),
        ({"HTTP_REFERER": "http://x/"}, True),
        ({"HTTP_SEC_FETCH_MODE": "no-cors"}, True),
    ],
)
def test_browsers(fields: dict[str, str], is_one: bool) -> None:
    assert is_browser(fields) is is_one


def test_who_could_connect_the_control_socket_may_do_all() -> None:
    assert ControlGate().refuse({}, changes=True) is None


def test_who_guesses_is_told_to_wait_even_with_the_right_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    pauses = Pauses()
    gate = TcpGate(lambda: OPS, pauses, LockOut(lambda: now[0]))
    wrong = environ(ELSEWHERE, HTTP_AUTHORIZATION=basic("ops", "x"))
    right = environ(ELSEWHERE, HTTP_AUTHORIZATION=basic("ops", "s3cret"))
    told = [gate.refuse(wrong, changes=False) for _ in range(MAX_FAILURES)]
    assert [one.status for one in told if one is not None] == [401] * 4 + [429]
    assert len(pauses) == MAX_FAILURES - 1
    assert "is locked out of the API for 60 s" in caplog.text
    now[0] = 59.5
    assert gate.refuse(right, changes=False) == Refusal(
        429, "too many wrong passwords; try again in 1 s", 1
    )
    assert gate.refuse(environ(ELSEWHERE), changes=False) == Refusal(401, "Unauthorized")
    assert (
        gate.refuse(environ(HERE, HTTP_AUTHORIZATION=basic("ops", "s3cret")), changes=True) is None
    )
    now[0] = 60.0
    assert gate.refuse(right, changes=False) is None


def test_a_dashboard_that_is_open_does_not_help_who_guesses_beside_it() -> None:
    gate = TcpGate(lambda: OPS, Pauses(), LockOut(lambda: 0.0))
    found = []
    for _ in range(MAX_FAILURES):
        asked = environ(HTTP_AUTHORIZATION=basic("ops", "s3cret"))
        assert gate.refuse(asked, changes=False) is None
        found.append(gate.refuse(environ(HTTP_AUTHORIZATION=basic("ops", "x")), changes=False))
    assert found[-1] is not None
    assert found[-1].status == 429
