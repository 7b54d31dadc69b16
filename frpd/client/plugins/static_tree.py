"""StaticTree: opens what lies beneath one folder, and nothing else. Worker threads only.

Links are followed as long as they stay inside. The kernel sees to that where it
has openat2 (Linux 5.6); it refuses links with an absolute target, though, and
some sandboxes refuse the call, so there is a walk of our own, component by
component, that comes to the same. What is opened is looked at first: opening a
device or a FIFO can have effects of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from frpd.net.file_source import OpenFile

MAX_LINKS: Final = 40
"""Most links on one way, as in the kernel."""
MAX_RACES: Final = 8
"""How often the kernel is asked again when somebody renames folders under it."""

_OPENAT2: Final = 437  # on every architecture that Debian knows
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_BENEATH: Final = 0x08
_LOOK: Final = os.O_PATH | os.O_CLOEXEC
# Non-blocking, should a FIFO have come in between; never our controlling terminal.
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

Beneath = Callable[[int, bytes, int], int]
"""Opens a relative path beneath a folder's descriptor; "." is the folder. Raises OSError."""


class Opened:
    """A regular file or a folder, open for reading.

    Attributes:
        file: its descriptor.
        stat: of what was opened.
    """

    __slots__ = ("file", "stat")

    def __init__(self, fd: int) -> None:
        self.file = OpenFile(fd)
        self.stat = os.fstat(fd)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.stat.st_mode)


class FolderMissing(OSError):
    """The folder that is served cannot be opened itself."""


class StaticTree:
    """The folder that is served. Any thread.

    Args:
        root: its path. Opened anew each time, since it may be replaced as a whole.
        beneath: opens what lies in it; None for the kernel's way, or ours without that.
    """

    def __init__(self, root: str, beneath: Beneath | None = None) -> None:
        self._root = os.fsencode(os.path.abspath(root))
        self._beneath = beneath or self._best_beneath

    def open(self, path: tuple[bytes, ...]) -> Opened:
        """Open a file or folder beneath the root.

        Args:
            path: components.

        Raises:
            FolderMissing: the root cannot be opened.
            OSError: as the kernel says; EXDEV for a way out, EPERM for what is neither
                a regular file nor a folder, ENOENT for what is no component.
        """
        for part in path:
            if part in (b"", b".", b"..") or b"/" in part or b"\0" in part:
                raise FileNotFoundError(errno.ENOENT, "not a name")
        name = b"/".join(path) or b"."
        with _closing(self._open_root()) as root:
            with _closing(self._beneath(root, name, _LOOK)) as found:
                kind = _kind_of(found)
            flags = _READ | os.O_DIRECTORY if kind == stat.S_IFDIR else _READ
            opened = Opened(self._beneath(root, name, flags))
        if stat.S_IFMT(opened.stat.st_mode) != kind:
            raise PermissionError(errno.EPERM, "replaced while it was opened")
        return opened

    def _open_root(self) -> int:
        try:
            return os.open(self._root, _LOOK | os.O_DIRECTORY)
        except OSError as error:
            raise FolderMissing(error.errno, error.strerror) from error

    def _best_beneath(self, root: int, path: bytes, flags: int) -> int:
        if kernel_has_openat2():
            try:
                return open_by_kernel(root, path, flags)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
        return self.open_by_walk(root, path, flags)

    def open_by_walk(self, root: int, path: bytes, flags: int) -> int:
        """Open a path one component after the other, see Beneath.

        Links with an absolute target are followed if it lies in the served folder.
        """
        walk = _Walk(root, (self._root, os.path.realpath(self._root)))
        try:
            return walk.open(path, flags)
        finally:
            walk.close()


class _Walk:
    """One way from the root down. Folders on it stay open: ".." goes back, never up."""

    def __init__(self, root: int, names: tuple[bytes, ...]) -> None:
        self._root = root
        self._names = names  # what absolute links may call it
        self._folders: list[int] = []
        self._left: deque[bytes] = deque()
        self._links = 0

    def close(self) -> None:
        """Close what was opened on the way."""
        self._back_to_root()

    def open(self, path: bytes, flags: int) -> int:
        """Go there, then open what is there."""
        self._left.extend(path.split(b"/"))
        while self._left:
            name = self._left.popleft()
            if name == b"..":
                self._go_back()
            elif name not in (b"", b"."):
                if self._enter(name):
                    continue
                if any(self._left):
                    raise NotADirectoryError(errno.ENOTDIR, "not a folder")
                return os.open(name, flags | os.O_NOFOLLOW, dir_fd=self._here)
        return os.open(b".", flags, dir_fd=self._here)

    @property
    def _here(self) -> int:
        return self._folders[-1] if self._folders else self._root

    def _enter(self, name: bytes) -> bool:
        """Take one step; False where that is neither folder nor link."""
        fd = os.open(name, _LOOK | os.O_NOFOLLOW, dir_fd=self._here)
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            self._folders.append(fd)
            return True
        with _closing(fd):
            if stat.S_ISLNK(mode):
                self._follow(os.readlink(b"", dir_fd=fd))
                return True
        return False

    def _follow(self, target: bytes) -> None:
        self._links += 1
        if self._links > MAX_LINKS:
            raise OSError(errno.ELOOP, "too many links")
        if target.startswith(b"/"):
            target = self._inside(target)
            self._back_to_root()
        self._left.extendleft(reversed(target.split(b"/")))

    def _inside(self, target: bytes) -> bytes:
        for name in self._names:
            if target == name or target.startswith(name.rstrip(b"/") + b"/"):
                return target[len(name) :]
        raise _way_out()

    def _go_back(self) -> None:
        if not self._folders:
            raise _way_out()
        os.close(self._folders.pop())

    def _back_to_root(self) -> None:
        while self._folders:
            os.close(self._folders.pop())


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_libc = ctypes.CDLL(None, use_errno=True)


def open_by_kernel(root: int, path: bytes, flags: int) -> int:
    """Open a path with openat2, see Beneath; without links that have an absolute target."""
    how = _OpenHow(flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    number = errno.EAGAIN
    for _ in range(MAX_RACES):
        fd: int = _libc.syscall(
            ctypes.c_long(_OPENAT2), ctypes.c_int(root), path, ctypes.byref(how), size
        )
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        if number != errno.EAGAIN:
            break
    raise OSError(number, os.strerror(number))


def kernel_has_openat2() -> bool:
    """Tell whether the call exists, and no sandbox refuses it."""
    if not _answers:
        with _closing(os.open("/", _LOOK)) as root:
            try:
                os.close(open_by_kernel(root, b".", _LOOK))
            except OSError:
                _answers.append(False)
            else:
                _answers.append(True)
    return _answers[0]


_answers: list[bool] = []  # asked once


@contextlib.contextmanager
def _closing(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


def _kind_of(fd: int) -> int:
    kind = stat.S_IFMT(os.fstat(fd).st_mode)
    if kind not in (stat.S_IFREG, stat.S_IFDIR):
        raise PermissionError(errno.EPERM, "neither a file nor a folder")
    return kind


def _way_out() -> OSError:
    return OSError(errno.EXDEV, "leads out of the folder")
