"""Yamux frames: the 12-byte header and the numbers in it.

A header is version (always 0), type, flags, stream id and a value, all big
endian. The value is the payload's length (data), credit (window update), an
opaque number (ping) or a reason (go away). Only data frames carry payload.

This room knows nothing of streams or windows.
"""

from __future__ import annotations

import struct
from typing import Final

HEADER: Final = struct.Struct(">HHII")
"""Version and type are read as one number: a foreign version makes it exceed GO_AWAY."""
HEADER_BYTES: Final = HEADER.size

DATA: Final = 0
WINDOW_UPDATE: Final = 1
PING: Final = 2
GO_AWAY: Final = 3

SYN: Final = 1
ACK: Final = 2
FIN: Final = 4
RST: Final = 8

GO_AWAY_NORMAL: Final = 0
GO_AWAY_PROTOCOL_ERROR: Final = 1
GO_AWAY_INTERNAL_ERROR: Final = 2

INITIAL_WINDOW_BYTES: Final = 262144
"""What either end may send on a fresh stream before any credit arrived."""
MAX_UINT32: Final = 0xFFFFFFFF


def pack_header(kind: int, flags: int, stream_id: int, value: int) -> bytes:
    """Return the 12 bytes of one frame header."""
    return HEADER.pack(kind, flags, stream_id, value)
