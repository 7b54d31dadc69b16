"""One yamux stream: which directions are over, and its two windows.

Every legal move stands in TRANSITIONS; a missing pair is a violation, by the
peer if the input came from the peer, by us otherwise. Whether the peer has
acknowledged an open is the session's concern: it changes no direction.
"""

from __future__ import annotations

import enum
from typing import Final

from frpd.proto.yamux.payload import PayloadDue
from frpd.proto.yamux.window import ReceiveWindow, SendWindow


class StreamState(enum.IntEnum):
    """Which directions are over. IntEnum: its hash runs in C."""

    OPEN = 0
    LOCAL_ENDED = 1
    """We sent FIN; the peer may go on sending."""
    PEER_ENDED = 2
    """The peer sent FIN; we may go on sending."""
    GONE = 3
    """Both ended, or one side reset: the id is forgotten."""


class StreamInput(enum.IntEnum):
    """What can end a direction."""

    END = 0
    """We end our direction."""
    PEER_FIN = 1
    RESET = 2
    """Either side, or the connection's end, kills both directions."""


TRANSITIONS: Final[dict[StreamState, dict[StreamInput, StreamState]]] = {
    StreamState.OPEN: {
        StreamInput.END: StreamState.LOCAL_ENDED,
        StreamInput.PEER_FIN: StreamState.PEER_ENDED,
        StreamInput.RESET: StreamState.GONE,
    },
    StreamState.LOCAL_ENDED: {
        StreamInput.PEER_FIN: StreamState.GONE,
        StreamInput.RESET: StreamState.GONE,
    },
    StreamState.PEER_ENDED: {
        StreamInput.END: StreamState.GONE,
        StreamInput.RESET: StreamState.GONE,
    },
    StreamState.GONE: {},
}


class Stream:
    """State and windows of one stream; the session keeps the ids."""

    __slots__ = ("receive", "send", "starved", "state", "withdrawable")

    def __init__(self, receive_limit: int, send_remaining: int) -> None:
        self.state = StreamState.OPEN
        self.receive = ReceiveWindow(receive_limit)
        self.send = SendWindow(send_remaining)
        self.starved = False
        """A send was cut by the peer's window: its next credit is worth an event."""
        self.withdrawable: PayloadDue | None = None
        """The last reserved payload, if nothing else we sent stands behind it.

        Only it and those with its mark may be withdrawn: what follows a hole
        would pass for what the hole held, a FIN for the end of a shorter stream.
        """

    def allows(self, what: StreamInput) -> bool:
        """Return whether ``what`` is a legal move now."""
        return what in TRANSITIONS[self.state]

    def move(self, what: StreamInput) -> StreamState:
        """Make a legal move and return the new state; KeyError if it is not one."""
        state = self.state = TRANSITIONS[self.state][what]
        return state
