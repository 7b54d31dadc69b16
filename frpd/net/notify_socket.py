"""NotifySocket: the datagram socket on which a service manager listens (sd_notify).

One datagram is one message; descriptors travel beside it. Nothing here waits: what the
manager has no room for, because it is busy, is sent when it has, in the same order.
"""

from __future__ import annotations

import array
import contextlib
import errno
import os
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from frpd.log import get_logger
from frpd.selector_loop import SelectorLoop, Watch

MAX_WAITING: Final = 8192
"""Messages that wait; above that the manager has been deaf for long, and they are lost."""
FINISH_SECONDS: Final = 0.5
"""How long the end of a program may be put off by a manager that is busy."""
SEND_BUFFER_BYTES: Final = 4 * 1024 * 1024

_GONE: Final = frozenset({errno.ECONNREFUSED, errno.ENOTCONN})
"""The manager was started anew, and listens under the same name again."""

_Message: TypeAlias = tuple[bytes, tuple[int, ...]]

_log = get_logger("frpd.net.notify_socket")


class NotifySocket:
    """Tells a service manager things. Loop thread only.

    Args:
        address: as in NOTIFY_SOCKET: a path, or a name in the abstract space behind an ``@``.

    Raises:
        OSError: there is nobody.
    """

    def __init__(self, address: str) -> None:
        self._waiting: deque[_Message] = deque()
        self._watch: Watch | None = None
        self._deaf = False
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            # Connected, so that epoll can tell when the far end has room.
            self._sock.connect(self._address)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        except OSError:
            self._sock.close()
            raise

    def attach(self, loop: SelectorLoop) -> None:
        """Send from now on what had to wait."""
        self._watch = loop.watch(self._sock.fileno(), self._failed)
        self._arm()

    def send(self, *assignments: str, fds: Sequence[int] = ()) -> None:
        """Send one message, now or as soon as it can be.

        Args:
            assignments: such as ``READY=1``; control characters in them become spaces.
            fds: to be passed along; they may be closed as soon as this returns.
        """
        message = "\n".join(map(_one_line, assignments)).encode("utf-8", "replace")
        if not self._waiting and self._sent((message, tuple(fds))):
            return
        if len(self._waiting) >= MAX_WAITING:
            if not self._deaf:
                self._deaf = True
                _log.warning("the service manager does not listen; it will miss messages")
            return
        self._waiting.append((message, tuple(map(os.dup, fds))))
        self._arm()

    def close(self) -> None:
        """Send what waits, if that can be soon, and let go. Idempotent."""
        if self._sock.fileno() < 0:
            return
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._sock.settimeout(FINISH_SECONDS)
        while self._waiting and self._sent(self._waiting[0]):
            self._forget_first()
        while self._waiting:
            self._forget_first()
        self._sock.close()

    def _sent(self, message: _Message) -> bool:
        """Return whether it is dealt with; False if it has to wait."""
        text, fds = message
        rights = array.array("i", fds)
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if fds else []
        try:
            try:
                self._sock.sendmsg((text,), control, socket.MSG_NOSIGNAL)
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                self._sock.connect(self._address)
                self._sock.sendmsg((text,), control, socket.MSG_NOSIGNAL)
        except (BlockingIOError, TimeoutError):
            return False
        except OSError as error:
            _log.warning("the service manager cannot be told %r: %s", text, error.strerror)
        return True

    def _drain(self) -> None:
        while self._waiting and self._sent(self._waiting[0]):
            self._forget_first()
        self._deaf = self._deaf and bool(self._waiting)
        self._arm()

    def _forget_first(self) -> None:
        for fd in self._waiting.popleft()[1]:
            os.close(fd)

    def _arm(self) -> None:
        if self._watch is not None:
            self._watch.set(None, self._drain if self._waiting else None)

    def _failed(self, _error: BaseException) -> None:
        # It is only news: go on without what did not pass.
        if self._waiting:
            self._forget_first()
        self._arm()


def tell_failure(reason: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell the manager, if there is one, why a program ends before it has begun."""
    address = environ.get("NOTIFY_SOCKET")
    if address:
        with contextlib.suppress(OSError):  # what it says elsewhere has to do
            told = NotifySocket(address)
            told.send(f"STATUS={reason}")
            told.close()


def _one_line(assignment: str) -> str:
    return "".join(" " if character < " " else character for character in assignment)
