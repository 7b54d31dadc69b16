"""frpd.admin.frpc.actions: reload as Go's frpc asks for it, and stop."""

from __future__ import annotations

from frpd.admin.frpc.actions import STOP_SECONDS
from frpd.admin.reload import ReloadReport
from tests.helpers.world import World
from tests.unit.admin.frpc.desk import Desk


def test_reload_by_get_is_for_frp_and_by_post_for_us(world: World) -> None:
    desk = Desk(world, reload=lambda _strict, done: done(ReloadReport(added=("a",))))
    for method in ("GET", "POST"):
        answer = desk.call(method, "/api/reload").json
        assert (answer["code"], answer["msg"], answer["added"]) == (0, "", ["a"])
    assert desk.call.get("/api/reload", origin="http://evil.example").status == 403


def test_go_s_frpc_prints_the_body_of_an_error(world: World) -> None:
    desk = Desk(world, reload=lambda _strict, done: done(ReloadReport("line 3: no", 2)))
    answer = desk.call.get("/api/reload")
    assert (answer.status, answer.text) == (400, "line 3: no\n")
    assert desk.call("POST", "/api/reload").json == {"code": 2, "msg": "line 3: no"}


def test_stop_answers_first(world: World) -> None:
    desk = Desk(world)
    answer = desk.call("POST", "/api/stop")
    assert (answer.status, answer.body, desk.stopped) == (200, b"", 0)
    world.advance(STOP_SECONDS)
    assert desk.stopped == 1
