"""Yamux sessions without a network: one that is fed, or two that are joined."""

from __future__ import annotations

from frpd.proto.yamux.events import Data, StreamEnded, StreamOpened, StreamReset, YamuxEvent
from frpd.proto.yamux.frames import DATA, INITIAL_WINDOW_BYTES, SYN, WINDOW_UPDATE, pack_header
from frpd.proto.yamux.payload import PayloadDue
from frpd.proto.yamux.session import YamuxSession

OPEN_ONE = pack_header(WINDOW_UPDATE, SYN, 1, 0)


def make_server(
    *, max_streams: int = 1000, max_window_bytes: int = INITIAL_WINDOW_BYTES
) -> YamuxSession:
    return YamuxSession(
        is_client=False, now=0.0, max_streams=max_streams, max_window_bytes=max_window_bytes
    )


def make_client() -> YamuxSession:
    return YamuxSession(is_client=True, now=0.0)


def feed(session: YamuxSession, data: bytes, now: float = 0.0) -> list[str]:
    """Give the session some input; return its events as text."""
    session.receive_data(data, now)
    return events(session)


def events(session: YamuxSession) -> list[str]:
    return [repr(event) for event in session.take_events()]


def data_frame(stream_id: int, payload: bytes, flags: int = 0) -> bytes:
    return pack_header(DATA, flags, stream_id, len(payload)) + payload


class Escrow:
    """Stands for a pipe: holds what was reserved and is not paid yet."""

    def __init__(self) -> None:
        self.held = bytearray()

    def pay(self, nbytes: int) -> bytes:
        assert nbytes <= len(self.held)
        paid = bytes(self.held[:nbytes])
        del self.held[:nbytes]
        return paid

    def withdraw(self, nbytes: int) -> None:
        assert nbytes <= len(self.held)
        del self.held[len(self.held) - nbytes :]


def take_output(session: YamuxSession, limit: int | None = None) -> bytes:
    """Take at most ``limit`` bytes (None: all) off the session's output."""
    taken = bytearray()
    while (segment := session.next_segment()) is not None:
        count = len(segment) if limit is None else min(len(segment), limit - len(taken))
        if not count:
            break
        if isinstance(segment, PayloadDue):
            assert isinstance(segment.source, Escrow)
            taken += segment.source.pay(count)
        else:
            taken += segment[:count]
        session.segment_sent(count)
    return bytes(taken)


def reserve(session: YamuxSession, stream_id: int, payload: bytes, escrow: Escrow) -> int:
    """Reserve as much as the session grants and put it into the escrow."""
    granted = session.reserve_payload(stream_id, len(payload), escrow)
    escrow.held += payload[:granted]
    return granted


class End:
    """One session and what its driver has seen."""

    def __init__(self, session: YamuxSession) -> None:
        self.session = session
        self.received: dict[int, bytearray] = {}
        self.unconsumed: dict[int, int] = {}
        self.ended: set[int] = set()
        self.reset: set[int] = set()
        self.others: list[YamuxEvent] = []
        self.escrows: dict[int, Escrow] = {}

    def take_events(self) -> None:
        for event in self.session.take_events():
            if isinstance(event, Data):
                assert event.stream_id not in self.ended | self.reset
                assert len(event.payload) > 0
                self.received[event.stream_id] += event.payload
                self.unconsumed[event.stream_id] += len(event.payload)
            elif isinstance(event, StreamOpened):
                self.add(event.stream_id)
            elif isinstance(event, StreamEnded):
                assert event.stream_id not in self.ended | self.reset
                self.ended.add(event.stream_id)
            elif isinstance(event, StreamReset):
                assert event.stream_id not in self.reset
                self.reset.add(event.stream_id)
                self.escrows[event.stream_id].withdraw(event.withdrawn)
            else:
                self.others.append(event)

    def add(self, stream_id: int) -> None:
        assert stream_id not in self.received
        self.received[stream_id] = bytearray()
        self.unconsumed[stream_id] = 0
        self.escrows[stream_id] = Escrow()

    def consume(self, stream_id: int, limit: int) -> None:
        count = min(limit, self.unconsumed[stream_id])
        self.unconsumed[stream_id] -= count
        self.session.consumed(stream_id, count)


class ConnectionPair:
    """A client and a server session; bytes move when told to."""

    def __init__(self, *, max_window_bytes: int = 262144, high_water_bytes: int = 262144) -> None:
        self.client, self.server = (
            End(
                YamuxSession(
                    is_client=is_client,
                    now=0.0,
                    max_window_bytes=max_window_bytes,
                    high_water_bytes=high_water_bytes,
                )
            )
            for is_client in (True, False)
        )

    def peer_of(self, end: End) -> End:
        return self.server if end is self.client else self.client

    def move(self, source: End, limit: int | None = None) -> int:
        """Move bytes from ``source`` to the other end; return how many."""
        data = take_output(source.session, limit)
        source.take_events()
        if data:
            sink = self.peer_of(source)
            sink.session.receive_data(data, 0.0)
            sink.take_events()
        return len(data)

    def settle(self) -> None:
        """Move everything both ways until both are silent."""
        while self.move(self.client) + self.move(self.server):
            pass
