"""A yamux session of either role, fed by its peer in any cut while its own side acts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from frpd.errors import LimitError, LocalProtocolError, RemoteProtocolError
from frpd.proto.yamux.events import Data
from frpd.proto.yamux.frames import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    HEADER,
    HEADER_BYTES,
    INITIAL_WINDOW_BYTES,
    PING,
    RST,
    SYN,
    WINDOW_UPDATE,
    pack_header,
)
from frpd.proto.yamux.output import MAX_QUEUED_REPLIES, SMALL_WRITE_RESERVE_BYTES
from frpd.proto.yamux.payload import PayloadDue
from frpd.proto.yamux.session import YamuxSession
from fuzz.reading import Choices, Reading, cut, same

MAX_STREAMS: Final = 8
HIGH_WATER_BYTES: Final = 32768
_MAX_FRAMES: Final = 200
_MIN_REPLY_ROOM: Final = MAX_QUEUED_REPLIES * HEADER_BYTES + SMALL_WRITE_RESERVE_BYTES
_KINDS: Final = (DATA, WINDOW_UPDATE, PING, GO_AWAY)
_VALUES: Final = (0, 1, 5, 12, INITIAL_WINDOW_BYTES, INITIAL_WINDOW_BYTES + 1, 2**32 - 1)


def one(data: bytes) -> None:
    """Any cut gives the same; calls of our own in between break nothing and keep all bounds."""
    choices = Choices(data)
    plan, form = choices.byte(), choices.byte()
    is_client = bool(form & 1)
    if form & 2:
        _act(choices, is_client=is_client)
        return
    stream = _frames(choices) if form & 4 else choices.rest()
    whole = _read(stream, 0, is_client=is_client)
    same(whole, _read(stream, plan, is_client=is_client))
    same(whole, _read_by_runs(stream, is_client=is_client))


def _session(*, is_client: bool) -> YamuxSession:
    session = YamuxSession(
        is_client=is_client,
        now=0.0,
        max_streams=MAX_STREAMS,
        high_water_bytes=HIGH_WATER_BYTES,
    )
    session.open_stream(0.0)
    return session


def _frame(choices: Choices) -> bytes:
    """Return one frame that makes sense more often than chance would have it."""
    kind, flags = _KINDS[choices.byte() & 3], choices.byte() & 15
    stream_id, value = choices.byte() & 15, choices.byte()
    if kind == DATA:
        payload = choices.take(value & 63)
        promised = len(payload) if value < 192 else _VALUES[value % len(_VALUES)]
        return pack_header(kind, flags, stream_id, promised) + payload
    number = value if value < 128 else _VALUES[value % len(_VALUES)]
    return pack_header(kind, flags, stream_id if kind == WINDOW_UPDATE else 0, number)


def _frames(choices: Choices) -> bytes:
    frames: list[bytes] = []
    while choices and len(frames) < _MAX_FRAMES:
        frames.append(_frame(choices))
    return b"".join(frames)


def _seen(session: YamuxSession, events: list[Any]) -> None:
    """Add what happened in a form that does not tell how it was cut."""
    for event in session.take_events():
        if type(event) is Data:
            assert len(event.payload)
            if events and events[-1][0] == "data" and events[-1][1] == event.stream_id:
                events[-1] = ("data", event.stream_id, events[-1][2] + bytes(event.payload))
            else:
                events.append(("data", event.stream_id, bytes(event.payload)))
        else:
            events.append((repr(event),))


def _finish(session: YamuxSession, events: list[Any], *, refused: bool) -> Reading:
    if refused:
        with suppress(LocalProtocolError):
            session.receive_data(b"\0" * HEADER_BYTES, 1.0)
            raise AssertionError("a session goes on after a violation")
        assert session.next_deadline() is None
    output = _drained(session)
    session.receive_eof()
    _seen(session, events)
    assert session.stream_count == 0
    return Reading([("output", output), *events], refused)


def _read(stream: bytes, plan: int, *, is_client: bool) -> Reading:
    session = _session(is_client=is_client)
    events: list[Any] = []
    refused = False
    for piece in cut(stream, plan):
        try:
            session.receive_data(piece, 1.0)
        except RemoteProtocolError:
            refused = True
        _seen(session, events)
        assert session.stream_count <= MAX_STREAMS + 1
        if refused:
            break
    return _finish(session, events, refused=refused)


def _read_by_runs(stream: bytes, *, is_client: bool) -> Reading:
    """Read as a driver does that moves payload round the session."""
    session = _session(is_client=is_client)
    events: list[Any] = []
    at, refused = 0, False
    while at < len(stream) and not refused:
        if (run := session.payload_run()) is not None:
            part = stream[at : at + run.remaining]
            at += len(part)
            if events and events[-1][:2] == ("data", run.stream_id):
                events[-1] = ("data", run.stream_id, events[-1][2] + part)
            else:
                events.append(("data", run.stream_id, part))
            session.payload_moved(len(part), 1.0)
        else:
            part = stream[at : at + session.bytes_wanted()]
            at += len(part)
            try:
                session.receive_data(part, 1.0)
            except RemoteProtocolError:
                refused = True
        _seen(session, events)
    return _finish(session, events, refused=refused)


def _send(session: YamuxSession, limit: int) -> bytes:
    """Take at most so many bytes of the next segment; zeros where payload is paid."""
    segment = session.next_segment()
    if segment is None:
        return b""
    sent = b"\0" * len(segment) if isinstance(segment, PayloadDue) else bytes(segment)
    sent = sent[:limit]
    session.segment_sent(len(sent))
    return sent


def _drained(session: YamuxSession, sent: bytes = b"") -> bytes:
    """Take all output and check that it, behind what was ``sent``, is made of whole frames."""
    parts = [sent]
    while session.next_segment() is not None:
        parts.append(_send(session, HIGH_WATER_BYTES * 2))
    assert session.output_bytes == 0
    output = b"".join(parts)
    at = 0
    while at < len(output):
        kind, flags, _, value = HEADER.unpack_from(output, at)
        assert kind <= GO_AWAY
        assert flags <= SYN | ACK | FIN | RST
        at += HEADER_BYTES + (value if kind == DATA else 0)
    assert at == len(output)
    return output


def _act(choices: Choices, *, is_client: bool) -> None:
    """Let both sides act in turns that the input chooses."""
    session = _session(is_client=is_client)
    received: dict[int, int] = {}
    sent = bytearray()
    now = 0.0
    for _ in range(_MAX_FRAMES):
        if not choices:
            break
        now += 0.5
        try:
            session.receive_data(_frame(choices), now)
        except (RemoteProtocolError, LocalProtocolError):
            break
        _count(session, received)
        sent += _call(session, choices, received, now)
        assert session.stream_count <= MAX_STREAMS + 256
        assert session.output_bytes <= HIGH_WATER_BYTES + _MIN_REPLY_ROOM
    _drained(session, bytes(sent))
    session.receive_eof()
    assert session.stream_count == 0


def _count(session: YamuxSession, received: dict[int, int]) -> None:
    for event in session.take_events():
        if type(event) is Data:
            received[event.stream_id] = received.get(event.stream_id, 0) + len(event.payload)


def _call(session: YamuxSession, choices: Choices, received: dict[int, int], now: float) -> bytes:
    """Do one of the things that a driver may do at any time; return what left."""
    what, stream_id, size = choices.byte() & 15, choices.byte() & 15, choices.byte()
    with suppress(LimitError, LocalProtocolError):
        if what == 0:
            session.open_stream(now)
        elif what == 1:
            taken = session.send_data(stream_id, b"x" * (size * 64))
            assert 0 <= taken <= size * 64
        elif what == 2:
            session.consumed(stream_id, min(size, received.pop(stream_id, 0)))
        elif what == 3:
            session.end_stream(stream_id, now)
        elif what == 4:
            session.reset_stream(stream_id)
        elif what == 5:
            session.go_away()
        elif what == 6:
            session.reserve_payload(stream_id, size * 64, "a pipe")
        elif what == 7:
            return _send(session, size)
        elif what == 8:
            session.window(stream_id)
    return b""


def seeds() -> Iterator[bytes]:
    """Yield a stream's life, and a little of everything that may go wrong."""
    life = pack_header(WINDOW_UPDATE, SYN, 2, 0) + pack_header(DATA, 0, 2, 5) + b"hello"
    life += pack_header(DATA, FIN, 2, 3) + b"bye" + pack_header(PING, SYN, 0, 7)
    life += pack_header(WINDOW_UPDATE, ACK, 1, 0) + pack_header(GO_AWAY, 0, 0, 0)
    for form in (0, 1):
        yield bytes((5, form)) + life
    for value in (1, 9, 255):
        yield bytes((3, 4)) + bytes((1, SYN, 2, value, 0, 0, 2, value, 0, 0, 4, 0, 1, 2)) * 4
        yield bytes((3, 2)) + bytes((1, SYN, 1, 0, 1, 1, value, 0, 0, 1, 9, 7, 1, 9)) * 4
    yield bytes((7, 6)) + bytes(range(256))
