"""frpd.admin.reloading: reload, what it would change, and texts that are no file yet."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from frpd.admin.access import ControlGate
from frpd.admin.reload import Reload, ReloadReport
from frpd.admin.reloading import check_with, reload_with
from frpd.admin.web_app import AdminApp
from tests.helpers.world import World
from tests.unit.admin.wsgi import Caller, InlineCalls


@pytest.fixture
def app() -> AdminApp:
    return AdminApp(lambda _environ: ControlGate())


class Plans:
    """A plan that remembers what it was asked."""

    def __init__(self, report: ReloadReport) -> None:
        self.report = report
        self.asked: list[tuple[bool, str | None]] = []

    def __call__(
        self, strict: bool, text: str | None, done: Callable[[ReloadReport], None]
    ) -> None:
        self.asked.append((strict, text))
        done(self.report)


def reloads(world: World, app: AdminApp, reload: Reload | None) -> Caller:
    app.change("POST", "/api/reload", reload_with(InlineCalls(world.loop), reload, None))
    return Caller(app)


def test_a_reload_reports_what_it_has_done(world: World, app: AdminApp) -> None:
    strictness: list[bool] = []

    def reload(strict: bool, done: Callable[[ReloadReport], None]) -> None:
        strictness.append(strict)
        done(ReloadReport(added=("a",), changed=("b", "c"), unchanged=4, not_live=("bind_port",)))

    call = reloads(world, app, reload)
    assert call("POST", "/api/reload").json == {
        "code": 0,
        "msg": "",
        "added": ["a"],
        "removed": [],
        "changed": ["b", "c"],
        "unchanged": 4,
        "not_live": ["bind_port"],
        "warnings": [],
    }
    call("POST", "/api/reload?strict=1")
    call("POST", "/api/reload?strictConfig=true")
    assert strictness == [False, True, True]


def test_a_bad_file_is_400_with_frp_s_code(world: World, app: AdminApp) -> None:
    call = reloads(world, app, lambda _strict, done: done(ReloadReport("line 3: no", 3)))
    answer = call("POST", "/api/reload")
    assert (answer.status, answer.json) == (400, {"code": 3, "msg": "line 3: no"})


def test_without_a_file_there_is_no_reload(world: World, app: AdminApp) -> None:
    assert reloads(world, app, None)("POST", "/api/reload").status == 501


def test_a_dry_run_asks_for_the_plan_only(world: World, app: AdminApp) -> None:
    plan = Plans(ReloadReport(added=("web",), unchanged=2))
    reloaded: list[bool] = []
    handle = reload_with(InlineCalls(world.loop), lambda *_: reloaded.append(True), plan)
    app.change("POST", "/api/reload", handle)
    answer = Caller(app)("POST", "/api/reload?dry_run=true&strict=1").json
    assert (answer["code"], answer["added"], answer["unchanged"]) == (0, ["web"], 2)
    assert (plan.asked, reloaded) == ([(True, None)], [])
    plan.report = ReloadReport("no", 2)
    assert Caller(app)("POST", "/api/reload?dry_run=true").status == 400


def test_a_text_is_checked_and_what_is_wrong_with_it_is_no_error(
    world: World, app: AdminApp
) -> None:
    plan = Plans(ReloadReport("line 3: no", 3))
    check_with(app, InlineCalls(world.loop), plan, lambda text: text + "!")
    call = Caller(app)
    assert call("POST", "/api/frpd/check", {"text": "[common]"}).json == {
        "error": "line 3: no",
        "code": 3,
        "added": [],
        "removed": [],
        "changed": [],
        "unchanged": 0,
        "not_live": [],
        "warnings": [],
    }
    assert plan.asked == [(False, "[common]!")]
    assert call("POST", "/api/frpd/check", {"text": "x" * 100_000}).status == 200
    assert call("POST", "/api/frpd/check", {"text": 1}).status == 400
    assert call.get("/api/frpd/check").status == 405


def test_without_a_file_nothing_is_checked(world: World, app: AdminApp) -> None:
    check_with(app, InlineCalls(world.loop), None)
    assert Caller(app)("POST", "/api/frpd/check", {"text": ""}).status == 501
