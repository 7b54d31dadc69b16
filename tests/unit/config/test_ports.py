from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.config.ports import NO_PORTS, PortSet, count, numbers, parse_ranges

PORT = st.integers(0, 65535)
RANGES = st.lists(st.tuples(PORT, st.integers(0, 50)), max_size=8).map(
    lambda pairs: tuple((first, min(first + more, 65535)) for first, more in pairs)
)


def test_order_and_repetitions_are_kept_for_range_sections() -> None:
    ranges = parse_ranges(" 9-10 ,7, 7")
    assert list(numbers(ranges)) == [9, 10, 7, 7]
    assert count(ranges) == 4


@pytest.mark.parametrize("text", ["", "a", "1,,2", "1-", "-1", "2-1", "1-2-3", "65536", "9" * 5000])
def test_what_is_no_range_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|reversed|port"):
        parse_ranges(text)


@given(RANGES)
def test_set_agrees_with_pythons(ranges: tuple[tuple[int, int], ...]) -> None:
    ports = PortSet(ranges)
    want = {port for first, last in ranges for port in range(first, last + 1)} - {0}
    assert list(ports) == sorted(want)
    assert len(ports) == len(want)
    assert bool(ports) == bool(want)
    assert [ports[index] for index in range(len(ports))] == sorted(want)
    assert all(
        (port in ports) == (port in want) for first, last in ranges for port in (first, last + 1)
    )
    assert PortSet.parse(str(ports)) == ports
    assert hash(PortSet.parse(str(ports))) == hash(ports)


def test_empty_set_limits_nothing() -> None:
    assert 80 not in NO_PORTS
    assert NO_PORTS.allows(80)
    assert len(NO_PORTS.candidates()) == 65535
    assert NO_PORTS.candidates()[0] == 1
    assert PortSet.parse(" ") == NO_PORTS


def test_limit_allows_and_offers_only_its_own() -> None:
    ports = PortSet.parse("10-12,20")
    assert (ports.allows(12), ports.allows(13)) == (True, False)
    assert ports.candidates() is ports
    assert ports[3] == 20
    with pytest.raises(IndexError):
        ports[4]
