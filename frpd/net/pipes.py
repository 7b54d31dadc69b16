"""Pipes that payload waits in on its way through splice, and the pool that lends them.

A pipe knows how many bytes it holds, since the kernel is not asked, and how
many of them are promised to a frame whose header may be out already. Only
bulky directions borrow one, out of a byte budget for the process: a plain user
may have 64 MiB of pipes in all (fs.pipe-user-pages-soft), root has no such
limit. Who gets none copies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable

from frpd.errors import LocalProtocolError

DEFAULT_PIPE_BYTES = 1024 * 1024
DEFAULT_BUDGET_BYTES = 32 * 1024 * 1024
MAX_SPARE = 8
# The kernel said no: so many requests are refused before it is asked again. Each try costs
# four system calls, and what it waits for (other processes' pipes) takes its time.
KERNEL_REFUSAL_PAUSE = 256


class Pipe:
    """One pipe, non-blocking at both ends.

    Attributes:
        read_fd: where splice takes bytes out.
        write_fd: where splice puts bytes in.
        capacity: what the kernel granted, in bytes; it counts pages, so
            small segments fill it long before.
        held: bytes inside.
        promised: bytes of those that belong to frames already announced.
        void: bytes of those whose announcement was withdrawn: they belong to nobody.
        orphaned: its borrower has gone while bytes were promised; whoever
            pays the last of them gives it back.
        on_paid: its borrower is called when no promise is left, paid or
            withdrawn, but not after give_back().
    """

    __slots__ = (
        "_pool",
        "capacity",
        "held",
        "on_paid",
        "orphaned",
        "promised",
        "read_fd",
        "void",
        "write_fd",
    )

    def __init__(self, pool: PipePool, read_fd: int, write_fd: int, capacity: int) -> None:
        self._pool = pool
        self.read_fd = read_fd
        self.write_fd = write_fd
        self.capacity = capacity
        self.held = 0
        self.promised = 0
        self.void = 0
        self.orphaned = False
        self.on_paid: Callable[[], None] | None = None

    @property
    def free_to_promise(self) -> int:
        """Bytes inside that nobody has announced yet."""
        return self.held - self.promised - self.void

    def read(self, limit: int) -> bytes:
        """Take bytes out into memory, for a reader that does not splice any more."""
        data = os.read(self.read_fd, min(limit, self.held))
        self.held -= len(data)
        return data

    def settle(self, nbytes: int) -> None:
        """Promised bytes were paid; an orphan goes home with the last."""
        self.promised -= nbytes
        if self.promised:
            return
        if self.orphaned:
            self._pool.release(self)
        elif self.on_paid is not None:
            self.on_paid()

    def withdraw(self, nbytes: int) -> None:
        """Promised bytes need not be paid; they stay in here, and nobody wants them."""
        self.void += nbytes
        self.settle(nbytes)

    def give_back(self) -> None:
        """Return it to its pool, at once or when the last promise is settled."""
        self.on_paid = None
        if self.promised:
            self.orphaned = True
        else:
            self._pool.release(self)

    def close(self) -> None:
        """Close both ends; what is inside is gone. Idempotent."""
        if self.read_fd >= 0:
            os.close(self.read_fd)
            os.close(self.write_fd)
            self.read_fd = self.write_fd = -1


class PipePool:
    """Lends pipes within a byte budget. Loop thread only.

    Args:
        pipe_bytes: size asked of the kernel for each pipe.
        budget_bytes: of all pipes lent or spare; 0 means that nobody splices.
    """

    def __init__(
        self,
        pipe_bytes: int = DEFAULT_PIPE_BYTES,
        budget_bytes: int = DEFAULT_BUDGET_BYTES,
    ) -> None:
        self._pipe_bytes = pipe_bytes
        self._budget = budget_bytes
        self._spare: list[Pipe] = []
        self._bytes = 0  # of pipes that exist
        self._pause = 0  # requests to refuse before the kernel is asked again
        self._closed = False
        self.lent = 0
        self.refused = 0

    @property
    def bytes_in_use(self) -> int:
        """Capacity of all pipes that exist."""
        return self._bytes

    def can_lend(self) -> bool:
        """Return whether asking is worth while: acquire() may still be refused by the kernel."""
        if self._spare:
            return True
        if self._closed or self._bytes + self._pipe_bytes > self._budget:
            return False
        if self._pause:
            self._pause -= 1
            return False
        return True

    def acquire(self) -> Pipe | None:
        """Lend an empty pipe, or None: the budget is spent or the kernel refuses."""
        pipe: Pipe | None = None
        if self.can_lend():
            pipe = self._spare.pop() if self._spare else self._make()
        if pipe is None:
            self.refused += 1
        else:
            self.lent += 1
        return pipe

    def release(self, pipe: Pipe) -> None:
        """Take a pipe back; one that is not empty is closed, never lent again."""
        if pipe.read_fd < 0 or pipe.promised:
            raise LocalProtocolError("a pipe came back twice, or with bytes promised")
        pipe.orphaned = False
        self.lent -= 1
        if pipe.held == 0 and len(self._spare) < MAX_SPARE and not self._closed:
            self._spare.append(pipe)
        else:
            self._discard(pipe)

    def close(self) -> None:
        """Lend no more; close the spare pipes, and each that comes back. Idempotent."""
        self._closed = True
        while self._spare:
            self._discard(self._spare.pop())

    def _make(self) -> Pipe | None:
        try:
            read_fd, write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # EMFILE and the like: connections need descriptors more
            self._pause = KERNEL_REFUSAL_PAUSE
            return None
        try:
            capacity = fcntl.fcntl(write_fd, fcntl.F_SETPIPE_SZ, self._pipe_bytes)
        except OSError:
            # EPERM: over the user's soft limit new pipes hold two pages; copying beats that.
            os.close(read_fd)
            os.close(write_fd)
            self._pause = KERNEL_REFUSAL_PAUSE
            return None
        self._pipe_bytes = capacity  # it rounds up
        self._bytes += capacity
        return Pipe(self, read_fd, write_fd, capacity)

    def _discard(self, pipe: Pipe) -> None:
        self._bytes -= pipe.capacity
        with contextlib.suppress(OSError):
            pipe.close()
