"""What speaks on a port that does not speak frp."""

from __future__ import annotations

import re
import socket
from typing import Final

from frpd.clock import MonotonicClock

GREETING_SECONDS: Final = 1.0
QUESTION: Final = b"GET / HTTP/1.0\r\n\r\n"
MAX_BYTES: Final = 512
SHOWN_CHARACTERS: Final = 40

_SERVER_HEADER = re.compile(rb"(?im)^server:[ \t]*([ -~]{1,40})")
_KINDS: Final = (
    (rb"SSH-", "an SSH server"),
    (rb"HTTP/", "an HTTP server"),
    (rb"[\x14-\x17]\x03[\x00-\x04]", "a TLS server of another kind"),
    (rb"220[ -]", "a mail or FTP server"),
    (rb".{3}\x00\n?[58]\.", "a MySQL server"),
    (rb"-ERR|\+OK", "a POP3 or Redis server"),
    (rb"\* OK", "an IMAP server"),
    (rb"RFB ", "a VNC server"),
)


def greeting(host: str, port: int, seconds: float = GREETING_SECONDS) -> bytes:
    """Return the first words of whoever listens there: its own, or its answer to a web request.

    Blocks, for twice that long at most.
    """
    try:
        with socket.create_connection((host, port), seconds) as sock:
            said = _hear(sock, seconds)
            if not said:
                sock.sendall(QUESTION)
                said = _hear(sock, seconds)
            return said
    except OSError:
        return b""


def _hear(sock: socket.socket, seconds: float) -> bytes:
    now = MonotonicClock().now
    deadline = now() + seconds
    said = b""
    while len(said) < MAX_BYTES and b"\r\n\r\n" not in said:
        left = deadline - now()
        if left <= 0:
            break
        sock.settimeout(left)
        try:
            data = sock.recv(MAX_BYTES)
        except TimeoutError:
            break
        if not data:
            break
        said += data
    return said


def name_of(said: bytes) -> str:
    """Return in words what speaks so; "" if it said nothing that is known."""
    kind = next((name for start, name in _KINDS if re.match(start, said, re.DOTALL)), "")
    if not kind:
        return ""
    server = _SERVER_HEADER.search(said)
    detail = server[1] if server else said.split(b"\r\n")[0].split(b"\n")[0]
    text = detail.decode("ascii", "replace")[:SHOWN_CHARACTERS].strip()
    return f"{kind} ({text})" if text.isprintable() and text.isascii() else kind
