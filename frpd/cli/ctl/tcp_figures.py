"""Round trips and retransmissions of sockets, as the kernel of this machine knows them.

Asked of the kernel's inet_diag here and not in a daemon, whose loop has better things to do.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from frpd.net.address import format_address

Ends = tuple[str, str]
"""Of a socket: its own address and that of the other end."""

_INFO: Final = "INET_DIAG_INFO"
_INFO_BIT: Final = 1 << 1
_ZONE: Final = re.compile(r"%[^\]]+")


class TcpFigures(NamedTuple):
    """What the kernel knows of one connection.

    Attributes:
        rtt_ms: smoothed round trip, in ms.
        rtt_var_ms: how much it varies.
        retransmits: segments that were sent once more, ever.
    """

    rtt_ms: float
    rtt_var_ms: float
    retransmits: int


def with_figures(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows that have a ``socket``, each with what is known of that one, or null."""
    listed = list(rows)
    wanted = {ends for row in listed if (ends := _ends_of(row)) is not None}
    known = tcp_figures(wanted) if wanted else {}
    unknown = dict.fromkeys(TcpFigures._fields)
    for row in listed:
        ends = _ends_of(row)
        figures = None if ends is None else known.get(ends)
        row.update(unknown if figures is None else figures._asdict())
    return listed


def tcp_figures(wanted: Iterable[Ends]) -> Mapping[Ends, TcpFigures]:
    """Return what is known; nothing where pyroute2 or the kernel's inet_diag is missing."""
    try:
        # It is slow to import, and not every machine has it.
        from pyroute2.netlink.diag import SS_CONN, DiagSocket  # noqa: PLC0415
        from pyroute2.netlink.exceptions import NetlinkError  # noqa: PLC0415
    except ImportError:
        return {}
    wanted = set(wanted)
    found: dict[Ends, TcpFigures] = {}
    try:
        with DiagSocket() as diag:
            diag.bind()
            for family in (socket.AF_INET, socket.AF_INET6):
                answer = diag.get_sock_stats(family=family, states=SS_CONN, extensions=_INFO_BIT)
                found.update((ends, one) for ends, one in _read(answer) if ends in wanted)
    except (OSError, NetlinkError):
        pass  # what has been found counts
    return found


def _read(answer: Iterable[Any]) -> Iterator[tuple[Ends, TcpFigures]]:
    for one in answer:
        info = one.get_attr(_INFO)
        if info is None:  # an error of netlink looks like this too
            continue
        ends = (
            format_address((one["idiag_src"], one["idiag_sport"])),
            format_address((one["idiag_dst"], one["idiag_dport"])),
        )
        rtt, variation = info["tcpi_rtt"] / 1000, info["tcpi_rttvar"] / 1000
        yield ends, TcpFigures(rtt, variation, info["tcpi_total_retrans"])


def _ends_of(row: Mapping[str, Any]) -> Ends | None:
    ends = row.get("socket")
    if not ends:
        return None
    return _ZONE.sub("", ends["local"]), _ZONE.sub("", ends["remote"])
