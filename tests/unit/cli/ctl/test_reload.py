"""frpd.cli.ctl.reload: what a program made of its file."""

from __future__ import annotations

import json

from frpd.admin.reload import ReloadReport
from tests.unit.cli.ctl.scene import Scene


def test_what_has_changed_is_named(scene: Scene) -> None:
    report = ReloadReport(
        added=("a", "b"), changed=("c",), not_live=("bind_port",), warnings=("x: unknown key",)
    )
    scene.frps(reload=lambda _strict, done: done(report))
    done = scene("reload")
    assert done.status == 0
    assert done.out == (
        "warning: x: unknown key\n"
        "frps has read its file again\n"
        "  added: a, b\n"
        "  changed: c\n"
        "  needs a restart: bind_port\n"
    )
    found = json.loads(scene("reload", "--json").out)
    assert (found["program"], found["added"], found["not_live"]) == (
        *("frps", ["a", "b"]),
        ["bind_port"],
    )


def test_nothing_new_is_said(scene: Scene) -> None:
    scene.frpc(reload=lambda _strict, done: done(ReloadReport(unchanged=3)), config_file="/x")
    assert scene("reload").out == "frpc has read its file again\n  nothing has changed\n"


def test_a_file_that_cannot_be_used_exits_with_1_and_the_reason(scene: Scene) -> None:
    asked = []

    def reload(strict: bool, done: object) -> None:
        asked.append(strict)
        assert callable(done)
        done(ReloadReport("line 3: no", 3))

    scene.frpc(reload=reload, config_file="/x")
    assert scene("reload") == (1, "", "frpd-ctl: line 3: no\n")
    assert scene("reload", "--strict").status == 1
    assert asked == [False, True]
