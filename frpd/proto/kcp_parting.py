"""Parting: how two of our own ends close a KCP connection, which KCP itself cannot.

One datagram says how many bytes our direction has had, and whether we read on; it is
repeated until the peer has taken it. Another one says that a connection is not known.

They look like a KCP segment without FEC header, and with a command that KCP does not
have. Go's library up to frp 0.54 drops what has no FEC header, and from then on what has
an unknown command, so towards Go they do nothing and nobody answers them.
"""

from __future__ import annotations

import enum
from struct import Struct
from typing import Final, NamedTuple

from frpd.proto.buffer import Buffer

COMMAND: Final = 0x7E
BYTES: Final = 32
TRIES: Final = 5
"""Then nobody is there who understands."""
TRIES_WITH_OURS: Final = 8
"""Then one of ours that was there is gone; over half a minute, for a line may be down so long."""
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 1.6
LONGEST_PAUSE_WITH_OURS: Final = 12.8

# conversation, command, kind; wnd: the kind that was taken; ts; sn: not the first; una; len
_LAYOUT: Final = Struct("<IBBHIIIIQ")
_SN: Final = 0xFFFF_FFFF
_LEN: Final = 8


class Kind(enum.IntEnum):
    """What is said. In place of KCP's "frg", so it never makes a FEC header's mark."""

    END = 1
    """Our direction has so many bytes; we read on."""
    GONE = 2
    """The same, and we read no more."""
    TAKEN = 3
    """One of those two, or ASK, has been heard."""
    RESET = 4
    """There is no such connection, or no more."""
    ASK = 5
    """Is the peer still there? To be answered as an end is."""


class Farewell(NamedTuple):
    """One such datagram."""

    conversation: int
    kind: Kind
    position: int = 0
    taken: int = 0

    def encode(self) -> bytes:
        """Return it as it is sent."""
        return _LAYOUT.pack(
            self.conversation, COMMAND, self.kind, self.taken, 0, _SN, 0, _LEN, self.position
        )


def read_farewell(datagram: Buffer) -> Farewell | None:
    """Return what a datagram says; None if it is none of these."""
    if len(datagram) != BYTES or datagram[4] != COMMAND:
        return None
    conversation, _, kind, taken, _, number, _, length, position = _LAYOUT.unpack(datagram)
    if number != _SN or length != _LEN or not Kind.END <= kind <= Kind.ASK:
        return None
    return Farewell(conversation, Kind(kind), position, taken)


class Parting:
    """The end of one connection, as far as it has come.

    Args:
        conversation: its id.

    Attributes:
        heard: how many bytes the peer's direction has; None before it has ended.
        peer_is_gone: the peer reads no more.
        peer_is_ours: the peer has shown that it understands this.
        was_reset: the peer knows no such connection any more.
        is_taken: the peer knows of what was said last.
        has_given_up: it was said so often in vain that the peer is gone, or never understood.
    """

    __slots__ = (
        "_answers",
        "_conversation",
        "_due",
        "_pause",
        "_said",
        "_tries",
        "has_given_up",
        "heard",
        "is_taken",
        "peer_is_gone",
        "peer_is_ours",
        "was_reset",
    )

    def __init__(self, conversation: int) -> None:
        self.heard: int | None = None
        self.peer_is_gone = self.peer_is_ours = self.was_reset = False
        self.is_taken = self.has_given_up = False
        self._conversation = conversation
        self._said: Farewell | None = None
        self._answers: list[bytes] = []
        self._due = self._pause = 0.0
        self._tries = 0

    def say(self, kind: Kind, position: int, now: float) -> None:
        """Say that our direction has so many bytes: END, or GONE; or ASK, whatever they are."""
        self._said = Farewell(self._conversation, kind, position)
        self.is_taken = self.has_given_up = False
        self._tries = 0
        self._due = now
        self._pause = FIRST_PAUSE_SECONDS

    def receive(self, farewell: Farewell) -> None:
        """Take what was said of this conversation."""
        said = self._said
        self.peer_is_ours = True
        if farewell.kind is Kind.RESET:
            self.was_reset = True
        elif farewell.kind is Kind.TAKEN:
            if said is not None and (farewell.taken, farewell.position) == said[1:3]:
                self.is_taken = True
        else:
            if self.heard is None and farewell.kind is not Kind.ASK:
                self.heard = farewell.position
            self.peer_is_gone |= farewell.kind is Kind.GONE
            taken = Farewell(self._conversation, Kind.TAKEN, farewell.position, farewell.kind)
            self._answers = [taken.encode()]  # one answers all that came in this turn

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """Return what is due."""
        due, self._answers = self._answers, []
        if self.is_waiting and now >= self._due:
            assert self._said is not None
            ours = self.peer_is_ours
            self.has_given_up = self._tries >= (TRIES_WITH_OURS if ours else TRIES)
            if not self.has_given_up:
                due.append(self._said.encode())
                self._tries += 1
                self._due = now + self._pause
                longest = LONGEST_PAUSE_WITH_OURS if ours else LONGEST_PAUSE_SECONDS
                self._pause = min(2 * self._pause, longest)
        return due

    def next_deadline(self) -> float | None:
        """Return when more is due; None for never, as far as it is known."""
        return self._due if self.is_waiting else None

    @property
    def is_waiting(self) -> bool:
        """Whether something was said and may still be taken."""
        return self._said is not None and not (self.is_taken or self.has_given_up)
