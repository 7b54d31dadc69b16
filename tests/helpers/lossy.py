"""A stretch of the way that loses datagrams, the same ones in each run."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from types import TracebackType

LOCAL: Final = "127.0.0.1"


class LossyRelay:
    """Passes datagrams on to a port of this machine, and their answers back.

    Args:
        target: the port.
        every: of so many datagrams, in each direction of each sender, the last one is lost.
    """

    def __init__(self, target: int, every: int) -> None:
        self.lost = 0
        self.target = target
        self._every = every
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind((LOCAL, 0))
        self.port: int = self._front.getsockname()[1]
        self._stop, self._stopped = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._front, selectors.EVENT_READ)
        self._selector.register(self._stopped, selectors.EVENT_READ)
        self._backs: dict[tuple[str, int], socket.socket] = {}
        self._owners: dict[socket.socket, tuple[str, int]] = {}
        self._counts: dict[tuple[socket.socket, bool], int] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> LossyRelay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.send(b"x")
        self._thread.join()
        self._selector.close()
        for sock in (self._front, self._stop, self._stopped, *self._owners):
            sock.close()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                sock = cast("socket.socket", key.fileobj)
                if sock is self._stopped:
                    return
                with contextlib.suppress(ConnectionRefusedError):
                    self._pass_on(sock)

    def _pass_on(self, sock: socket.socket) -> None:
        if sock is not self._front:
            data = sock.recv(65536)
            if self._survives(sock, is_answer=True):
                self._front.sendto(data, self._owners[sock])
            return
        data, sender = self._front.recvfrom(65536)
        back = self._backs.get(sender)
        if back is None:
            back = self._backs[sender] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            back.connect((LOCAL, self.target))
            self._owners[back] = sender
            self._selector.register(back, selectors.EVENT_READ)
        if self._survives(back, is_answer=False):
            back.send(data)

    def _survives(self, back: socket.socket, *, is_answer: bool) -> bool:
        count = self._counts[back, is_answer] = self._counts.get((back, is_answer), 0) + 1
        if count % self._every:
            return True
        self.lost += 1
        return False
