"""frpd.admin.web_app: frp's manners, JSON, the gate, and nothing of a bug but its name."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from frpd.admin.access import ControlGate, Gate, Refusal
from frpd.admin.loop_calls import LoopBusyError
from frpd.admin.web_app import (
    AdminApp,
    ApiError,
    Reply,
    body_object,
    body_string,
    body_text,
    flag,
    number,
    query,
)
from tests.unit.admin.wsgi import Caller, Response


class Gatekeeper:
    """Refuses what the test says."""

    def __init__(self) -> None:
        self.refusal: Refusal | None = None
        self.asked: list[bool] = []

    def refuse(self, environ: Mapping[str, Any], *, changes: bool) -> Refusal | None:
        del environ
        self.asked.append(changes)
        return self.refusal


def make(gate: Gate | None = None) -> tuple[AdminApp, Caller]:
    chosen = gate or ControlGate()
    app = AdminApp(lambda _environ: chosen)
    return app, Caller(app)


def test_what_a_handler_returns_is_json_that_nobody_sniffs_or_keeps() -> None:
    app, call = make()
    app.get("/x", lambda: {"name": "ünïcode \udc80"})
    answer = call.get("/x")
    assert answer.status == 200
    assert answer.json == {"name": "ünïcode \udc80"}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_reply_is_sent_as_it_is() -> None:
    app, call = make()
    app.get("/x", lambda: Reply("text\n", headers={"X-A": "b"}))
    answer = call.get("/x")
    assert (answer.text, answer.headers["X-A"]) == ("text\n", "b")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_parts_of_the_path_are_arguments_in_any_script() -> None:
    app, call = make()
    app.get("/a/<kind>/<name:path>", lambda kind, name: [kind, name])
    assert call.get("/a/tcp/x%2Fy%20%E4%BD%A0").json == ["tcp", "x/y 你"]
    assert call.get("/a/tcp/").status == 404


def test_unknown_paths_and_wrong_methods_are_answered_as_in_frp() -> None:
    app, call = make()
    app.get("/x", lambda: 1)
    unknown = call.get("/y")
    assert (unknown.status, unknown.text) == (404, "404 page not found\n")
    assert unknown.headers["Content-Type"] == "text/plain; charset=utf-8"
    for method in ("POST", "PUT", "HEAD", "OPTIONS"):
        wrong = call(method, "/x")
        assert (wrong.status, wrong.body) == (405, b"")


def test_an_error_is_json_with_frp_s_code_and_fields() -> None:
    app, call = make()

    def fail() -> None:
        raise ApiError(404, "no proxy info found", code=1, fields={"conf": None})

    app.get("/x", fail)
    answer = call.get("/x")
    assert answer.status == 404
    assert answer.json == {"code": 1, "msg": "no proxy info found", "conf": None}


def test_a_busy_loop_is_503() -> None:
    app, call = make()

    def wait() -> None:
        raise LoopBusyError("no answer within 5 s")

    app.get("/x", wait)
    assert call.get("/x").status == 503


def test_a_bug_is_logged_and_tells_the_client_nothing(caplog: pytest.LogCaptureFixture) -> None:
    app, call = make()

    def fail() -> None:
        raise KeyError("a secret")

    app.get("/x", fail)
    with caplog.at_level(logging.ERROR, "frpd"):
        answer = call.get("/x")
    assert answer.status == 500
    assert "secret" not in answer.text
    assert "a secret" in caplog.text


def test_the_gate_is_asked_for_all_but_what_is_free() -> None:
    gate = Gatekeeper()
    app, call = make(gate)
    app.get("/x", lambda: 1)
    app.change("PUT", "/x", lambda: 2)
    app.free("/healthz", Reply)
    assert (call.get("/x").json, call("PUT", "/x").json) == (1, 2)
    assert gate.asked == [False, True]
    gate.refusal = Refusal(403, "not from there")
    assert call.get("/x").json == {"code": 403, "msg": "not from there"}
    assert call.get("/x", accept="text/html,*/*").text == "not from there\n"
    for method in ("GET", "POST", "HEAD", "DELETE"):
        free = call(method, "/healthz")
        assert (free.status, free.body) == (200, b"")


def test_who_has_to_log_in_is_told_as_in_frp() -> None:
    gate = Gatekeeper()
    app, call = make(gate)
    app.get("/x", lambda: 1)
    gate.refusal = Refusal(401, "Unauthorized")
    answer: Response = call.get("/x")
    assert (answer.status, answer.text) == (401, "Unauthorized\n")
    assert answer.headers["Www-Authenticate"] == 'Basic realm="Restricted"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_get_changes_something_only_for_those_who_are_no_browser() -> None:
    app, call = make()
    app.change("GET", "/reload", lambda: "done")
    assert call.get("/reload", user_agent="Go-http-client/1.1").json == "done"
    assert call.get("/reload", user_agent="Mozilla/5.0").status == 403
    assert call.get("/reload", sec_fetch_site="same-origin").status == 403


def test_parameters() -> None:
    app, call = make()
    app.get("/x", lambda: [query("q"), flag("yes"), flag("no"), number("n", 7, low=1, high=9)])
    assert call.get("/x").json == ["", False, False, 7]
    assert call.get("/x?q=%E4%BD%A0&yes=true&no=0&n=3").json == ["你", True, False, 3]


@pytest.mark.parametrize("text", ["0", "10", "-1", "x", "1.5", "99999999999", "%C2%B3"])
def test_a_number_out_of_range_is_400(text: str) -> None:
    app, call = make()
    app.get("/x", lambda: number("n", 7, low=1, high=9))
    assert call.get(f"/x?n={text}").status == 400


def test_bodies() -> None:
    app, call = make()
    app.change("PUT", "/text", body_text)
    app.change("PUT", "/object", body_object)
    app.change("PUT", "/string", lambda: body_string("name"))
    assert call("PUT", "/text", "häh").json == "häh"
    assert call("PUT", "/object", {"a": [1]}).json == {"a": [1]}
    assert call("PUT", "/string", {"name": "x"}).json == "x"
    assert call("PUT", "/string", {}).json == ""
    assert call("PUT", "/text", b"\xff").status == 400
    assert call("PUT", "/string", {"name": 1}).status == 400


@pytest.mark.parametrize("body", ["", "[]", "nonsense", "1", "[" * 60_000])
def test_a_body_that_is_no_object_is_400(body: str) -> None:
    app, call = make()
    app.change("PUT", "/object", body_object)
    assert call("PUT", "/object", body).status == 400


def test_what_a_client_has_is_not_sent_again() -> None:
    app = AdminApp(lambda _environ: ControlGate())
    app.get("/x", lambda: {"a": 1})
    app.get("/own", lambda: Reply("x", headers={"ETag": '"mine"'}))
    app.change("POST", "/x", lambda: {"a": 1})
    call = Caller(app)
    first = call.get("/x")
    assert (first.json, first.headers["Cache-Control"]) == ({"a": 1}, "no-store")
    again = call.get("/x", If_None_Match=first.headers["Etag"])
    assert (again.status, again.body) == (304, b"")
    assert call.get("/own").headers["Etag"] == '"mine"'
    assert "Etag" not in call("POST", "/x").headers


def test_who_has_to_wait_is_told_how_long() -> None:
    keeper = Gatekeeper()
    keeper.refusal = Refusal(429, "too many", 60)
    app = AdminApp(lambda _environ: keeper)
    app.get("/x", dict)
    answer = Caller(app).get("/x")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
    assert answer.json == {"code": 429, "msg": "too many"}
