"""frpd.cli.ctl.stop: frpc ends, and the command waits for that."""

from __future__ import annotations

import json

import pytest

from frpd.cli.admin_client import Answer, Target
from frpd.cli.ctl import stop
from frpd.cli.ctl.daemons import CtlError, greet
from tests.helpers.clock import MockClock
from tests.unit.cli.ctl.scene import Scene


class Ending:
    """A program that ends, or is another one, some questions after it was told to."""

    def __init__(self, scene: Scene, questions: int, *, restarts: bool = False) -> None:
        self._scene = scene
        self._left = questions
        self._restarts = restarts
        self.told = 0
        self.path = scene.put("frpc.sock", self)

    def __call__(self, method: str, path: str, _body: object) -> Answer:
        if (method, path) == ("POST", "/api/stop"):
            self.told += 1
            return Answer(200, b"")
        if self.told:
            self._left -= 1
        pid = 2 if self._restarts and self._left < 0 else 1
        if self._left == 0 and not self._restarts:
            del self._scene.behind[self.path]
        return Answer(200, json.dumps({"program": "frpc", "pid": pid}).encode())


@pytest.mark.parametrize("restarts", [False, True])
def test_it_returns_once_the_program_is_no_more(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, restarts: bool
) -> None:
    monkeypatch.setattr(stop, "STEP_SECONDS", 0.0)
    ending = Ending(scene, 3, restarts=restarts)
    assert scene("stop") == (0, "frpc with pid 1 has ended\n", "")
    assert ending.told == 1


def test_what_goes_on_running_is_an_error(scene: Scene) -> None:
    daemon = greet(Target(Ending(scene, 10**6).path))
    clock = MockClock()
    with pytest.raises(CtlError, match=r"still runs \(pid 1\)"):
        stop.await_end(daemon, clock, lambda _seconds: clock.advance(10.0))


def test_frps_is_stopped_otherwise(scene: Scene) -> None:
    scene.frps()
    assert scene("stop").err == (
        "frpd-ctl: frps has no such request: systemctl stop frps, or send it SIGTERM\n"
    )
