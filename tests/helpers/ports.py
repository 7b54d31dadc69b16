"""Ports for the tests: each given to one of them only, whoever else runs beside.

A port that the kernel picks is taken again by the next connection that any
program makes, and a port drawn by lot is one day drawn by two processes. So
ports come from outside the range that outgoing connections draw from, and each
process has a slice of its own, by a name in the kernel's table of abstract
sockets, which goes with the process. It takes one for good, before any test:
tests count descriptors.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from pathlib import Path

SLICE = 1000
RANGE = range(10_000, 20_000, SLICE)  # bench/ draws from the next 12,000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """Return a port, good for TCP and UDP, that nobody holds; not one of the last thousand."""
    return next(_ports)


def free_ports(count: int) -> int:
    """Return the first of so many free ports in a row."""
    while True:
        first = free_port()
        if all(free_port() == first + number for number in range(1, count)):
            return first


def is_free(port: int, host: str = "0.0.0.0") -> bool:
    """Return whether a server could be started on the port now."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError:
            return False
        return True


def _udp_is_free(port: int) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True


def slices(ephemeral: tuple[int, int]) -> list[int]:
    """Return where slices begin that touch no port of this range, both ends included.

    A range that leaves none is ignored: then any port is as good as another.
    """
    low, high = ephemeral
    return [first for first in RANGE if first + SLICE <= low or first > high] or list(RANGE)


def _claim() -> tuple[int, socket.socket]:
    """Return where our slice begins, and what holds it."""
    low, high = _EPHEMERAL.read_text().split()
    starts = slices((int(low), int(high)))
    offset = os.getpid() % len(starts)  # so that few processes ask for the same
    for first in starts[offset:] + starts[:offset]:
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0ports of a test {first}")
        except OSError:
            claim.close()
        else:
            return first, claim
    raise RuntimeError("too many test runs at a time: all slices of ports are taken")


def _draw(first: int) -> Iterator[int]:
    for port in itertools.cycle(range(first, first + SLICE)):
        if is_free(port) and _udp_is_free(port):
            yield port


_first, _held = _claim()
_ports = _draw(_first)
