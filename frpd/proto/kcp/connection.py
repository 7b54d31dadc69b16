"""One KCP conversation as it goes over the network: segments inside error correction.

Knows no addresses. The owner feeds datagrams and time, and after each of its
turns sends what ``datagrams_to_send`` returns and sets a timer for ``next_deadline``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from frpd.proto.kcp.fec import FecReader, FecWriter
from frpd.proto.kcp.segment import (
    MAX_DATAGRAM_BYTES,
    body_offset,
    conversation_of,
    is_parity,
    opens,
)
from frpd.proto.kcp.session import KcpSession

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

CALM_DATAGRAMS: Final = 2000
"""So many without a loss, and parity is spared if that is asked for."""

__all__ = ["KcpConnection", "conversation_of", "is_parity", "opens"]


class KcpConnection:
    """One end of a conversation.

    Args:
        conversation: its number, 32 bits.
        now: the time; any clock of seconds that never goes back.
        send_window: the most segments in flight.
        receive_window: the most segments that wait to be read.
        sends_parity: without it three sequence numbers are left out after ten
            datagrams, which a peer takes for parity that was lost.
        spares_parity: leave parity out while the path loses nothing: after
            ``CALM_DATAGRAMS``, until a segment has to be sent again.
    """

    __slots__ = (
        "_calm",
        "_now",
        "_reader",
        "_sent_again",
        "_session",
        "_spares_parity",
        "_writer",
        "conversation",
        "ignored",
    )

    def __init__(
        self,
        conversation: int,
        *,
        now: float,
        send_window: int = 1024,
        receive_window: int = 1024,
        sends_parity: bool = True,
        spares_parity: bool = False,
    ) -> None:
        self.conversation = conversation
        self.ignored = 0
        """How many datagrams made no sense."""
        self._now = now
        self._session = KcpSession(
            conversation, send_window=send_window, receive_window=receive_window
        )
        self._reader = FecReader()
        self._writer = FecWriter(sends_parity=sends_parity)
        self._spares_parity = sends_parity and spares_parity
        self._sent_again = 0
        self._calm = 0  # datagrams since the last loss, or the beginning

    def receive_datagram(self, data: Buffer, now: float) -> None:
        """Take one datagram, whatever it is; what makes no sense is counted and ignored."""
        self._now = now
        datagram = bytes(data) if len(data) <= MAX_DATAGRAM_BYTES else b""
        offset = body_offset(datagram)
        if offset is not None:
            if not self._session.receive(datagram, offset, now):
                self.ignored += 1
            if offset:
                self._take_recovered(self._reader.receive(datagram), now)
        elif is_parity(datagram):
            self._take_recovered(self._reader.receive(datagram), now)
        else:
            self.ignored += 1

    def _take_recovered(self, bodies: list[bytes], now: float) -> None:
        for body in bodies:
            if not self._session.receive(body, 0, now):
                self.ignored += 1

    @property
    def readable_bytes(self) -> int:
        """How many bytes wait to be read."""
        return self._session.inbox.readable_bytes

    def read(self, limit: int) -> bytes:
        """Remove and return at most ``limit`` bytes, in order; b"" if there is nothing now.

        That may open our window: ask for ``datagrams_to_send`` afterwards.
        """
        return self._session.inbox.read(limit)

    def room(self) -> int:
        """Return how many bytes ``send`` would take."""
        return self._session.room()

    def send(self, data: Buffer) -> int:
        """Take a copy of a prefix of ``data``; return its length, 0 if there is no room."""
        return self._session.send(data)

    @property
    def unsent_or_unacked(self) -> bool:
        """Whether anything that was sent may not have arrived yet."""
        return self._session.unsent_or_unacked

    @property
    def is_dead(self) -> bool:
        """Whether the peer has left us without an answer for too long: give up.

        Known after ``datagrams_to_send``, which then returns nothing any more.
        """
        return self._session.is_dead

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """Return all that should leave now. What is returned counts as sent."""
        self._now = now
        wrap = self._writer.wrap
        datagrams: list[bytes] = []
        bodies = self._session.bodies_to_send(now)
        if self._spares_parity:
            self._judge_path(len(bodies))
        for body in bodies:
            wrap(body, datagrams)
        return datagrams

    def _judge_path(self, count: int) -> None:
        """Parity pays where something is lost: it is a third of the work and of the traffic."""
        again = self._session.sent_again
        self._calm = self._calm + count if again == self._sent_again else 0
        self._sent_again = again
        self._writer.sends_parity = self._calm < CALM_DATAGRAMS

    def next_deadline(self) -> float | None:
        """Return when ``handle_deadline`` is due; a time that has passed means at once."""
        return self._session.next_deadline(self._now)

    def handle_deadline(self, now: float) -> None:
        """Notice what time says; ask for ``datagrams_to_send`` afterwards."""
        self._now = now
        self._session.handle_deadline(now)
