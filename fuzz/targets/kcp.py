"""KCP with error correction: a hostile peer, and two ends of ours over a line that bends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from frpd.proto.kcp.connection import KcpConnection, conversation_of, is_parity, opens
from frpd.proto.kcp.segment import (
    ACK,
    DATA_SHARD,
    FEC_HEADER,
    HEADER,
    MAX_DATAGRAM_BYTES,
    PARITY_SHARD,
    PAYLOAD_BYTES,
    PUSH,
    WINDOW_ASK,
)
from frpd.proto.kcp.session import PENDING_BYTES
from frpd.proto.kcp_stranger import AMPLIFICATION, Stranger
from fuzz.reading import Choices

CONVERSATION: Final = 7
WINDOW: Final = 32
_MAX_TURNS: Final = 60


def one(data: bytes) -> None:
    """No datagram raises; bounds hold; what two ends read is what the other wrote."""
    choices = Choices(data)
    form = choices.byte()
    if form & 1:
        _line(choices)
    else:
        _hostile(choices, framed=bool(form & 2))


def _end(*, sends_parity: bool = True) -> KcpConnection:
    return KcpConnection(
        CONVERSATION,
        now=0.0,
        send_window=WINDOW,
        receive_window=WINDOW,
        sends_parity=sends_parity,
    )


def _datagram(choices: Choices) -> bytes:
    """Return a datagram whose numbers are near what is expected."""
    kind = choices.byte()
    number = (choices.byte() - 8) & 0xFFFFFFFF
    payload = choices.take(choices.byte() & 31)
    if kind & 3 == 3:
        return FEC_HEADER.pack(number, PARITY_SHARD, 0) + payload
    command = (PUSH, ACK, WINDOW_ASK, WINDOW_ASK + 1)[kind >> 2 & 3]
    length = len(payload) if kind < 224 else 0xFFFFFFFF
    una = (choices.byte() - 8) & 0xFFFFFFFF
    body = HEADER.pack(CONVERSATION, command, 0, choices.byte(), 0, number, una, length) + payload
    if kind & 3 == 2:
        return body
    return FEC_HEADER.pack(choices.byte(), DATA_SHARD, len(body) + 2) + body


def _hostile(choices: Choices, *, framed: bool) -> None:
    end, stranger = _end(), Stranger()
    now, taken, given = 0.0, 0, 0
    end.send(b"o" * 5000)
    for _ in range(_MAX_TURNS):
        if not choices:
            break
        datagram = _datagram(choices) if framed else choices.take(choices.byte())
        conversation_of(datagram), opens(datagram), is_parity(datagram)
        now += choices.byte() / 100
        if stranger.may_enter(datagram):
            end.receive_datagram(datagram, now)
        due = end.next_deadline()
        if due is not None and due <= now:
            end.handle_deadline(now)
        sent = end.datagrams_to_send(now)
        assert all(len(item) <= MAX_DATAGRAM_BYTES for item in sent)
        taken += len(datagram)
        given += sum(map(len, stranger.may_leave(sent)))
        assert stranger.is_proven or given <= AMPLIFICATION * taken
        # Recovered shards may be as long as a datagram; what waits is a window of them.
        assert end.readable_bytes <= WINDOW * MAX_DATAGRAM_BYTES
        assert end.room() <= PENDING_BYTES
        if choices.byte() & 1:
            before = end.readable_bytes
            assert len(end.read(100)) == min(100, before)


def _line(choices: Choices) -> None:
    """Pass datagrams between two ends: some lost, twice, late, or bent where it does not matter."""
    ends = (_end(sends_parity=bool(choices.byte() & 1)), _end())
    written, seen = (bytearray(), bytearray()), (bytearray(), bytearray())
    late: list[tuple[int, bytes]] = []
    now = 0.0
    for turn in range(_MAX_TURNS):
        now += 0.02
        mine = turn & 1
        end = ends[mine]
        if choices and choices.byte() & 1:
            text = bytes((turn,)) * (choices.byte() * 16)
            written[mine].extend(text[: end.send(text)])
        due = end.next_deadline()
        if due is not None and due <= now:
            end.handle_deadline(now)
        for datagram in end.datagrams_to_send(now):
            _deliver(choices.byte(), ends, late, (1 - mine, datagram), now)
        for side in (0, 1):
            seen[side].extend(ends[side].read(1 << 16))
            assert written[1 - side].startswith(seen[side])


def _deliver(
    fate: int,
    ends: tuple[KcpConnection, KcpConnection],
    late: list[tuple[int, bytes]],
    item: tuple[int, bytes],
    now: float,
) -> None:
    """Lose, keep back, repeat or deliver a datagram."""
    if fate == 1:
        return
    if fate == 2:
        late.append(item)
        return
    for _ in range(2 if fate == 3 else 1):
        ends[item[0]].receive_datagram(item[1], now)
    if fate == 4 and late:
        to, datagram = late.pop()
        ends[to].receive_datagram(datagram, now)


def seeds() -> Iterator[bytes]:
    """Yield a quiet line, lossy ones, and a stranger's datagrams."""
    yield b"\x01\x01" + b"\x01\x20" * 40
    yield b"\x01\x00" + b"\x01\xff" + b"\x00\x01\x02\x03\x04" * 60
    yield b"\x01\x01" + b"\x01\xff\x01\x00\x02\x04" * 50
    push = HEADER.pack(CONVERSATION, PUSH, 0, 32, 0, 0, 0, 5) + b"hello"
    plain = bytes((len(push),)) + push + b"\x05\x01"
    coded = FEC_HEADER.pack(0, DATA_SHARD, len(push) + 2) + push
    yield b"\0" + plain * 3
    yield b"\0" + (bytes((len(coded),)) + coded + b"\x05\x01") * 3
    yield b"\x02" + b"\x00\x08\x05hello\x08\x20\x00\x02\x01" * 14 + b"\x03\x12\x1fparity" * 4
    assert PAYLOAD_BYTES < MAX_DATAGRAM_BYTES
