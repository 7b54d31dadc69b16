"""How two of our ends close a KCP connection."""

from __future__ import annotations

from collections.abc import Iterator

from frpd.proto.kcp.segment import body_offset
from frpd.proto.kcp_parting import BYTES, TRIES_WITH_OURS, Farewell, Kind, Parting, read_farewell
from fuzz.reading import Choices


def one(data: bytes) -> None:
    """What is read can be written again; a parting says no more than it has tries."""
    found = read_farewell(data)
    if found is not None:
        assert read_farewell(found.encode()) == found
        assert len(found.encode()) == BYTES
        assert body_offset(found.encode()) is None
    choices = Choices(data)
    parting = Parting(1)
    now, said, heard = 0.0, 0, 0
    for _ in range(60):
        step = choices.byte()
        now += (step >> 4) / 4
        if step & 3 == 1:
            parting.say(Kind(1 + choices.byte() % 5), choices.byte(), now)
            said += 1
        elif step & 3 == 2:
            kind = Kind(1 + choices.byte() % 5)
            parting.receive(Farewell(1, kind, choices.byte(), choices.byte() & 7))
            heard += 1
        sent = parting.datagrams_to_send(now)
        assert len(sent) <= 2
        assert all(read_farewell(item) is not None for item in sent)
        said_now = sum(read_farewell(item).kind is not Kind.TAKEN for item in sent)  # type: ignore[union-attr]
        assert said_now <= said * (TRIES_WITH_OURS + 1)
        due = parting.next_deadline()
        assert due is None or due > now or parting.is_waiting


def seeds() -> Iterator[bytes]:
    """Yield one of each kind, and talk."""
    for kind in Kind:
        yield Farewell(1, kind, 5, 1).encode()
    yield bytes((0x11, 0, 9, 0x42, 2, 9, 1)) * 8
