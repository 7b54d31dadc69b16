"""frpd.cli.pid_file: who holds the file, what is taken over, what is left alone."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest

from frpd.cli.pid_file import PidFile
from frpd.errors import ConfigError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "frps.pid"


def locked(path: Path) -> PidFile:
    held = PidFile(str(path))
    held.lock()
    return held


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as error:
        PidFile(str(path)).lock()
    return str(error.value)


def test_it_has_the_number_inside_and_is_gone_afterwards(path: Path) -> None:
    with locked(path):
        assert path.read_text() == f"{os.getpid()}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert not path.exists()


def test_the_path_holds_when_the_folder_changes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    held = locked(Path(path.name))
    monkeypatch.chdir("/")
    held.remove()
    assert not path.exists()


def test_a_running_holder_is_named(path: Path) -> None:
    with locked(path):
        name = Path("/proc/self/comm").read_text().strip()
        expected = f"--pid_file: {path} is held by {name} (pid {os.getpid()}), which runs"
        assert refusal(path) == expected
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_holder_that_has_not_begun_is_described(path: Path) -> None:
    held = locked(path)
    assert refusal(path).endswith("is held by a process that starts or ends just now")
    held.remove()


def test_what_an_ended_process_left_is_taken_over(path: Path) -> None:
    path.write_text("999999999 \n")
    with locked(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_the_number_of_another_running_process_does_not_matter(path: Path) -> None:
    path.write_text("1\n")
    locked(path).remove()
    assert not path.exists()


@pytest.mark.parametrize("content", ["root:x:0:0", "12 34", "[common]", "1" * 80])
def test_another_file_is_left_alone(path: Path, content: str) -> None:
    path.write_text(content)
    assert refusal(path) == f"--pid_file: {path} is not a pid file, and is left alone"
    assert path.read_text() == content


def test_a_link_is_not_followed(path: Path) -> None:
    victim = path.with_name("victim")
    victim.write_text("")
    path.symlink_to(victim)
    assert refusal(path).startswith(f"--pid_file: cannot open {path}: ")


def test_a_fifo_is_no_pid_file(path: Path) -> None:
    os.mkfifo(path)
    assert refusal(path).endswith("is not a pid file, and is left alone")


def test_a_missing_folder_is_told(path: Path) -> None:
    missing = path.parent / "missing" / "frps.pid"
    expected = f"--pid_file: cannot open {missing}: No such file or directory"
    assert refusal(missing) == expected


def test_a_refusal_keeps_no_descriptor(path: Path) -> None:
    with locked(path):
        before = os.listdir("/proc/self/fd")
        refusal(path)
        assert os.listdir("/proc/self/fd") == before


def test_a_file_that_was_removed_between_open_and_lock_is_made_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock
    locks: list[int] = []

    def lose_it_once(fd: int, operation: int) -> None:
        if not locks:
            path.unlink()
        locks.append(fd)
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", lose_it_once)
    held = locked(path)
    assert len(locks) == 2
    assert os.path.samestat(path.stat(), os.fstat(held.fileno()))
    held.remove()


def test_a_file_that_someone_replaced_is_not_removed(path: Path) -> None:
    held = locked(path)
    path.unlink()
    path.write_text("another's")
    held.remove()
    assert path.read_text() == "another's"


def test_where_it_may_not_be_deleted_it_is_emptied(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "unlink", refuse)
    with locked(path):
        pass
    assert path.read_text() == ""
    locked(path).remove()


def test_closing_leaves_the_lock_to_a_fork(path: Path) -> None:
    held = locked(path)
    of_the_fork = os.dup(held.fileno())
    held.close()
    held.close()
    assert "is held by" in refusal(path)
    os.close(of_the_fork)
    locked(path).remove()
