"""frpd.cli.daemon: signals, the drain, exit statuses, the limit of descriptors."""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from frpd.cli.daemon import COREDUMP_VARIABLE, Daemon, forbid_core_dumps, raise_descriptor_limit
from frpd.selector_loop import SelectorLoop

FOREVER = 3600.0


class Service:
    """Notes what it is told; ``on_shut_down`` says what happens then."""

    def __init__(self, on_shut_down: Callable[[Callable[[], None]], None] | None = None) -> None:
        self._on_shut_down = on_shut_down
        self.calls: list[str] = []

    def shut_down(self, on_idle: Callable[[], None]) -> None:
        self.calls.append("shut_down")
        if self._on_shut_down is not None:
            self._on_shut_down(on_idle)

    def close(self) -> None:
        self.calls.append("close")


def be_idle(on_idle: Callable[[], None]) -> None:
    on_idle()


@pytest.fixture
def loop() -> Iterator[SelectorLoop]:
    made = SelectorLoop()
    yield made
    made.close()
    gc.unfreeze()


def send(signum: int) -> None:
    os.kill(os.getpid(), signum)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_service_at_once_with_status_0(
    loop: SelectorLoop, signum: int
) -> None:
    service = Service(be_idle)
    loop.call_soon(send, signum)
    assert Daemon(loop, FOREVER).run(service) == 0
    assert service.calls == ["shut_down", "close"]


def test_a_busy_service_is_closed_when_the_drain_is_over(loop: SelectorLoop) -> None:
    service = Service()
    loop.call_soon(send, signal.SIGTERM)
    assert Daemon(loop, 0.01).run(service) == 0
    assert service.calls == ["shut_down", "close"]


def test_the_drain_ends_early_when_the_service_becomes_idle(loop: SelectorLoop) -> None:
    service = Service(loop.call_soon)
    loop.call_soon(send, signal.SIGTERM)
    assert Daemon(loop, FOREVER).run(service) == 0
    assert service.calls == ["shut_down", "close"]


def test_a_second_signal_does_not_wait_for_the_drain(loop: SelectorLoop) -> None:
    service = Service(lambda _on_idle: loop.call_soon(send, signal.SIGTERM))
    loop.call_soon(send, signal.SIGTERM)
    assert Daemon(loop, FOREVER).run(service) == 0
    assert service.calls == ["shut_down", "close"]


def test_whoever_asks_it_to_stop_is_as_good_as_a_signal(loop: SelectorLoop) -> None:
    service = Service()
    daemon = Daemon(loop, 0.01)
    loop.call_soon(daemon.stop)
    loop.call_soon(daemon.stop)  # no second signal: the drain is waited for
    assert daemon.run(service) == 0
    assert service.calls == ["shut_down", "close"]


def test_a_hang_up_is_passed_on_and_ends_nothing(loop: SelectorLoop) -> None:
    heard: list[str] = []

    def hang_up() -> None:
        heard.append("hang-up")
        send(signal.SIGHUP if len(heard) < 3 else signal.SIGTERM)

    loop.call_soon(send, signal.SIGHUP)
    assert Daemon(loop, FOREVER).run(Service(be_idle), hang_up) == 0
    assert heard == ["hang-up"] * 3


def test_who_is_told_to_stop_minds_no_hang_up(loop: SelectorLoop) -> None:
    def stopping(_on_idle: Callable[[], None]) -> None:
        send(signal.SIGHUP)
        loop.call_soon(loop.call_soon, send, signal.SIGTERM)

    loop.call_soon(send, signal.SIGTERM)
    daemon = Daemon(loop, FOREVER)
    assert daemon.run(Service(stopping), lambda: pytest.fail("it reloads")) == 0


def test_failing_ends_at_once_with_status_1(loop: SelectorLoop) -> None:
    service = Service()
    daemon = Daemon(loop, FOREVER)
    loop.call_soon(daemon.fail)
    assert daemon.run(service) == 1
    assert service.calls == ["close"]


def test_what_closing_has_queued_still_leaves(loop: SelectorLoop) -> None:
    sent: list[str] = []

    class Polite(Service):
        def close(self) -> None:
            loop.call_at_turn_end(lambda: sent.append("good-bye"))

    loop.call_soon(send, signal.SIGTERM)
    assert Daemon(loop, FOREVER).run(Polite(be_idle)) == 0
    assert sent == ["good-bye"]


Limits = tuple[int, int]


def raised_from(limits: Limits, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Limits]]:
    asked: list[tuple[int, Limits]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _which: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda which, to: asked.append((which, to)))
    raise_descriptor_limit()
    return asked


def test_the_soft_limit_of_descriptors_is_raised_to_the_hard_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert raised_from((1024, 4096), monkeypatch) == [(resource.RLIMIT_NOFILE, (4096, 4096))]


def test_a_limit_that_is_as_high_as_can_be_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    assert raised_from((4096, 4096), monkeypatch) == []


@pytest.mark.parametrize("error", [ValueError("not allowed"), OSError("not allowed")])
def test_a_limit_that_cannot_be_raised_is_no_reason_to_fail(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(_which: int, _to: Limits) -> None:
        raise error

    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    raise_descriptor_limit()


CRASHES = """
import os, resource, signal
from frpd.cli.daemon import forbid_core_dumps
_, hard = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
forbid_core_dumps(os.environ)
os.kill(os.getpid(), signal.SIGSEGV)
"""


def crash(folder: Path, environ: dict[str, str]) -> bool:
    """Return whether the kernel dumped the core of a process that crashed."""
    command = [sys.executable, "-c", CRASHES]
    pid = os.posix_spawn(
        "/bin/sh", ["sh", "-c", 'cd "$0" && exec "$@"', str(folder), *command], environ
    )
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGSEGV
    return os.WCOREDUMP(status)


def test_a_crash_leaves_no_core(tmp_path: Path) -> None:
    assert not crash(tmp_path, dict(os.environ))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("hard", "most"), [(resource.RLIM_INFINITY, 1), (10**9, 1), (1, 1), (0, 0)]
)
def test_the_limit_stops_a_pipe_too_if_it_may_be_set(
    monkeypatch: pytest.MonkeyPatch, hard: int, most: int
) -> None:
    asked: list[tuple[int, Limits]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (0, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda which, to: asked.append((which, to)))
    forbid_core_dumps({})
    assert asked == [(resource.RLIMIT_CORE, (most, most))]


def test_a_core_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "setrlimit", lambda *_: pytest.fail("the limit was changed"))
    forbid_core_dumps({COREDUMP_VARIABLE: "1"})


LEAVES_WITH_A_WORKER_AT_WORK = """
import threading, time
from frpd.cli.daemon import leave
threading.Thread(target=time.sleep, args=(60,)).start()
print("last words")
leave(7)
"""


def test_leave_waits_for_no_thread_and_loses_no_output() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVES_WITH_A_WORKER_AT_WORK],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, "last words\n")


def starve() -> None:
    raise MemoryError


def test_a_lack_of_memory_closes_the_service_and_is_status_1(
    loop: SelectorLoop, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(be_idle)
    loop.call_soon(starve)
    assert Daemon(loop, FOREVER).run(service) == 1
    assert service.calls == ["close"]
    assert "out of memory: ending, with status 1" in caplog.text


def test_a_service_that_cannot_be_closed_without_memory_is_told(
    loop: SelectorLoop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(be_idle)
    monkeypatch.setattr(service, "close", starve)
    loop.call_soon(starve)
    assert Daemon(loop, FOREVER).run(service) == 1
    assert "closing failed" in caplog.text
