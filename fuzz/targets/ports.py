"""Lists of port ranges."""

from __future__ import annotations

from collections.abc import Iterator

from frpd.config.kinds import parse_bandwidth
from frpd.config.ports import MAX_PORT, PortSet, count, numbers, parse_ranges
from fuzz.reading import Choices


def one(data: bytes) -> None:
    """Only ValueError comes out; a set is the same there and back, and knows its members."""
    choices = Choices(data)
    port = choices.number(2)
    text = choices.rest().decode("utf-8", "surrogateescape")
    limit = parse_bandwidth(text)
    assert limit is None or limit.bytes_per_second >= 0
    try:
        ranges = parse_ranges(text)
        ports = PortSet.parse(text)
    except ValueError:
        return
    assert all(0 <= first <= last <= MAX_PORT for first, last in ranges)
    assert PortSet.parse(str(ports)) == ports
    assert len(ports) <= MAX_PORT
    assert (port in ports) == any(first <= port <= last for first, last in ranges if port)
    if ports:
        assert ports[len(ports) - 1] in ports
        assert ports.allows(ports[0])
    if count(ranges) < 1000:
        assert set(numbers(ranges)) - {0} == set(ports)


def seeds() -> Iterator[bytes]:
    """Yield lists as people write them."""
    for text in ("2000-3000,4000", " 1 - 5 , 3-9", "0-65535", "+5", "9-1", "512KB", "1.5MB", ""):
        yield b"\x07\xd0" + text.encode()
