"""What systemd does for a service: listens to it, keeps its sockets, and hands them over."""

from __future__ import annotations

import os
import socket
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.helpers.programs import SECONDS, Program, without_proxies

if TYPE_CHECKING:
    from pathlib import Path

MAX_MESSAGE_BYTES = 65536
# Puts the descriptors of its arguments where a service looks for them, and becomes the service.
_LAUNCHER = """
import fcntl, os, sys
count = int(sys.argv[1])
given, command = [int(word) for word in sys.argv[2 : 2 + count]], sys.argv[2 + count :]
high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in given]
os.closerange(3, 100)
for number, fd in enumerate(high):
    os.dup2(fd, 3 + number)
os.closerange(100, 400)
os.environ["LISTEN_PID"] = os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execv(command[0], command)
"""


class Systemd:
    """One unit of Type=notify with a file descriptor store.

    Args:
        folder: for its socket.

    Attributes:
        heard: all messages so far, each with spaces between its lines.
        store: names and descriptors.
    """

    def __init__(self, folder: Path) -> None:
        self.heard: list[str] = []
        self.store: list[tuple[str, int]] = []
        self._news = threading.Condition()
        self._path = str(folder / "notify")
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(self._path)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def start(self, name: str, *command: str, watchdog_seconds: float = 0.0) -> Program:
        """Start the service, with all that is in the store."""
        with self._news:
            stored = list(self.store)
        env = without_proxies(os.environ)
        env["NOTIFY_SOCKET"] = self._path
        if watchdog_seconds:
            env["WATCHDOG_USEC"] = str(int(watchdog_seconds * 1_000_000))
        if stored:
            env["LISTEN_FDS"] = str(len(stored))
            env["LISTEN_FDNAMES"] = ":".join(label for label, _ in stored)
        fds = [fd for _, fd in stored]
        launcher = [sys.executable, "-IS", "-c", _LAUNCHER, str(len(fds)), *map(str, fds)]
        return Program(name, [*launcher, *command], env=env, pass_fds=fds)

    def mark(self) -> int:
        """Return a mark for ``wait_for``: what comes from now on."""
        with self._news:
            return len(self.heard)

    def wait_for(self, part: str, since: int = 0) -> str:
        """Return the first message that has this part."""

        def found() -> str | None:
            return next((message for message in self.heard[since:] if part in message), None)

        with self._news:
            if not self._news.wait_for(found, SECONDS):
                pytest.fail(f"systemd did not hear of {part!r}: {self.heard[since:]}")
            return found() or ""

    def names(self) -> list[str]:
        """Return the names of what it keeps."""
        with self._news:
            return sorted(name for name, _ in self.store)

    def wait_for_names(self, *names: str) -> None:
        """Wait until it keeps these."""
        wanted = sorted(names)
        with self._news:
            if not self._news.wait_for(lambda: sorted(n for n, _ in self.store) == wanted, SECONDS):
                pytest.fail(f"kept: {self.store}, wanted: {wanted}")

    def close(self) -> None:
        """End it, and all that it keeps."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", self._path)
        self._thread.join(SECONDS)
        self._sock.close()
        for _, fd in self.store:
            os.close(fd)

    def _listen(self) -> None:
        while True:
            text, fds, _, _ = socket.recv_fds(self._sock, MAX_MESSAGE_BYTES, 8)
            if not text:
                return
            with self._news:
                self._receive(text.decode(), fds)
                self._news.notify_all()

    def _receive(self, text: str, fds: list[int]) -> None:
        self.heard.append(text.replace("\n", " "))
        fields = dict(line.split("=", 1) for line in text.splitlines())
        name = fields.get("FDNAME", "")
        if "FDSTOREREMOVE" in fields:
            for entry in [entry for entry in self.store if entry[0] == name]:
                self.store.remove(entry)
                os.close(entry[1])
        for fd in fds:
            kept = [os.fstat(other) for _, other in self.store]
            if any(os.path.samestat(os.fstat(fd), other) for other in kept):
                os.close(fd)
            else:
                self.store.append((name, fd))
