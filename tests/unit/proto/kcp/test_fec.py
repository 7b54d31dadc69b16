"""Error correction: numbers, groups, recovery."""

from __future__ import annotations

from itertools import combinations

import pytest

from frpd.proto.kcp.fec import MAX_OPEN_GROUPS, NUMBERS, REMEMBERED, FecReader, FecWriter
from frpd.proto.kcp.segment import DATA_SHARD, FEC_BYTES, FEC_HEADER, PARITY_SHARD
from tests.unit.proto.kcp.recorded import MUXED, directions

BODIES = [bytes([index]) * (30 + index % 7) for index in range(100)]


def wrapped(bodies: list[bytes], *, sends_parity: bool = True) -> list[bytes]:
    writer = FecWriter(sends_parity=sends_parity)
    datagrams: list[bytes] = []
    for body in bodies:
        writer.wrap(body, datagrams)
    return datagrams


def number_of(datagram: bytes) -> int:
    number: int = FEC_HEADER.unpack_from(datagram)[0]
    return number


def renumbered(datagram: bytes, number: int) -> bytes:
    return number.to_bytes(4, "little") + datagram[4:]


@pytest.mark.parametrize("name", MUXED)
def test_recorded_bodies_make_the_recorded_datagrams(name: str) -> None:
    for recorded in directions(name).values():
        bodies = [datagram[FEC_BYTES:] for datagram in recorded if datagram[4] == DATA_SHARD]
        assert wrapped(bodies) == recorded


@pytest.mark.parametrize("name", MUXED)
def test_recorded_groups_stand_the_loss_of_any_three(name: str) -> None:
    for recorded in directions(name).values():
        bodies = {datagram[FEC_BYTES:] for datagram in recorded if datagram[4] == DATA_SHARD}
        for lost in list(combinations(range(13), 3))[::7]:
            reader = FecReader()
            got = set()
            for index, datagram in enumerate(recorded):
                if index not in lost:
                    got.update(reader.receive(datagram))
            assert got == {recorded[index][FEC_BYTES:] for index in lost if index < 10}
            assert got <= bodies


def test_without_parity_its_numbers_are_left_out() -> None:
    numbers = [number_of(datagram) for datagram in wrapped(BODIES[:21], sends_parity=False)]
    assert numbers == [*range(10), *range(13, 23), 26]


def test_numbers_wrap_at_the_end_of_a_group() -> None:
    writer = FecWriter(sends_parity=True)
    writer._number = NUMBERS - 13
    datagrams: list[bytes] = []
    for body in BODIES[:11]:
        writer.wrap(body, datagrams)
    assert [number_of(datagram) for datagram in datagrams[-2:]] == [NUMBERS - 1, 0]
    reader = FecReader()
    got = [body for datagram in datagrams[3:] for body in reader.receive(datagram)]
    assert got == BODIES[:3]


def test_nothing_is_recovered_when_nothing_is_lost() -> None:
    reader = FecReader()
    assert not any(reader.receive(datagram) for datagram in wrapped(BODIES))


def test_a_late_datagram_completes_a_group() -> None:
    datagrams = wrapped(BODIES[:10])
    reader = FecReader()
    for datagram in (*datagrams[:5], *datagrams[9:]):
        assert reader.receive(datagram) == []
    assert reader.receive(datagrams[6]) == [BODIES[5], BODIES[7], BODIES[8]]
    assert reader.receive(datagrams[5]) == []


def test_a_group_is_found_where_parity_was_left_out_before() -> None:
    """Newer libraries leave parity out without leaving its numbers out."""
    first = wrapped(BODIES[:10])[:10]
    second = [
        renumbered(datagram, number)
        for number, datagram in enumerate(wrapped(BODIES[10:20]), start=10)
    ]
    reader = FecReader()
    got = []
    for datagram in (*first, *second[:4], *second[5:]):
        got += reader.receive(datagram)
    assert got == [BODIES[14]]
    third = [
        renumbered(datagram, number)
        for number, datagram in enumerate(wrapped(BODIES[20:30]), start=23)
    ]
    got = [body for datagram in (*third[:9], third[11]) for body in reader.receive(datagram)]
    assert got == [BODIES[29]]  # the beginning is known from the group before


def test_what_is_not_a_group_recovers_nothing() -> None:
    reader = FecReader()
    for number in range(9):
        reader.receive(FEC_HEADER.pack(number, DATA_SHARD, 5) + b"abc")
    parity = FEC_HEADER.pack(10, PARITY_SHARD, 0xFFFF) + b"not parity"
    assert reader.receive(parity) == []
    assert reader.receive(renumbered(parity, 4)) == []


def test_data_longer_than_parity_recovers_nothing() -> None:
    datagrams = wrapped(BODIES[:10])
    reader = FecReader()
    for datagram in datagrams[1:10]:
        reader.receive(datagram + bytes(64))
    assert reader.receive(datagrams[10]) == []


def test_a_repeated_datagram_changes_nothing() -> None:
    datagrams = wrapped(BODIES[:10])
    reader = FecReader()
    for datagram in datagrams[1:10] * 2:
        assert reader.receive(datagram) == []
    assert reader.receive(datagrams[10]) == [BODIES[0]]
    assert reader.receive(datagrams[10]) == []
    assert reader.receive(datagrams[0]) == []


def test_what_is_remembered_is_bounded() -> None:
    reader = FecReader()
    for group in range(50):
        for datagram in wrapped(BODIES[:10])[8:]:
            reader.receive(renumbered(datagram, number_of(datagram) + group * 13))
    assert len(reader._shards) == REMEMBERED
    assert len(reader._open) <= MAX_OPEN_GROUPS


def test_parity_without_end_recovers_nothing() -> None:
    reader = FecReader()
    for number in range(100, 140):
        assert reader.receive(FEC_HEADER.pack(number, PARITY_SHARD, 9) + bytes(24)) == []
    for number in (203, 202, 201, 200):
        assert reader.receive(FEC_HEADER.pack(number, PARITY_SHARD, 9) + bytes(24)) == []
    assert reader.receive(FEC_HEADER.pack(204, PARITY_SHARD, 9) + bytes(24)) == []
