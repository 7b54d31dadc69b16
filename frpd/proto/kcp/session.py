"""One KCP conversation without error correction: numbers, acknowledgements, windows, time.

Source: skywind3000/kcp (ikcp.c) with the settings that frp gives xtaci/kcp-go:
nodelay 1, interval 20 ms, resend 2, no congestion window, stream mode. Unlike
there nothing waits for a tick: what may leave is returned by the next call.

In flight are never more segments than our allowance and the peer's free
window admit. Numbers and timestamps are 32 bits wide and wrap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from frpd.proto.kcp.allowance import Allowance
from frpd.proto.kcp.inbox import Inbox
from frpd.proto.kcp.rtt import RoundTrip
from frpd.proto.kcp.segment import (
    ACK,
    BODY_BYTES,
    HEADER,
    HEADER_BYTES,
    PAYLOAD_BYTES,
    PUSH,
    WINDOW_ASK,
    WINDOW_TELL,
)

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

PENDING_BYTES: Final = 262144
"""The most that waits behind what is in flight."""
BURST_SEGMENTS: Final = 128
"""About as many segments with payload leave at once, so that a turn of the loop stays short."""
FIRST_PEER_WINDOW: Final = 32
"""What the peer is thought to have room for before it has said so."""
FAST_RESEND: Final = 2
"""So many datagrams that acknowledge later segments make one count as lost."""
DEAD_TRANSMISSIONS: Final = 20
DEAD_SECONDS: Final = 30.0
"""A segment that went out so often, over so long, and was not acknowledged ends the link.

KCP counts alone; with the shortest timeouts that would be 3.5 s, shorter than
a roaming laptop needs.
"""
FIRST_PROBE_SECONDS: Final = 0.5
MAX_PROBE_SECONDS: Final = 120.0

_MASK: Final = 0xFFFFFFFF
_HALF: Final = 0x80000000


class _Sent:
    """A segment in flight."""

    __slots__ = (
        "first_sent",
        "payload",
        "resend_at",
        "skipped",
        "timeout",
        "timestamp",
        "transmissions",
    )

    def __init__(self, payload: bytes, now: float, timestamp: int, timeout: float) -> None:
        self.payload = payload
        self.first_sent = now
        self.timestamp = timestamp
        self.timeout = timeout
        self.resend_at = now + timeout
        self.skipped = 0
        self.transmissions = 1


class KcpSession:
    """One end of a conversation; it makes and takes bodies: segments back to back.

    Args:
        conversation: its number, the same at both ends.
        send_window: the most segments in flight.
        receive_window: the most segments that wait to be read.
    """

    __slots__ = (
        "_allowance",
        "_ask",
        "_flight",
        "_lost",
        "_next_number",
        "_peer_window",
        "_pending",
        "_probe_at",
        "_probe_seconds",
        "_resend_at",
        "_round_trip",
        "_send_una",
        "_skipped",
        "conversation",
        "inbox",
        "is_dead",
        "sent_again",
    )

    def __init__(self, conversation: int, *, send_window: int, receive_window: int) -> None:
        self.conversation = conversation
        self.is_dead = False
        self.sent_again = 0
        """How many segments were taken for lost."""
        self.inbox = Inbox(receive_window)
        self._round_trip = RoundTrip()
        self._allowance = Allowance(send_window)
        self._peer_window = FIRST_PEER_WINDOW
        self._pending = bytearray()
        self._flight: dict[int, _Sent] = {}  # by number, in order of numbers
        self._send_una = 0
        self._next_number = 0
        self._lost: dict[int, None] = {}  # to be sent again, in order
        self._skipped: dict[int, None] = {}  # overtaken once: sent again if nothing else is to go
        self._resend_at = 0.0  # no segment's timeout is earlier
        self._ask = False
        self._probe_at: float | None = None
        self._probe_seconds = FIRST_PROBE_SECONDS

    # What is to be sent.

    def room(self) -> int:
        """Return how many bytes ``send`` takes."""
        return PENDING_BYTES - len(self._pending)

    def send(self, data: Buffer) -> int:
        """Take a prefix of ``data`` as far as there is room; return its length."""
        room = PENDING_BYTES - len(self._pending)
        if len(data) <= room:
            self._pending += data
            return len(data)
        with memoryview(data) as view, view[:room] as prefix:
            self._pending += prefix
        return room

    @property
    def unsent_or_unacked(self) -> bool:
        """Whether anything that was given to ``send`` may not have arrived yet."""
        return bool(self._pending or self._flight)

    # Datagrams in.

    def receive(self, data: bytes, offset: int, now: float) -> bool:
        """Take the segments from ``offset`` on; return whether all of them were sound.

        Segments of another conversation, beyond the window or seen before
        change nothing, except that what was seen before is acknowledged again.
        """
        clock = int(now * 1000) & _MASK
        newest: tuple[int, int] | None = None
        inbox = self.inbox
        end = len(data)
        while offset < end:
            if end - offset < HEADER_BYTES:
                return False
            found, command, _, window, timestamp, number, una, length = HEADER.unpack_from(
                data, offset
            )
            offset += HEADER_BYTES
            if found != self.conversation or length > end - offset:
                return False
            answered = self._flight.get(number) if command == ACK else None
            self._take_una(una, window)
            if command == PUSH:
                inbox.take(number, timestamp, data[offset : offset + length])
            elif command == ACK:
                # A segment that parity brought back late is acknowledged with its first time: that
                # says how long parity took, not the way. So only the last sending is measured.
                if answered is not None and answered.timestamp == timestamp:
                    self._round_trip.measured((clock - timestamp) & _MASK)
                if self._flight.pop(number, None) is not None:
                    self._allowance.arrived(1)
                    if newest is None or (number - newest[0]) & _MASK < _HALF:
                        newest = (number, timestamp)
                    self._shrink()
            elif command == WINDOW_ASK:
                inbox.opened = True  # which is told
            elif command != WINDOW_TELL:
                return False
            offset += length
        if newest is not None and self._flight:
            self._overtake(*newest)
        return True

    def _take_una(self, una: int, window: int) -> bool:
        """Drop what the peer has up to ``una``; return whether that was news."""
        ahead = (una - self._send_una) & _MASK
        if ahead > (self._next_number - self._send_una) & _MASK:
            return False  # older than what we know, or never sent
        self._peer_window = window
        if ahead == 0:
            return False
        flight = self._flight
        before = len(flight)
        for number in range(self._send_una, self._send_una + ahead):
            flight.pop(number & _MASK, None)
        self._allowance.arrived(before - len(flight))
        self._send_una = una
        self._shrink()
        return True

    def _shrink(self) -> None:
        number, flight = self._send_una, self._flight
        while number != self._next_number and number not in flight:
            number = (number + 1) & _MASK
        self._send_una = number

    def _overtake(self, newest: int, timestamp: int) -> None:
        """A later segment arrived: count it against those that went before it."""
        for number, sent in self._flight.items():
            if (newest - number) & _MASK >= _HALF:
                break
            if (timestamp - sent.timestamp) & _MASK < _HALF:
                sent.skipped += 1
                if sent.skipped >= FAST_RESEND:
                    self._lost[number] = None
                else:
                    self._skipped[number] = None

    # Datagrams out.

    def bodies_to_send(self, now: float) -> list[bytes]:
        """Return all that may leave now, one body for each datagram.

        Loss is noticed by ``handle_deadline``; call that first if its time has come.
        """
        if self.is_dead:
            return []
        clock = int(now * 1000) & _MASK
        free = self.inbox.free
        bodies: list[bytes] = []
        body = b""
        for piece in self._control(free):
            if len(body) + HEADER_BYTES > BODY_BYTES:
                bodies.append(body)
                body = b""
            body += piece
        if self._lost or self._skipped or self._pending:
            body = self._payloads(bodies, body, now, clock, free)
        if body:
            bodies.append(body)
        if self._peer_window or not self._pending:
            self._probe_at = None
        elif self._probe_at is None:
            self._probe_seconds = FIRST_PROBE_SECONDS
            self._probe_at = now + self._probe_seconds
        return bodies

    def _control(self, free: int) -> list[bytes]:
        """Return acknowledgements and what is to be said of windows."""
        pieces = []
        una = self.inbox.next_number

        def piece(command: int, number: int, timestamp: int) -> bytes:
            return HEADER.pack(self.conversation, command, 0, free, timestamp, number, una, 0)

        for number, timestamp in self.inbox.acknowledgements():
            pieces.append(piece(ACK, number, timestamp))
        if self._ask:
            self._ask = False
            pieces.append(piece(WINDOW_ASK, 0, 0))
        if self.inbox.opened:
            self.inbox.opened = False
            pieces.append(piece(WINDOW_TELL, 0, 0))
        return pieces

    def _payloads(
        self, bodies: list[bytes], body: bytes, now: float, clock: int, free: int
    ) -> bytes:
        """Add what is lost, then what is new; return the last body, which is not full."""
        pack, conversation, una = HEADER.pack, self.conversation, self.inbox.next_number
        fresh = self._fresh(now, clock, max(1, BURST_SEGMENTS - len(self._lost)))
        if self._skipped:
            if not fresh:  # then no more acknowledgements would come that tell of the loss
                self._lost.update(self._skipped)
            self._skipped.clear()
        again = self._again(now, clock) if self._lost else ()
        for number, payload in (*again, *fresh):
            length = len(payload)
            if len(body) + HEADER_BYTES + length > BODY_BYTES:
                bodies.append(body)
                body = b""
            body += pack(conversation, PUSH, 0, free, clock, number, una, length) + payload
        return body

    def _fresh(self, now: float, clock: int, burst: int) -> list[tuple[int, bytes]]:
        """Cut new segments as far as the windows allow."""
        pending = self._pending
        number = self._next_number
        window = min(self._allowance.segments, self._peer_window)
        count = min(burst, window - ((number - self._send_una) & _MASK))
        if count <= 0 or not pending:
            return []
        if not self._flight:
            self._resend_at = now + MAX_PROBE_SECONDS
        timeout = self._round_trip.timeout / 1000
        self._resend_at = min(self._resend_at, now + timeout)
        cut = []
        end = min(len(pending), count * PAYLOAD_BYTES)
        with memoryview(pending) as view:
            for start in range(0, end, PAYLOAD_BYTES):
                payload = bytes(view[start : min(start + PAYLOAD_BYTES, end)])
                self._flight[number] = _Sent(payload, now, clock, timeout)
                cut.append((number, payload))
                number = (number + 1) & _MASK
        del pending[:end]
        self._next_number = number
        return cut

    def _again(self, now: float, clock: int) -> list[tuple[int, bytes]]:
        """Return what was lost, at most a burst of it."""
        again: list[tuple[int, bytes]] = []
        for number in list(self._lost):
            if len(again) == BURST_SEGMENTS:
                break
            del self._lost[number]
            sent = self._flight.get(number)
            if sent is None:
                continue
            sent.timestamp = clock
            sent.skipped = 0
            sent.transmissions += 1
            sent.resend_at = now + sent.timeout
            self._resend_at = min(self._resend_at, sent.resend_at)
            if sent.transmissions >= DEAD_TRANSMISSIONS and now - sent.first_sent >= DEAD_SECONDS:
                self.is_dead = True
            again.append((number, sent.payload))
        self.sent_again += len(again)
        self._allowance.lost(len(again), len(self._flight))
        return again

    # Time.

    def next_deadline(self, now_due: float) -> float | None:
        """Return when ``handle_deadline`` is due, None if nothing is waited for.

        Args:
            now_due: returned if something can leave at once.
        """
        if self.is_dead:
            return None
        window = min(self._allowance.segments, self._peer_window)
        in_flight = (self._next_number - self._send_una) & _MASK
        speaks = self.inbox.ack_due or self.inbox.opened or self._ask
        if speaks or self._lost or self._skipped or (self._pending and in_flight < window):
            return now_due
        deadline = self._resend_at if self._flight else None
        if self._probe_at is not None and (deadline is None or self._probe_at < deadline):
            deadline = self._probe_at
        return deadline

    def handle_deadline(self, now: float) -> None:
        """Notice loss and a window that stays shut; ``bodies_to_send`` has what follows."""
        if self._flight and now >= self._resend_at:
            self._time_out(now)
        if self._probe_at is not None and now >= self._probe_at:
            self._ask = True
            self._probe_at = now + self._probe_seconds
            self._probe_seconds = min(self._probe_seconds * 1.5, MAX_PROBE_SECONDS)

    def _time_out(self, now: float) -> None:
        half = self._round_trip.timeout / 2000
        earliest = now + MAX_PROBE_SECONDS
        for number, sent in self._flight.items():
            if now >= sent.resend_at:
                self._lost[number] = None
                sent.timeout += half
                sent.resend_at = now + sent.timeout
            earliest = min(earliest, sent.resend_at)
        self._resend_at = earliest
