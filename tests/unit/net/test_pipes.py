from __future__ import annotations

import errno
import fcntl
import os
import resource
import subprocess
import sys
from collections.abc import Callable

import pytest

from frpd.errors import LocalProtocolError
from frpd.net.pipes import KERNEL_REFUSAL_PAUSE, MAX_SPARE, Pipe, PipePool

KIB = 1024
MIB = 1024 * KIB


def lend(pool: PipePool) -> Pipe:
    pipe = pool.acquire()
    assert pipe is not None
    return pipe


def put(pipe: Pipe, data: bytes) -> None:
    assert os.write(pipe.write_fd, data) == len(data)
    pipe.held += len(data)


def refuse_size(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the kernel refuse larger pipes from now on; each try is noted."""
    tries: list[int] = []

    def fcntl_says_no(fd: int, command: int, argument: int = 0) -> int:
        if command == fcntl.F_SETPIPE_SZ:
            tries.append(argument)
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return os_fcntl(fd, command, argument)

    os_fcntl = fcntl.fcntl
    monkeypatch.setattr(fcntl, "fcntl", fcntl_says_no)
    return tries


@pytest.mark.parametrize("size", [64 * KIB, MIB])
@pytest.mark.usefixtures("no_fd_leaks")
def test_a_pipe_has_the_size_that_was_asked_for_and_never_blocks(size: int) -> None:
    pool = PipePool(size, 4 * MIB)
    pipe = lend(pool)
    assert fcntl.fcntl(pipe.read_fd, fcntl.F_GETPIPE_SZ) == pipe.capacity == size
    assert not os.get_blocking(pipe.read_fd)
    assert not os.get_blocking(pipe.write_fd)
    assert not os.get_inheritable(pipe.read_fd)
    pipe.give_back()
    pool.close()


@pytest.mark.usefixtures("no_fd_leaks")
def test_rule_8_pipes_come_out_of_a_byte_budget() -> None:
    pool = PipePool(64 * KIB, 3 * 64 * KIB)
    pipes = [lend(pool) for _ in range(3)]
    assert not pool.can_lend()
    assert pool.acquire() is None
    assert (pool.lent, pool.refused, pool.bytes_in_use) == (3, 1, 3 * 64 * KIB)
    pipes.pop().give_back()
    assert pool.can_lend()
    pipes.append(lend(pool))
    for pipe in pipes:
        pipe.give_back()
    assert pool.lent == 0
    pool.close()
    assert pool.bytes_in_use == 0


def test_rule_8_what_the_kernel_rounds_up_counts_too() -> None:
    pool = PipePool(100_000, 300_000)
    pipes = [lend(pool), lend(pool)]
    assert pool.bytes_in_use == 2 * 128 * KIB
    assert pool.acquire() is None
    for pipe in pipes:
        pipe.give_back()
    pool.close()


@pytest.mark.usefixtures("no_fd_leaks")
def test_rule_8_a_budget_of_0_lends_nothing() -> None:
    pool = PipePool(64 * KIB, 0)
    assert not pool.can_lend()
    assert pool.acquire() is None


@pytest.mark.usefixtures("no_fd_leaks")
def test_rule_8_a_refused_size_means_no_pipe_rather_than_a_small_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse_size(monkeypatch)
    pool = PipePool(MIB, 32 * MIB)
    assert pool.acquire() is None
    assert (pool.lent, pool.bytes_in_use) == (0, 0)


def test_rule_8_a_kernel_that_refuses_is_left_alone_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries = refuse_size(monkeypatch)
    pool = PipePool(MIB, 32 * MIB)
    for _ in range(KERNEL_REFUSAL_PAUSE + 1):
        assert pool.acquire() is None
    assert len(tries) == 1
    assert pool.acquire() is None
    assert len(tries) == 2
    monkeypatch.undo()
    found = None
    for _ in range(KERNEL_REFUSAL_PAUSE + 1):
        found = found or pool.acquire()
    assert found is not None
    found.give_back()
    pool.close()


def test_rule_8_a_spare_pipe_is_lent_while_the_kernel_refuses_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = PipePool(64 * KIB, MIB)
    first = lend(pool)
    refuse_size(monkeypatch)
    assert pool.acquire() is None
    first.give_back()
    assert pool.can_lend()
    assert lend(pool) is first
    first.give_back()
    pool.close()


@pytest.mark.usefixtures("no_fd_leaks")
def test_rule_8_without_descriptors_there_is_no_pipe() -> None:
    pool = PipePool(64 * KIB, MIB)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = os.dup(0)  # the lowest number that is free
    os.close(spare)
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare + 1, hard))  # one is too few
    try:
        assert pool.acquire() is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (pool.lent, pool.bytes_in_use) == (0, 0)


PLAIN_USER = """
import os
from frpd.net.pipes import PipePool  # while it may read what lies under /root
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
pool = PipePool(1 << 20, 1 << 30)
pipes = []
while (pipe := pool.acquire()) is not None:
    pipes.append(pipe)
print(len(pipes), min(pipe.capacity for pipe in pipes), pool.can_lend())
pipes.pop().give_back()
print(pool.can_lend(), pool.acquire() is not None)
"""


def test_rule_8_a_plain_user_is_refused_at_the_soft_limit_and_gets_no_small_pipes() -> None:
    with open("/proc/sys/fs/pipe-user-pages-soft") as file:
        pages = int(file.read())
    if not 256 <= pages <= 65_536:
        pytest.skip(f"fs.pipe-user-pages-soft is {pages}")
    done = subprocess.run(
        [sys.executable, "-c", PLAIN_USER],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert done.returncode == 0, done.stderr
    count, smallest, lends, *again = done.stdout.split()
    assert int(smallest) == MIB
    assert 1 <= int(count) <= pages * os.sysconf("SC_PAGE_SIZE") // MIB
    assert (lends, again) == ("False", ["True", "True"])


def test_a_pipe_is_lent_again_only_if_it_is_empty() -> None:
    pool = PipePool(64 * KIB, MIB)
    pipe = lend(pool)
    pipe.give_back()
    assert lend(pool) is pipe
    put(pipe, b"left over")
    pipe.give_back()
    assert pipe.read_fd < 0
    assert (pool.lent, pool.bytes_in_use) == (0, 0)


def test_the_pool_keeps_few_spare_pipes_and_none_once_closed() -> None:
    pool = PipePool(4 * KIB, MIB)
    pipes = [lend(pool) for _ in range(MAX_SPARE + 3)]
    last = pipes.pop()
    for pipe in pipes:
        pipe.give_back()
    assert pool.bytes_in_use == (MAX_SPARE + 1) * 4 * KIB
    pool.close()
    last.give_back()  # its promises were settled late
    assert (pool.lent, pool.bytes_in_use) == (0, 0)
    assert not pool.can_lend()
    assert pool.acquire() is None


@pytest.mark.usefixtures("no_fd_leaks")
def test_rule_1_a_pipe_with_promises_goes_home_with_the_last_of_them() -> None:
    pool = PipePool(64 * KIB, MIB)
    pipe = lend(pool)
    put(pipe, b"promised")
    pipe.promised = 8
    pipe.give_back()
    assert pool.lent == 1
    assert pipe.read(5) == b"promi"
    pipe.settle(5)
    assert (pool.lent, pipe.promised) == (1, 3)
    assert pipe.read(3) == b"sed"
    pipe.settle(3)
    assert pool.lent == 0
    pool.close()


def test_a_borrower_is_told_when_all_promises_are_settled() -> None:
    told: list[int] = []
    pool = PipePool(64 * KIB, MIB)
    pipe = lend(pool)
    pipe.on_paid = lambda: told.append(pipe.held)
    put(pipe, b"0123456789")
    pipe.promised = 8
    pipe.read(4)
    pipe.settle(4)
    assert told == []
    pipe.settle(4)  # withdrawn: they are in there still
    assert told == [6]
    assert pipe.free_to_promise == 6
    pipe.give_back()
    assert pool.lent == 0


def test_who_has_given_a_pipe_back_is_told_nothing_any_more() -> None:
    def tell() -> None:
        raise AssertionError

    pool = PipePool(64 * KIB, MIB)
    pipe = lend(pool)
    pipe.on_paid = tell
    put(pipe, b"promised")
    pipe.promised = 8
    pipe.give_back()
    pipe.settle(8)
    assert (pool.lent, pipe.read_fd) == (0, -1)


def give_twice(pool: PipePool, pipe: Pipe) -> None:
    put(pipe, b"x")
    pool.release(pipe)
    pool.release(pipe)


def give_promised(pool: PipePool, pipe: Pipe) -> None:
    pipe.promised = 1
    pool.release(pipe)


@pytest.mark.parametrize("misuse", [give_twice, give_promised])
def test_a_pool_refuses_what_cannot_come_back(misuse: Callable[[PipePool, Pipe], None]) -> None:
    pool = PipePool(64 * KIB, MIB)
    pipe = lend(pool)
    with pytest.raises(LocalProtocolError, match="came back"):
        misuse(pool, pipe)
    pipe.close()
    pipe.close()
