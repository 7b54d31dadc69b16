"""Who listens on a port of the test's: a thread for each connection, all over at the end."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import LoginResp

SECONDS = 15.0
Talk = Callable[[socket.socket], object]
Json = Mapping[str, Any]


class Peer:
    """A service on loopback.

    Args:
        talk: is given each connection, which is closed behind it.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._sock.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._threads[0].join(SECONDS)
        self._sock.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(SECONDS)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            self._open.add(sock)
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.settimeout(SECONDS)
            self._talk(sock)
        self._open.discard(sock)


def silent(sock: socket.socket) -> None:
    """Say nothing, and wait for the end."""
    while sock.recv(4096):
        pass


def says(words: bytes) -> Talk:
    """Return who says this, and hangs up."""
    return lambda sock: sock.sendall(words)


def frps_without_mux(error: str = "", heard: list[Json] | None = None) -> Talk:
    """Return a frps of tcp_mux = false that answers logins so, and hangs up on all else."""

    def talk(sock: socket.socket) -> None:
        if sock.recv(1) != b"o":
            return
        with sock.makefile("rb") as stream:
            size = int.from_bytes(stream.read(8), "big")
            login = json.loads(stream.read(size))
        if heard is not None:
            heard.append(login)
        sock.sendall(encode_message(LoginResp("0.21.0", "abc", 0, error)))
        silent(sock)

    return talk
