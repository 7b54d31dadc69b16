"""Visits: each goes through a tunnel once, and looks at every byte that comes back."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from random import Random
from typing import Final

from bench.soak.services import pattern

LOOPBACK: Final = "127.0.0.1"
PATIENCE_SECONDS: Final = 20.0
RESET: Final = struct.pack("ii", 1, 0)
FAILURES: Final = (OSError, HTTPException)
"""What a visit that was cut may raise."""


class WrongBytesError(Exception):
    """Something else came back than was sent. Nothing excuses that."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one proxy is visited."""

    port: int
    host: str = ""
    """Of http and https proxies."""


Visit = Callable[[Place, Random], None]


def connect(place: Place) -> socket.socket:
    """Return a connection."""
    return socket.create_connection((LOOPBACK, place.port), PATIENCE_SECONDS)


def check(wanted: bytes, got: bytes) -> None:
    """Compare; less than all is a cut, anything else is wrong."""
    if got != wanted:
        if wanted.startswith(got):
            raise ConnectionError(f"cut after {len(got)} of {len(wanted)} bytes")
        raise WrongBytesError(f"{len(got)} bytes came, not the {len(wanted)} that were sent")


def take(sock: socket.socket, count: int) -> bytes:
    """Return so many bytes, or fewer at the end."""
    parts = []
    while count and (part := sock.recv(min(count, 1 << 16))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def echo(place: Place, dice: Random) -> None:
    """Say some things, hear each of them again, and leave."""
    with connect(place) as sock:
        for _ in range(dice.randint(1, 20)):
            data = pattern(dice.getrandbits(32), dice.choice((1, 64, 1500, 16_000)))
            sock.sendall(data)
            check(data, take(sock, len(data)))


def bulk(place: Place, dice: Random) -> None:
    """Have much under way at once, and end one direction first."""
    data = pattern(dice.getrandbits(32), dice.randint(200_000, 2_000_000))
    with connect(place) as sock:
        got = b""
        for start in range(0, len(data), 1 << 16):
            sock.sendall(data[start : start + (1 << 16)])
            got += take(sock, len(data[start : start + (1 << 16)]))
        sock.shutdown(socket.SHUT_WR)
        check(data, got + take(sock, 1 << 20))


def half_close(place: Place, dice: Random) -> None:
    """End our direction at once: all that was sent has to come back all the same."""
    data = pattern(dice.getrandbits(32), dice.choice((1, 1000, 30_000)))
    with connect(place) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        check(data, take(sock, len(data) + 1))


def reset(place: Place, dice: Random) -> None:
    """Be gone in the middle of something."""
    with connect(place) as sock:
        sock.sendall(pattern(dice.getrandbits(32), 30_000))
        check(pattern(0, 0), take(sock, 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def idle(place: Place, dice: Random) -> None:
    """Be silent for a while, and then be served."""
    with connect(place) as sock:
        time.sleep(dice.uniform(0.5, 4.0))
        sock.sendall(b"still there?")
        check(b"still there?", take(sock, 12))


def datagrams(place: Place, dice: Random) -> None:
    """Send datagrams and hear them again; one that is lost is sent again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1.0)
        sock.connect((LOOPBACK, place.port))
        for _ in range(dice.randint(1, 10)):
            data = pattern(dice.getrandbits(32), dice.choice((16, 64, 1200)))
            check(data, _asked(sock, data))


def _asked(sock: socket.socket, data: bytes) -> bytes:
    for _ in range(int(PATIENCE_SECONDS)):
        sock.send(data)
        with contextlib.suppress(TimeoutError):
            while True:
                got = sock.recv(1 << 16)
                if got[:8] == data[:8]:  # one that was late is an earlier one's answer
                    return got
    raise ConnectionError("no answer to a datagram")


def http(place: Place, dice: Random) -> None:
    """Ask some times on one connection, or have it closed behind the answer."""
    line = HTTPConnection(LOOPBACK, place.port, timeout=PATIENCE_SECONDS)
    _ask(line, place, dice)


def https(place: Place, dice: Random) -> None:
    """Do the same inside TLS, which ends at the service."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    line = HTTPConnection(place.host, place.port, timeout=PATIENCE_SECONDS)
    line.sock = context.wrap_socket(connect(place), server_hostname=place.host)
    _ask(line, place, dice)


def _ask(line: HTTPConnection, place: Place, dice: Random) -> None:
    with contextlib.closing(line):
        keep = dice.random() < 0.7
        for _ in range(dice.randint(1, 8) if keep else 1):
            size, seed = dice.choice((0, 10, 5000, 200_000)), dice.getrandbits(32)
            headers = {"Host": place.host} | ({} if keep else {"Connection": "close"})
            line.request("GET", f"/{size}/{seed}", headers=headers)
            check(pattern(seed, size), _body(line.getresponse()))


def _body(answer: HTTPResponse) -> bytes:
    body = answer.read()
    if answer.status != 200:
        raise ConnectionError(f"status {answer.status}")
    return body
