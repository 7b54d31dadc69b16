"""frpd.cli.config_dir: which files are run, and the processes that run them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from frpd.cli.config_dir import files_in
from frpd.errors import ConfigError
from tests.helpers.programs import Program, wait_until

# Each word is a file; it says what becomes of it.
SCRIPT = """
import os, signal, sys
from frpd.cli.config_dir import run_each
from frpd.errors import ConfigError

def say(*words):
    os.write(1, (" ".join(map(str, words)) + chr(10)).encode())  # in one piece, several say it

def hear(number, frame):
    say("heard", signal.Signals(number).name)
    if number != signal.SIGHUP:
        os._exit(0)

def run(file):
    if file == "refused":
        raise ConfigError("the file is bad")
    if file == "broken":
        raise RuntimeError("a bug")
    if file == "bad":
        return 3
    if file.startswith("waits"):
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, hear)
        say("waits", os.getpid(), os.getpgid(0), os.environ.get("NOTIFY_SOCKET"))
        while True:
            signal.pause()
    say(file, "done")
    return 0

sys.exit(run_each(sys.argv[1:], run))
"""


@pytest.fixture
def started(request: pytest.FixtureRequest) -> Iterator[Program]:
    """The parent of the files that the test is parametrized with."""
    command = (sys.executable, "-c", SCRIPT, *request.param)
    program = Program("parent", command, env={**os.environ, "NOTIFY_SOCKET": "/run/x"})
    yield program
    program.kill()


def waiting(program: Program, count: int) -> Iterator[tuple[int, int, str]]:
    """Wait for the children, and yield the process, the group and the rest of each."""
    wait_until(lambda: program.count("^waits ") == count, f"all run: {program.lines}")
    for line in program.lines:
        if line.startswith("waits "):
            _, pid, group, rest = line.split()
            yield int(pid), int(group), rest


def of(*files: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("started", [files], indirect=True, ids=["-".join(files)])


def test_all_files_beneath_a_folder_are_found_in_order(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    names = ["a.ini", "b.txt", "b/.hidden", "b/c/x", "z"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("z")
    found = [os.path.relpath(path, tmp_path) for path in files_in(str(tmp_path))]
    assert sorted(found) == sorted([*names, "link"])
    assert found == sorted(found)


def test_a_folder_that_is_none_or_holds_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^open .*/nope: no such file or directory$"):
        files_in(str(tmp_path / "nope"))
    with pytest.raises(ConfigError, match=r"^--config_dir: there is no file in "):
        files_in(str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"^open .*/file: not a directory$"):
        files_in(str(tmp_path / "file"))


@of("fine", "good")
def test_when_all_have_ended_well_so_has_the_whole(started: Program) -> None:
    assert started.wait() == 0
    assert sorted(started.lines) == ["fine done", "good done"]


@of("bad", "refused", "fine", "broken")
def test_one_that_fails_stops_no_other_and_is_told(started: Program) -> None:
    assert started.wait() == 1
    told = [line for line in started.lines if line.startswith("frpc service error")]
    assert sorted(told) == [
        f"frpc service error for config file [{name}]" for name in ("bad", "broken", "refused")
    ]
    assert started.count("^fine done$") == started.count("^the file is bad$") == 1
    assert started.count("^RuntimeError: a bug$") == 1


@of("waits-1", "waits-2")
def test_signals_are_passed_on_once(started: Program) -> None:
    for pid, group, notify_socket in waiting(started, 2):
        assert pid == group  # a terminal's signals reach the parent alone
        assert notify_socket == "None"
    started.signal(signal.SIGHUP)
    wait_until(lambda: started.count("^heard SIGHUP$") == 2, "both have heard it")
    started.signal(signal.SIGINT)
    assert started.wait() == 0
    assert sorted(started.lines[-2:]) == ["heard SIGINT", "heard SIGINT"]
    assert started.count("heard") == 4


@of("waits", "bad")
def test_after_a_failure_the_others_go_on_and_the_status_remembers(started: Program) -> None:
    started.wait_for(r"error for config file \[bad\]")
    assert [pid for pid, _, _ in waiting(started, 1)] != [started.pid]
    assert started.terminate() == 1
    assert started.lines[-1] == "heard SIGTERM"


@of("waits-1", "waits-2")
def test_one_that_is_killed_has_failed(started: Program) -> None:
    (first, _, _), _ = waiting(started, 2)
    os.kill(first, signal.SIGKILL)
    started.wait_for("^frpc service error for config file .waits-")
    assert started.terminate() == 1


@of("waits-1", "waits-2")
def test_nobody_outlives_the_parent(started: Program) -> None:
    assert len(list(waiting(started, 2))) == 2
    started.process.kill()
    # The end of the output, which all of them hold open, is the end of all.
    started.wait()
    assert started.count("^heard SIGTERM$") == 2
