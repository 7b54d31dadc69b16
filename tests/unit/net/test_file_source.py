"""A file is read and spliced without the loop ever waiting for a disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frpd.errors import ConnectionLost, LimitError
from frpd.net import file_source
from frpd.net.endpoint import Outcome
from frpd.net.file_source import (
    FIRST_WINDOW_BYTES,
    MAX_WINDOW_BYTES,
    WARM_SECONDS,
    FileSource,
    OpenFile,
)
from frpd.net.pipes import Pipe, PipePool
from tests.helpers.world import World, world

__all__ = ["world"]

KIB, MIB = 1024, 1024 * 1024


class Source:
    """A file source, who reads it, and where its workers have been."""

    def __init__(self, world: World, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.touched: list[tuple[int, int]] = []
        self.calls = 0
        touch = file_source._touch

        def noted(file: OpenFile, start: int, end: int) -> tuple[int, int]:
            self.touched.append((start, end))
            return touch(file, start, end)

        monkeypatch.setattr(file_source, "_touch", noted)
        self.path = path
        file = OpenFile(os.open(path, os.O_RDONLY))
        self.source = FileSource(world.loop, world.pool, file, self.called)
        self.pipes = PipePool()
        world.owners.callback(self.pipes.close)
        world.owners.callback(self.source.close)

    def called(self) -> None:
        self.calls += 1

    def until_ready(self) -> None:
        self.world.until(lambda: self.source.is_ready)

    def read_all(self, limit: int = 128 * KIB) -> bytes:
        got = bytearray()
        while True:
            self.until_ready()
            data = self.source.read(limit)
            if data is Outcome.EOF:
                return bytes(got)
            if not isinstance(data, Outcome):
                got += data

    def splice_all(self, limit: int = MIB) -> bytes:
        """Read by pipes as long as that goes; the rest by copying."""
        got = bytearray()
        while True:
            self.until_ready()
            pipe = self.source.read_pipe(self.pipes, limit)
            if pipe is Outcome.EOF:
                return bytes(got)
            if pipe is Outcome.COPY:
                data = self.source.read(limit)
                got += b"" if isinstance(data, Outcome) else data
            elif isinstance(pipe, Pipe):
                got += pipe.read(pipe.held)
                self.source.pipe_moved()

    def lose(self) -> str:
        """Read until that fails; return why."""
        with pytest.raises(ConnectionLost) as failure:
            self.read_all()
        return str(failure.value)


Open = Callable[[bytes], Source]


@pytest.fixture
def opened(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    def make(content: bytes) -> Source:
        path = tmp_path / "file"
        path.write_bytes(content)
        return Source(world, path, monkeypatch)

    return make


def fail_once(
    monkeypatch: pytest.MonkeyPatch, name: str, error: OSError, *, times: int = 1
) -> list[tuple[Any, ...]]:
    """Have a system call fail at first; return what it is called with."""
    real, calls = getattr(os, name), []

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) <= times:
            raise error
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, call)
    return calls


def test_nothing_is_read_before_a_worker_was_there(opened: Open) -> None:
    made = opened(b"content")
    made.source.begin(0, 7)
    assert not made.source.is_ready
    assert made.source.read(100) is Outcome.EMPTY
    assert made.source.read_pipe(made.pipes, 100) is Outcome.COPY  # not worth one
    made.until_ready()
    assert (made.touched, made.calls) == ([(0, 7)], 1)
    assert made.source.read(100) == b"content"
    assert made.source.over
    assert made.source.read(100) is Outcome.EOF


def test_spans_are_read_one_after_the_other(opened: Open) -> None:
    content = os.urandom(300 * KIB)
    made = opened(content)
    for start, end in [(0, 300 * KIB), (5, 6), (100 * KIB, 290 * KIB), (0, 10)]:
        made.source.begin(start, end)
        assert made.source.left == end - start
        assert made.read_all() == content[start:end]


def test_a_span_that_begins_while_a_worker_is_away_is_read_right(opened: Open) -> None:
    content = os.urandom(3 * MIB)
    made = opened(content)
    made.source.begin(0, 3 * MIB)
    made.source.begin(2 * MIB, 2 * MIB + 9)
    assert made.read_all() == content[2 * MIB : 2 * MIB + 9]


def test_payload_goes_through_pipes(opened: Open) -> None:
    content = os.urandom(5 * MIB + 77)
    made = opened(content)
    made.source.begin(1, len(content))
    assert made.splice_all() == content[1:]
    assert made.pipes.lent == 0


def test_a_pipe_that_is_full_says_so_and_is_kept(opened: Open) -> None:
    made = opened(bytes(4 * MIB))
    made.source.begin(0, 4 * MIB)
    made.until_ready()
    pipe = made.source.read_pipe(made.pipes, 4 * MIB)
    assert isinstance(pipe, Pipe)
    assert pipe.held == pipe.capacity  # a file's pages fill it exactly
    made.world.until(lambda: len(made.touched) > 1 and made.calls > 1)
    assert made.source.read_pipe(made.pipes, MIB) is Outcome.FULL
    pipe.promised = pipe.held  # as a stream does
    made.source.pipe_moved()
    assert made.source.read_pipe(made.pipes, MIB) is Outcome.FULL
    pipe.read(pipe.held)
    pipe.settle(pipe.promised)
    assert made.pipes.lent == 0
    assert len(made.splice_all()) == 3 * MIB


def test_what_is_promised_is_paid_after_the_file_is_closed(opened: Open) -> None:
    made = opened(b"x" * 100 * KIB)
    made.source.begin(0, 100 * KIB)
    made.until_ready()
    pipe = made.source.read_pipe(made.pipes, MIB)
    assert isinstance(pipe, Pipe)
    pipe.promised = pipe.held
    made.source.close()
    assert made.pipes.lent == 1
    assert pipe.read(MIB) == b"x" * 100 * KIB
    pipe.settle(100 * KIB)
    assert made.pipes.lent == 0


def test_without_pipes_it_is_copied(opened: Open) -> None:
    content = os.urandom(MIB)
    made = opened(content)
    made.pipes = PipePool(budget_bytes=0)
    made.source.begin(0, MIB)
    assert made.splice_all() == content


def test_windows_grow_with_who_reads_steadily(opened: Open) -> None:
    made = opened(b"")
    os.truncate(made.path, 80 * MIB)
    made.source.begin(0, 80 * MIB)
    assert len(made.splice_all()) == 80 * MIB
    sizes = [end - start for start, end in made.touched]
    assert sizes[:4] == [FIRST_WINDOW_BYTES * factor for factor in (1, 2, 4, 8)]
    assert max(sizes) == MAX_WINDOW_BYTES
    assert sum(sizes) == 80 * MIB  # nowhere twice


def test_the_next_window_is_fetched_while_this_one_is_read(opened: Open) -> None:
    made = opened(bytes(8 * MIB))
    made.source.begin(0, 8 * MIB)
    made.until_ready()
    while made.source.left > 7 * MIB + FIRST_WINDOW_BYTES // 2:
        made.source.read(128 * KIB)
    made.source.read(128 * KIB)
    made.source.read(128 * KIB)
    made.world.until(lambda: made.calls == 2)
    assert made.touched == [(0, MIB), (MIB, 3 * MIB)]


def test_pages_are_not_trusted_for_ever(opened: Open) -> None:
    made = opened(bytes(8 * MIB))
    made.source.begin(0, 8 * MIB)
    made.until_ready()
    assert not isinstance(made.source.read(KIB), Outcome)
    made.world.until(lambda: made.calls == 2)
    made.world.clock.advance(WARM_SECONDS)
    made.world.turn()
    assert made.source.read(KIB) is Outcome.EMPTY
    assert made.source.read_pipe(made.pipes, KIB) is Outcome.EMPTY
    made.until_ready()
    assert made.touched[2:] == [(KIB, MIB + KIB)]  # small again
    assert len(made.read_all()) == 8 * MIB - KIB


def test_a_window_that_came_late_does_not_make_the_one_before_it_new(opened: Open) -> None:
    made = opened(bytes(8 * MIB))
    made.source.begin(0, 8 * MIB)
    made.until_ready()
    assert not isinstance(made.source.read(KIB), Outcome)
    made.world.clock.advance(WARM_SECONDS)
    made.world.until(lambda: made.calls == 2)
    assert made.touched == [(0, MIB), (MIB, 3 * MIB), (KIB, MIB + KIB)]
    assert len(made.read_all()) == 8 * MIB - KIB


@pytest.mark.parametrize("how", ["read", "splice"])
def test_a_file_that_has_become_shorter_is_a_loss(opened: Open, how: str) -> None:
    made = opened(bytes(MIB))
    made.source.begin(0, MIB)
    made.until_ready()
    os.truncate(made.path, 300 * KIB)
    read = made.read_all if how == "read" else made.splice_all
    for _ in range(2):
        with pytest.raises(ConnectionLost, match="has become shorter"):
            read()
        assert made.source.is_ready


def test_a_window_that_is_not_there_is_a_loss(opened: Open) -> None:
    made = opened(bytes(KIB))
    made.source.begin(4 * KIB, 8 * KIB)
    assert made.lose() == "the file has become shorter"


def test_a_page_that_left_memory_is_fetched_again(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = opened(b"content")
    calls = fail_once(monkeypatch, "preadv", BlockingIOError(errno.EAGAIN, "cold"))
    made.source.begin(0, 7)
    assert made.read_all() == b"content"
    assert made.touched == [(0, 7), (0, 7)]
    assert [call[3] for call in calls] == [os.RWF_NOWAIT] * 2


def test_a_file_system_that_always_says_cold_is_not_asked_for_ever(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = opened(b"content")
    calls = fail_once(monkeypatch, "preadv", BlockingIOError(errno.EAGAIN, "cold"), times=2)
    made.source.begin(0, 7)
    assert made.read_all() == b"content"
    assert [call[3] for call in calls] == [os.RWF_NOWAIT, os.RWF_NOWAIT, 0]


def test_a_file_system_that_cannot_tell_is_read_all_the_same(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = opened(b"content")
    calls = fail_once(monkeypatch, "preadv", OSError(errno.EOPNOTSUPP, "no"))
    made.source.begin(0, 7)
    assert made.read_all() == b"content"
    assert [call[3] for call in calls] == [os.RWF_NOWAIT, 0]


def test_a_file_system_that_cannot_splice_is_copied(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(MIB)
    made = opened(content)
    calls = fail_once(monkeypatch, "splice", OSError(errno.EINVAL, "no"), times=99)
    made.source.begin(0, MIB)
    assert made.splice_all() == content
    assert len(calls) == 1
    assert made.pipes.lent == 0


@pytest.mark.parametrize("name", ["preadv", "sendfile"])
def test_a_disk_that_fails_is_a_loss(
    opened: Open, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    made = opened(b"content")
    fail_once(monkeypatch, name, OSError(errno.EIO, "Input/output error"), times=99)
    made.source.begin(0, 7)
    assert made.lose() == "input/output error"


def test_a_disk_that_fails_a_pipe_is_a_loss(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    made = opened(bytes(MIB))
    fail_once(monkeypatch, "splice", OSError(errno.EIO, "Input/output error"))
    made.source.begin(0, MIB)
    made.until_ready()
    with pytest.raises(ConnectionLost, match="input/output error"):
        made.source.read_pipe(made.pipes, MIB)


def test_no_worker_to_be_had_is_a_loss(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    made = opened(b"content")

    def submit(*_: object) -> None:
        raise LimitError("too many jobs wait")

    monkeypatch.setattr(made.world.pool, "submit", submit)
    made.source.begin(0, 7)
    assert made.lose() == "too many jobs wait"


def test_the_file_is_closed_when_the_last_who_needs_it_lets_go(opened: Open) -> None:
    made = opened(bytes(MIB))
    fd = made.source._file.fd if made.source._file is not None else -1
    made.source.begin(0, MIB)
    made.source.close()
    made.source.close()
    assert made.source.read(1) is Outcome.EMPTY
    made.world.until(lambda: not _is_open(fd, made.path))


def _is_open(fd: int, path: Path) -> bool:
    try:
        return Path(f"/proc/self/fd/{fd}").samefile(path)
    except FileNotFoundError:
        return False
