"""What must hold for any input, any cut of it, and any order of calls."""

from __future__ import annotations

import itertools
import random
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from frpd.errors import RemoteProtocolError
from frpd.proto.yamux.events import Data, YamuxEvent
from frpd.proto.yamux.frames import DATA, pack_header
from frpd.proto.yamux.session import YamuxSession
from tests.unit.proto.yamux.pair import ConnectionPair, End, reserve, take_output

PATTERN = random.Random(1).randbytes(1 << 20)
Seen: TypeAlias = list[tuple[str, int | None, bytes]]
Outcome: TypeAlias = tuple[Seen, bytes, str, object]


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """One frame, mostly legal, about few streams so that they meet."""
    kind = draw(st.sampled_from([0, 0, 0, 1, 1, 1, 2, 3, 4]))
    flags = draw(st.sampled_from([0, 0, 0, 1, 1, 2, 4, 8, 5, 9, 12, 13, 15]))
    stream_id = draw(st.integers(0, 4))
    if kind == DATA:
        payload = draw(st.binary(max_size=40))
        return pack_header(kind, flags, stream_id, len(payload)) + payload
    value = draw(st.sampled_from([0, 0, 0, 1, 2, 262144, 0xFFFFFFFF])) if kind != 3 else 0
    return pack_header(kind, flags, stream_id, value)


def feed_cut(data: bytes, cuts: list[int], moves: list[bool]) -> Outcome:
    """Feed ``data`` cut at ``cuts``; return events, output, error and books.

    Where the session offers a run, ``moves`` says in turns whether it is taken.
    """
    session = YamuxSession(is_client=False, now=0.0, max_streams=3)
    seen: Seen = []
    error = ""
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    choices = itertools.cycle(moves)
    try:
        for start, stop in itertools.pairwise(edges):
            position = start
            while position < stop:
                position += feed_some(session, data[position:stop], seen, move=next(choices))
    except RemoteProtocolError as caught:
        error = str(caught)
        note(session, seen)
    return seen, take_output(session), error, books_of(session, over=bool(error))


def feed_some(session: YamuxSession, piece: bytes, seen: Seen, *, move: bool) -> int:
    """Feed a piece, or move what of it belongs to a run; return how much went."""
    run = session.payload_run() if move else None
    if run is None:
        session.receive_data(bytearray(piece), 0.0)
        count = len(piece)
    else:
        count = min(run.remaining, len(piece))
        session.payload_moved(count, 0.0)
        note_payload(seen, run.stream_id, piece[:count])
    note(session, seen)
    return count


def books_of(session: YamuxSession, *, over: bool) -> object:
    streams = {
        stream_id: (stream.state, stream.receive.remaining, stream.send.remaining)
        for stream_id, stream in session._streams.items()
    }
    return streams, 0 if over else session.bytes_wanted(), session.next_deadline()


def note(session: YamuxSession, seen: Seen) -> list[YamuxEvent]:
    """Append events; payload that continues the stream's last Data is joined to it."""
    events = session.take_events()
    for event in events:
        stream_id = getattr(event, "stream_id", None)
        if isinstance(event, Data):
            note_payload(seen, event.stream_id, bytes(event.payload))
        else:
            seen.append((type(event).__name__, stream_id, b""))
    return events


def note_payload(seen: Seen, stream_id: int, payload: bytes) -> None:
    if seen and seen[-1][:2] == ("Data", stream_id):
        seen[-1] = ("Data", stream_id, seen[-1][2] + payload)
    else:
        seen.append(("Data", stream_id, payload))


@given(st.lists(frames(), max_size=30), st.lists(st.integers(0, 10000), max_size=60))
def test_any_cut_of_the_input_gives_the_same_events_and_books(
    wire: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(wire)
    whole = feed_cut(data, [], [False])
    assert feed_cut(data, cuts, [False]) == whole
    assert feed_cut(data, list(range(len(data))), [False]) == whole


@given(
    st.lists(frames(), max_size=30),
    st.lists(st.integers(0, 10000), max_size=60),
    st.lists(st.booleans(), min_size=1, max_size=9),
)
def test_moved_payload_gives_the_same_books_as_received_payload(
    wire: list[bytes], cuts: list[int], moves: list[bool]
) -> None:
    data = b"".join(wire)
    whole = feed_cut(data, [], [False])
    assert feed_cut(data, cuts, moves) == whole
    assert feed_cut(data, list(range(len(data))), [True]) == whole


@given(st.lists(frames(), max_size=30))
def test_who_reads_only_the_bytes_wanted_can_move_every_payload(wire: list[bytes]) -> None:
    data = b"".join(wire)
    session = YamuxSession(is_client=False, now=0.0, max_streams=3)
    seen: Seen = []
    position = 0
    error = ""
    try:
        while position < len(data):
            run = session.payload_run()
            if run is None:
                piece = data[position : position + session.bytes_wanted()]
                session.receive_data(piece, 0.0)
            else:
                piece = data[position : position + run.remaining]
                session.payload_moved(len(piece), 0.0)
                note_payload(seen, run.stream_id, piece)
            position += len(piece)
            assert not any(isinstance(event, Data) for event in note(session, seen))
    except RemoteProtocolError as caught:
        error = str(caught)
        note(session, seen)
    result = seen, take_output(session), error, books_of(session, over=bool(error))
    assert result == feed_cut(data, [], [False])


@given(st.lists(st.one_of(frames(), st.binary(max_size=30)), max_size=20))
def test_random_bytes_give_events_or_a_remote_protocol_error(pieces: list[bytes]) -> None:
    session = YamuxSession(is_client=True, now=0.0, max_streams=3)
    opened = session.open_stream(0.0)
    try:
        for piece in pieces:
            session.receive_data(piece, 0.0)
            for event in session.take_events():
                if isinstance(event, Data):
                    session.consumed(event.stream_id, len(event.payload))
            session.send_data(opened, b"some")
            take_output(session)
    except RemoteProtocolError:
        session.receive_eof()
        assert session.stream_count == 0
    assert session.stream_count <= 4


class Play:
    """Random calls on both ends of a pair, checked against what was accepted."""

    def __init__(self, high_water_bytes: int) -> None:
        self.pair = ConnectionPair(high_water_bytes=high_water_bytes)
        self.sent: dict[tuple[int, int], int] = {}
        self.ended: set[tuple[int, int]] = set()
        self.reset: set[int] = set()
        self.ids: list[int] = []

    def end(self, side: int) -> End:
        return (self.pair.client, self.pair.server)[side]

    def act(self, action: int, side: int, choice: int, amount: int) -> None:
        end = self.end(side)
        if action == 0 and len(self.ids) < 6:
            stream_id = end.session.open_stream(0.0)
            end.add(stream_id)
            self.ids.append(stream_id)
        elif action == 1:
            self.pair.move(end, amount)
        elif end.received:
            stream_id = list(end.received)[choice % len(end.received)]
            if action == 2:
                end.consume(stream_id, amount)
            elif action == 3 and (stream_id, side) not in self.ended:
                end.session.end_stream(stream_id, 0.0)
                self.ended.add((stream_id, side))
            elif action == 5:
                end.escrows[stream_id].withdraw(end.session.reset_stream(stream_id))
                self.reset.add(stream_id)
            elif (stream_id, side) not in self.ended:
                self.send(end, stream_id, side, amount, reserved=action == 6)

    def send(self, end: End, stream_id: int, side: int, amount: int, *, reserved: bool) -> None:
        start = self.sent.get((stream_id, side), 0)
        stream = end.session._streams.get(stream_id)
        window = 0 if stream is None else stream.send.remaining
        payload = PATTERN[start : start + amount]
        if reserved:
            accepted = reserve(end.session, stream_id, payload, end.escrows[stream_id])
        else:
            accepted = end.session.send_data(stream_id, payload)
        assert 0 <= accepted <= min(amount, window)
        self.sent[stream_id, side] = start + accepted

    def finish(self) -> None:
        """End everything and let it arrive."""
        self.pair.settle()
        for side in (0, 1):
            for stream_id in self.ids:
                if (stream_id, side) not in self.ended:
                    self.end(side).session.end_stream(stream_id, 0.0)
        self.pair.settle()

    def check(self) -> None:
        for side in (0, 1):
            end, peer = self.end(side), self.end(1 - side)
            assert end.session.stream_count == 0
            assert end.session.output_bytes == 0
            assert end.reset <= self.reset
            assert not any(escrow.held for escrow in end.escrows.values())
            for stream_id in self.ids:
                sent = PATTERN[: self.sent.get((stream_id, side), 0)]
                if stream_id in self.reset:
                    assert sent.startswith(peer.received.get(stream_id, b""))
                else:
                    assert stream_id in peer.ended
                    assert peer.received[stream_id] == sent


def steps(*actions: int) -> st.SearchStrategy[list[tuple[int, int, int, int]]]:
    """Lists of (action, side, which stream, amount)."""
    amounts = st.sampled_from([1, 7, 13, 1000, 5000, 40000, 150000])
    step = st.tuples(st.sampled_from(actions), st.integers(0, 1), st.integers(0, 5), amounts)
    return st.lists(step, max_size=80)


def perform(high_water_bytes: int, actions: list[tuple[int, int, int, int]]) -> None:
    play = Play(high_water_bytes)
    for action in actions:
        play.act(*action)
    play.finish()
    play.check()


@settings(deadline=None)
@given(st.sampled_from([16384, 262144]), steps(0, 1, 1, 2, 3, 4, 4, 6, 6))
def test_every_accepted_byte_arrives_once_and_in_order(
    high_water_bytes: int, actions: list[tuple[int, int, int, int]]
) -> None:
    perform(high_water_bytes, actions)


@settings(deadline=None)
@given(st.sampled_from([16384, 262144]), steps(0, 1, 1, 2, 3, 4, 4, 6, 6, 5))
def test_resets_lose_a_tail_and_nothing_else(
    high_water_bytes: int, actions: list[tuple[int, int, int, int]]
) -> None:
    perform(high_water_bytes, actions)
