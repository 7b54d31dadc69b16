"""The control socket: a Unix socket by which the API can be reached without any port."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from typing import Final

from frpd.errors import ConfigError
from frpd.log import get_logger

RUN_FOLDER: Final = "/run/frpd"
OFF: Final = "off"
KEY: Final = "control_socket"
MODE: Final = 0o660
BACKLOG: Final = 64

_log = get_logger("frpd.admin.control_socket")


class ControlSocket:
    """A listening socket and the name that it has in the file system.

    Args:
        sock: bound to the path and listening.
        path: absolute.
    """

    def __init__(self, sock: socket.socket, path: str) -> None:
        self.sock = sock
        self.path = path
        self._file = _identity(path)

    def remove(self) -> None:
        """Take the name away, unless it is somebody else's by now. Idempotent."""
        with contextlib.suppress(OSError):
            if _identity(self.path) == self._file:
                os.unlink(self.path)


def name_of(file: str | None, program: str) -> str:
    """Return what a program calls its socket: as its file, so that several can run beside."""
    return (file and os.path.splitext(os.path.basename(file))[0]) or program


def path_of(setting: str, name: str) -> str:
    """Return where the socket of a program of this name is to be; "" for nowhere."""
    if setting == OFF:
        return ""
    return os.path.abspath(setting) if setting else os.path.join(RUN_FOLDER, f"{name}.sock")


def open_control_socket(
    setting: str, name: str, owner: tuple[int, int] | None = None
) -> ControlSocket | None:
    """Bind the control socket; None if there is none to be.

    A path that the configuration names is a promise. The default one is taken where the
    run folder is ours to write to and nobody listens there already.

    Args:
        setting: value of the key.
        name: see name_of.
        owner: user and group that the program will become.

    Raises:
        ConfigError: a path that was set cannot be had.
    """
    path = path_of(setting, name)
    if not path:
        return None
    if not setting and not os.access(RUN_FOLDER, os.W_OK | os.X_OK):
        return None
    try:
        return _bind(path, owner)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        if setting:
            raise ConfigError(f"cannot listen on {path}: {reason}", key=KEY) from error
        _log.info("no control socket: cannot listen on %s: %s", path, reason)
        return None


def _bind(path: str, owner: tuple[int, int] | None) -> ControlSocket:
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.bind(path)
        # Nobody can connect before listen(), so the file is never open to more than it shall.
        os.chmod(path, MODE)
        if owner is not None:
            os.chown(path, *owner)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return ControlSocket(sock, path)


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on; raise OSError for anything else that is there."""
    try:
        mode = os.stat(path, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file of that name")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass  # its backlog is full: somebody listens
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path, follow_symlinks=False)
    return status.st_dev, status.st_ino
