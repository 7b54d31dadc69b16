"""Local services, and visitors who come through the tunnel without a pause, and count."""

from __future__ import annotations

import contextlib
import http.server
import os
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.lifecycle.machine import check, wait_until

ANSWER_SECONDS = 30.0
COMERS, STAYERS = 8, 20
PAUSE_SECONDS = 0.02


class Echo(socketserver.StreamRequestHandler):
    """Gives each line back."""

    def handle(self) -> None:
        """Serve one connection."""
        with contextlib.suppress(OSError):
            for line in self.rfile:
                self.wfile.write(line)


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512


class _Unix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"a web")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(echo_port: int, web_port: int, udp_port: int, unix_path: str) -> None:
    """Start the services that frpc exposes; they run as long as the program."""
    servers: list[Any] = [
        _Tcp(("127.0.0.1", echo_port), Echo),
        http.server.ThreadingHTTPServer(("127.0.0.1", web_port), _Page),
        _Unix(unix_path, Echo),
    ]
    os.chmod(unix_path, 0o666)
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Thread(target=_echo_datagrams, args=(udp_port,), daemon=True).start()


def _echo_datagrams(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))
        while True:
            data, sender = sock.recvfrom(2048)
            sock.sendto(data, sender)


def echoes(port: int) -> bool:
    """Whether a line comes back from a port."""
    try:
        with socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS) as sock:
            sock.sendall(b"anybody there?\n")
            return sock.makefile("rb").readline() == b"anybody there?\n"
    except OSError:
        return False


def echoes_datagrams(port: int) -> bool:
    """Whether a datagram comes back from a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        try:
            sock.sendto(b"anybody there?", ("127.0.0.1", port))
            return sock.recv(100) == b"anybody there?"
        except OSError:
            return False


def page(port: int, host: str, path: str = "/") -> str:
    """Return the body of a web page; "" if there is none."""
    request = f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS) as sock:
            sock.sendall(request.encode())
            head, _, body = sock.makefile("rb").read().partition(b"\r\n\r\n")
    except OSError:
        return ""
    return body.decode() if b" 200 " in head.split(b"\r\n")[0] else ""


class Counts:
    """What happened to visitors while the services were shaken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.answered = 0
        self.refused = 0
        self.cut = 0
        self.standing_cut = 0
        self.longest = 0.0

    def note(self, kind: str, seconds: float = 0.0) -> None:
        """Count one."""
        with self._lock:
            setattr(self, kind, getattr(self, kind) + 1)
            self.longest = max(self.longest, seconds)

    def __str__(self) -> str:
        """Say it all in a line."""
        return (
            f"visitors: {self.answered} answered, {self.refused} refused, {self.cut} cut;"
            f" of {STAYERS} standing connections {self.standing_cut} cut;"
            f" longest wait {self.longest:.2f} s"
        )


@contextlib.contextmanager
def load(port: int) -> Iterator[Counts]:
    """Send visitors to a port until the block ends: some come and go, some stay and talk.

    Raises:
        Failed: nobody is answered before or after the block.
    """
    counts = Counts()
    over = threading.Event()
    threads = [threading.Thread(target=_come, args=(port, counts, over)) for _ in range(COMERS)]
    threads += [threading.Thread(target=_stay, args=(port, counts, over)) for _ in range(STAYERS)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: counts.answered > COMERS, "visitors are answered")
        yield counts
        before = counts.answered
        wait_until(lambda: counts.answered > before + COMERS, "visitors are answered again")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    check(counts.answered, "no visitor was answered")


def _come(port: int, counts: Counts, over: threading.Event) -> None:
    while not over.wait(PAUSE_SECONDS):
        begin = time.monotonic()
        try:
            sock = socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS)
        except OSError:
            counts.note("refused")
            continue
        with sock:
            kind = "answered" if _talk(sock) else "cut"
        counts.note(kind, time.monotonic() - begin)


def _stay(port: int, counts: Counts, over: threading.Event) -> None:
    while not over.is_set():
        try:
            sock = socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS)
        except OSError:
            over.wait(PAUSE_SECONDS)
            continue
        with sock:
            alive = True
            while alive and not over.wait(PAUSE_SECONDS):
                alive = _talk(sock)
        if not alive:
            counts.note("standing_cut")


def _talk(sock: socket.socket) -> bool:
    line = b"hello\n"
    got = b""
    try:
        sock.sendall(line)
        while len(got) < len(line):
            data = sock.recv(100)
            if not data:
                return False
            got += data
    except OSError:
        return False
    return got == line


def make_site(folder: str) -> None:
    """Lay out a page for static_file."""
    Path(folder).mkdir(parents=True)
    Path(folder, "hello.txt").write_text("a file", encoding="utf-8")
