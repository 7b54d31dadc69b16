"""frpd.cli.reload_queue: one reload after the other, and what went wrong in frp's numbers."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from frpd import log
from frpd.admin.reload import ReloadReport
from frpd.cli import reload_queue
from frpd.cli.config_file import ConfigFile
from frpd.cli.reload_queue import ReloadQueue, refuse, set_level, tell_success
from frpd.errors import ConfigError, LimitError
from tests.helpers.world import World


class Queue(ReloadQueue[str]):
    """Reads what it is told to."""

    def __init__(self, world: World, reading: Callable[[], str]) -> None:
        super().__init__(world.pool, ConfigFile("/etc/frp/x.ini"))
        self.reading = reading
        self.strict: list[bool] = []
        self.reports: list[ReloadReport] = []
        self.path = ""
        self.refusal: Exception | None = None

    def read(self, file: ConfigFile, *, strict: bool) -> str:
        self.strict.append(strict)
        self.path = file.path
        return self.reading()

    def foresee(self, found: str) -> ReloadReport:
        return ReloadReport(warnings=(f"{self.path}:1: {found}",))

    def apply(self, found: str) -> ReloadReport:
        if self.refusal is not None:
            raise self.refusal
        return ReloadReport(changed=(found,))

    def ask(self, *, strict: bool = False) -> None:
        self(strict, self.reports.append)


def fail(error: Exception) -> Callable[[], str]:
    def reading() -> str:
        raise error

    return reading


def test_reloads_follow_one_another(world: World) -> None:
    begun: list[threading.Event] = []

    def slow() -> str:
        gate = threading.Event()
        begun.append(gate)
        assert gate.wait(30)
        return str(len(begun))

    queue = Queue(world, slow)
    for strict in (False, True, False):
        queue.ask(strict=strict)
    for count in (1, 2, 3):
        world.until(lambda count=count: len(begun) == count)  # type: ignore[misc]
        world.settle()
        assert len(begun) == count
        begun[-1].set()
        world.until(lambda count=count: len(queue.reports) == count)  # type: ignore[misc]
    assert [report.changed for report in queue.reports] == [("1",), ("2",), ("3",)]
    assert queue.strict == [False, True, False]


def test_too_many_that_wait_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload_queue, "MAX_WAITING", 2)
    queue = Queue(world, lambda: "x")
    for _ in range(4):
        queue.ask()
    assert [report.code for report in queue.reports] == [4]
    world.until(lambda: len(queue.reports) == 4)
    assert [report.error for report in queue.reports[1:]] == ["", "", ""]


@pytest.mark.parametrize(
    ("error", "text", "code"),
    [
        (ConfigError("no file"), "no file", 1),
        (ConfigError("x", section="common", key="token"), "[common] token: x", 2),
        (ConfigError("x", section="web"), "[web]: x", 3),
        (ZeroDivisionError("x"), "ZeroDivisionError: x", 1),
    ],
)
def test_what_cannot_be_read_is_told_with_its_number(
    world: World, caplog: pytest.LogCaptureFixture, error: Exception, text: str, code: int
) -> None:
    queue = Queue(world, fail(error))
    queue.ask()
    world.until(lambda: queue.reports)
    assert queue.reports == [ReloadReport(error=text, code=code)]
    assert [record.getMessage() for record in caplog.records][-2:] == [
        "reload of /etc/frp/x.ini failed, nothing was changed:",
        text,
    ]


def test_what_cannot_be_applied_is_an_error_and_the_next_one_runs(world: World) -> None:
    queue = Queue(world, lambda: "x")
    queue.refusal = LimitError("not now")
    queue.ask()
    world.until(lambda: queue.reports)
    queue.refusal = None
    queue.ask()
    world.until(lambda: len(queue.reports) == 2)
    assert queue.reports == [ReloadReport(error="not now", code=4), ReloadReport(changed=("x",))]


def test_a_bug_while_applying_is_not_the_end_of_reloads(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    queue = Queue(world, lambda: "x")
    queue.refusal = ZeroDivisionError()
    queue.ask()
    world.until(lambda: "ZeroDivisionError" in caplog.text)
    queue.refusal = None
    queue.hangup()
    queue.ask()
    world.until(lambda: queue.reports)


def test_complaints_are_lines() -> None:
    refuse(())
    with pytest.raises(ConfigError, match=r"^a\nb$"):
        refuse(("a", "b"))


def test_an_unknown_level_is_warn_as_at_the_start() -> None:
    set_level("debug")
    assert log.level() == "debug"
    set_level("loud")
    assert log.level() == "warn"


def test_what_has_come_of_it_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    tell_success(["mind"], [("proxy added", ("a", "b")), ("proxy removed", ())], ("token", "user"))
    assert [record.getMessage() for record in caplog.records] == [
        "mind",
        "success reload conf",
        "proxy added: [a b]",
        "[common] token, user: changed in the file, needs a restart",
    ]


def test_a_plan_is_in_words_of_the_file_whatever_held_its_text(world: World) -> None:
    queue = Queue(world, lambda: "x")
    queue.plan(True, "[common]", queue.reports.append)
    world.until(lambda: queue.reports)
    assert queue.path.startswith("/proc/self/fd/")
    assert queue.reports.pop() == ReloadReport(warnings=("/etc/frp/x.ini:1: x",))

    def refuse_it() -> str:
        raise ConfigError("no", path=queue.path, line=7)

    queue.reading = refuse_it
    queue.plan(False, "[common]", queue.reports.append)
    world.until(lambda: queue.reports)
    assert queue.reports == [ReloadReport(error="/etc/frp/x.ini:7: no", code=1)]
    assert queue.strict == [True, False]


def test_a_plan_of_the_file_itself(world: World) -> None:
    queue = Queue(world, lambda: "x")
    queue.plan(False, None, queue.reports.append)
    world.until(lambda: queue.reports)
    assert queue.reports == [ReloadReport(warnings=("/etc/frp/x.ini:1: x",))]
