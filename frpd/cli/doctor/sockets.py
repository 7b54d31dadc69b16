"""What the kernel knows of the daemon's TCP connections, by inet_diag."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from frpd.net.address import host_of

_INFO: Final = 1 << 1  # INET_DIAG_INFO, as a bit of idiag_ext
_CONNECTED: Final = (1 << 1) | (1 << 4) | (1 << 5) | (1 << 8)  # also half-closed ones
_INODE = re.compile(r"socket:\[(\d+)\]")

Address = tuple[str, int]
Pair = tuple[Address, Address]
"""Of a connection: ours, and the peer's."""


@dataclass(frozen=True, slots=True)
class SocketFacts:
    """One TCP connection at one moment.

    Attributes:
        local: our address.
        remote: the peer's.
        unsent: bytes that were written and that the peer has not acknowledged.
        unread: bytes that came and that the daemon has not read.
        acked: bytes that the peer has acknowledged, ever.
        received: bytes that came, ever.
        busy_us: how long there was something to send, in microseconds.
        window_us: so long of this the peer's window held it up.
        retransmits: segments that were sent again.
        rtt_us: round trip.
        window_probes: unanswered questions whether the peer takes anything.
    """

    local: Address
    remote: Address
    unsent: int = 0
    unread: int = 0
    acked: int = 0
    received: int = 0
    busy_us: int = 0
    window_us: int = 0
    retransmits: int = 0
    rtt_us: int = 0
    window_probes: int = 0


def connections_of(pid: int) -> Mapping[Pair, SocketFacts] | None:
    """Return TCP connections by both their addresses; None if the kernel cannot be asked.

    Those of the process alone, where it can be seen which they are: else all of the machine.
    """
    try:
        # Slow to import, and missing on some machines.
        from pyroute2.netlink.diag import DiagSocket  # noqa: PLC0415
        from pyroute2.netlink.exceptions import NetlinkError  # noqa: PLC0415 - likewise missing
    except ImportError:
        return None
    inodes = _inodes_of(pid)
    found: dict[Pair, SocketFacts] = {}
    try:
        with DiagSocket() as diag:
            diag.bind()
            for family in (socket.AF_INET, socket.AF_INET6):
                for row in diag.get_sock_stats(
                    family=int(family), states=_CONNECTED, extensions=_INFO
                ):
                    facts = facts_of(row)
                    if facts and (inodes is None or row["idiag_inode"] in inodes):
                        found[facts.local, facts.remote] = facts
    except (OSError, NetlinkError):
        return None
    return found


def facts_of(row: Any) -> SocketFacts | None:
    """Return what an answer of inet_diag says; None for an error, which is given likewise."""
    info = row.get_attr("INET_DIAG_INFO")
    if info is None:
        return None

    def figure(name: str) -> int:
        return int(info.get(f"tcpi_{name}") or 0)  # older kernels know less

    return SocketFacts(
        local=(host_of((row["idiag_src"], 0)), row["idiag_sport"]),
        remote=(host_of((row["idiag_dst"], 0)), row["idiag_dport"]),
        unsent=row["idiag_wqueue"],
        unread=row["idiag_rqueue"],
        acked=figure("bytes_acked"),
        received=figure("bytes_received"),
        busy_us=figure("busy_time"),
        window_us=figure("rwnd_limited"),
        retransmits=figure("total_retrans"),
        rtt_us=figure("rtt"),
        window_probes=figure("probes"),
    )


def _inodes_of(pid: int) -> frozenset[int] | None:
    folder = f"/proc/{pid}/fd"
    inodes = set()
    try:
        names = os.listdir(folder)
    except OSError:
        return None
    for name in names:
        with contextlib.suppress(OSError):  # closed meanwhile
            match = _INODE.fullmatch(os.readlink(f"{folder}/{name}"))
            if match:
                inodes.add(int(match[1]))
    return frozenset(inodes)
