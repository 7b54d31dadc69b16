"""Visitors of a tunnel: plain sockets, driven from one thread, under deadlines."""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import TYPE_CHECKING

import pytest

from tests.helpers.programs import SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

CHUNK = 262_144


def visit(port: int, host: str = "127.0.0.1", seconds: float = SECONDS) -> socket.socket:
    """Connect as a visitor; each later call on the socket has the same deadline."""
    return socket.create_connection((host, port), seconds)


def refuses(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether nobody listens there."""
    with socket.socket() as sock:
        sock.settimeout(SECONDS)
        return sock.connect_ex((host, port)) != 0


def exchange(visitor: socket.socket, data: bytes, seconds: float = 60.0) -> bytes:
    """Send everything while reading as much; return what came, less if the end came first."""
    deadline = time.monotonic() + seconds
    unsent, got = memoryview(data), bytearray()
    poller = select.poll()
    visitor.setblocking(False)
    while len(got) < len(data):
        poller.register(visitor, select.POLLIN | (select.POLLOUT if unsent else 0))
        if time.monotonic() > deadline:
            pytest.fail(f"{len(got)} of {len(data)} bytes came back within {seconds:g} s")
        for _, events in poller.poll(500):
            if events & select.POLLOUT:
                unsent = unsent[visitor.send(unsent[:CHUNK]) :]
            if events & ~select.POLLOUT:
                part = visitor.recv(CHUNK)
                if not part:
                    return bytes(got)
                got += part
    visitor.settimeout(SECONDS)
    return bytes(got)


def echoes(port: int, data: bytes = b"ping", host: str = "127.0.0.1") -> bool:
    """Return whether a new visitor gets its bytes back."""
    try:
        with visit(port, host) as visitor:
            return exchange(visitor, data, SECONDS) == data
    except OSError:
        return False


def wait_for_echo(port: int, seconds: float = SECONDS) -> float:
    """Wait until a new visitor gets its bytes back; return the seconds that it took."""
    return wait_until(lambda: echoes(port), f"an echo through port {port}", seconds)


def read_to_end(visitor: socket.socket) -> bytes:
    """Read until the peer says that nothing more comes."""
    parts = []
    while part := visitor.recv(CHUNK):
        parts.append(part)
    return b"".join(parts)


def is_over(visitor: socket.socket) -> bool:
    """Return whether the peer has ended the connection, one way or the other; does not wait."""
    poller = select.poll()
    poller.register(visitor, select.POLLIN)
    if not poller.poll(0):
        return False
    try:
        return not visitor.recv(CHUNK)
    except OSError:
        return True


def reset(visitor: socket.socket) -> None:
    """Close it with RST."""
    visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    visitor.close()


def read_all(visitors: Sequence[socket.socket], data: bytes, seconds: float) -> float:
    """Read ``data`` from each of the visitors side by side; return the seconds it took."""
    begun = time.monotonic()
    missing = {visitor.fileno(): len(data) for visitor in visitors}
    by_number = {visitor.fileno(): visitor for visitor in visitors}
    poller = select.poll()
    for visitor in visitors:
        poller.register(visitor, select.POLLIN)
    while missing:
        if time.monotonic() - begun > seconds:
            pytest.fail(f"{len(missing)} of {len(visitors)} did not get everything: {missing}")
        for number, _ in poller.poll(500):
            part = by_number[number].recv(CHUNK)
            assert part, f"the end came with {missing[number]} bytes missing"
            place = len(data) - missing[number]
            assert data.startswith(part, place), f"other bytes than were sent, from {place} on"
            missing[number] -= len(part)
            if missing[number] <= 0:
                del missing[number]
                poller.unregister(number)
    return time.monotonic() - begun


def median(values: Sequence[float]) -> float:
    """Return the middle one."""
    return sorted(values)[len(values) // 2]
