"""KCP segments and the eight bytes of error correction ahead of them: layout only.

Source: skywind3000/kcp (protocol.txt) and the framing of xtaci/kcp-go. All
fields are little endian. A datagram is an error correction head, then one or
more segments back to back; a plain datagram has no such head.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

PUSH: Final = 81
ACK: Final = 82
WINDOW_ASK: Final = 83
WINDOW_TELL: Final = 84

HEADER = Struct("<IBBHIIII")
"""conversation, command, fragment, window, timestamp, number, unacknowledged, length."""
HEADER_BYTES: Final = HEADER.size

FEC_HEADER = Struct("<IHH")
"""sequence number, kind, size: of the coded part, which the size itself begins."""
FEC_BYTES: Final = FEC_HEADER.size
CODED_FROM: Final = 6
"""Where in a datagram the coded part begins."""
DATA_SHARD: Final = 0xF1
PARITY_SHARD: Final = 0xF2

DATAGRAM_BYTES: Final = 1350
"""The longest datagram that we send; frp sets its peers so as well."""
BODY_BYTES: Final = DATAGRAM_BYTES - FEC_BYTES
PAYLOAD_BYTES: Final = BODY_BYTES - HEADER_BYTES
MAX_DATAGRAM_BYTES: Final = 1500
"""The longest that we take; what Go reads into is as long."""

_KIND = Struct("<H")


def is_parity(datagram: Buffer) -> bool:
    """Return whether this carries parity: it names no conversation, only its sender."""
    return (
        FEC_BYTES < len(datagram) <= MAX_DATAGRAM_BYTES
        and _KIND.unpack_from(datagram, 4)[0] == PARITY_SHARD
    )


def body_offset(datagram: Buffer) -> int | None:
    """Return where the segments begin, or None if there can be none."""
    nbytes = len(datagram)
    if not HEADER_BYTES <= nbytes <= MAX_DATAGRAM_BYTES:
        return None
    kind = _KIND.unpack_from(datagram, 4)[0]
    if kind == DATA_SHARD:
        return FEC_BYTES if nbytes >= FEC_BYTES + HEADER_BYTES else None
    # The command and the fragment of a plain segment, which is 0 in a stream.
    return 0 if PUSH <= kind <= WINDOW_TELL else None


def conversation_of(datagram: Buffer) -> int | None:
    """Return the conversation that a datagram belongs to.

    None if it is not made of whole segments of one conversation, or is parity.
    """
    found, _ = _survey(datagram)
    return found


def opens(datagram: Buffer) -> bool:
    """Return whether a conversation may begin with this: it carries the first segment."""
    found, carries_first = _survey(datagram)
    return found is not None and carries_first


def _survey(datagram: Buffer) -> tuple[int | None, bool]:
    offset = body_offset(datagram)
    if offset is None:
        return None, False
    conversation = None
    carries_first = False
    while offset < len(datagram):
        if len(datagram) - offset < HEADER_BYTES:
            return None, False
        found, command, _, _, _, number, _, length = HEADER.unpack_from(datagram, offset)
        offset += HEADER_BYTES + length
        well_formed = PUSH <= command <= WINDOW_TELL and offset <= len(datagram)
        if not well_formed or (conversation is not None and found != conversation):
            return None, False
        conversation = found
        carries_first = carries_first or (command == PUSH and number == 0)
    return conversation, carries_first
