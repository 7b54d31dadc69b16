"""PidFile: the number of a running daemon, in a file that is locked while it runs.

The lock counts, not the number: the kernel drops it with the process that holds it, however
that ended, while a number that was left behind may by now be another process's. It is a
lock of the open file (flock), so it goes from a process to its forks.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat

from frpd.errors import ConfigError

_MODE = 0o644
_CONTENT = re.compile(rb"\s*(\d{0,10})\s*")
_KEY = "--pid_file"


class PidFile:
    """A pid file.

    First ``lock`` it; entering it as a context then writes the number of the process
    that does so, leaving removes it.

    Args:
        path: the file; its folder must exist.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._fd = -1

    def lock(self) -> None:
        """Take the file, and over what a process that ended has left.

        Raises:
            ConfigError: a running process holds it, or it cannot be a pid file.
        """
        while self._fd < 0:
            fd = self._open()
            try:
                self._take(fd)
            except BaseException:
                os.close(fd)
                raise

    def fileno(self) -> int:
        """Return the descriptor that holds the lock."""
        return self._fd

    def __enter__(self) -> PidFile:
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Delete the file and give up the lock. Idempotent."""
        if self._fd < 0:
            return
        try:
            if self._is_at_path(self._fd):
                os.unlink(self.path)
        except OSError:
            # Whoever gave up root may not delete in root's folder: at least name nobody.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
        self.close()

    def close(self) -> None:
        """Leave the file, and its lock to the forks that still have it open. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        # O_NOFOLLOW: in a folder where others may write, a link could lead to any file of root's.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK
        try:
            return os.open(self.path, flags, _MODE)
        except OSError as error:
            raise ConfigError(f"cannot open {self.path}: {error.strerror}", key=_KEY) from error

    def _take(self, fd: int) -> None:
        content = _CONTENT.fullmatch(os.pread(fd, 64, 0)) if _is_regular(fd) else None
        if content is None:
            raise ConfigError(f"{self.path} is not a pid file, and is left alone", key=_KEY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _name_of(int(content[1] or 0))
            raise ConfigError(f"{self.path} is held by {holder}", key=_KEY) from None
        if not self._is_at_path(fd):
            os.close(fd)  # its holder removed it between our two calls: begin again
            return
        with contextlib.suppress(PermissionError):  # it may be another user's
            os.fchmod(fd, _MODE)
        self._fd = fd

    def _is_at_path(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.stat(self.path, follow_symlinks=False), os.fstat(fd))
        except FileNotFoundError:
            return False


def _is_regular(fd: int) -> bool:
    return stat.S_ISREG(os.fstat(fd).st_mode)


def _name_of(pid: int) -> str:
    if pid == 0:
        return "a process that starts or ends just now"
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
            return f"{comm.read().strip()} (pid {pid}), which runs"
    except OSError:
        return f"pid {pid}, which runs"
