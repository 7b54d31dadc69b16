"""What the kernel knows of a connection by TCP: its round trip, and what it had to send again."""

from __future__ import annotations

import socket
import struct
from typing import Final, NamedTuple

# struct tcp_info of linux/tcp.h: tcpi_rtt (in us) and tcpi_total_retrans.
_RTT: Final = struct.Struct("=68xI28xI")


class TcpInfo(NamedTuple):
    """One connection at one moment.

    Attributes:
        rtt_ms: smoothed round trip; None before the first one was measured.
        retransmits: segments that were sent once more, ever.
    """

    rtt_ms: float | None
    retransmits: int


def tcp_info(sock: socket.socket) -> TcpInfo | None:
    """Return what is known, at the cost of a system call; None if it is no socket of TCP."""
    try:
        data = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT.size)
    except OSError:
        return None
    if len(data) < _RTT.size:  # a kernel before 2.4 knew less
        return None
    rtt_us, retransmits = _RTT.unpack(data)
    return TcpInfo(rtt_us / 1000 if rtt_us else None, retransmits)
