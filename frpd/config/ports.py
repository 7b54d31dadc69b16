"""Lists of port ranges: ``20000-20100, 20200``, as in allow_ports and in [range:...] sections."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PORT = 65535
ACCEPTED = "ports and ranges such as 2000-3000,4000, each between 0 and 65535"

_ITEM = r"\s*([+-]?[0-9]+)\s*(?:-\s*([0-9]+)\s*)?"


def parse_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Read ``a-b,c`` as ((a, b), (c, c)), in the order written.

    Raises:
        ValueError: with what is wrong, when an item is no number, a range is reversed,
            or a number is no port.
    """
    return tuple(_parse_item(item) for item in text.split(","))


def _parse_item(item: str) -> tuple[int, int]:
    match = re.fullmatch(_ITEM, item)
    if match is None:
        raise ValueError(f"{item.strip()!r} is neither a number nor a range a-b")
    # Long digit strings are refused before they become integers.
    if any(len(number) > 12 for number in match.groups(default="")):
        raise ValueError(f"{item.strip()[:40]!r} is no port")
    first = int(match[1])
    last = first if match[2] is None else int(match[2])
    if last < first:
        raise ValueError(f"range {item.strip()!r} is reversed")
    if first < 0 or last > MAX_PORT:
        raise ValueError(f"{item.strip()!r} is no port")
    return first, last


def count(ranges: tuple[tuple[int, int], ...]) -> int:
    """How many numbers the ranges hold, repetitions included."""
    return sum(last - first + 1 for first, last in ranges)


def numbers(ranges: tuple[tuple[int, int], ...]) -> Iterator[int]:
    """Every number in the order written, repetitions included."""
    for first, last in ranges:
        yield from range(first, last + 1)


class PortSet:
    """A set of ports kept as sorted ranges; empty means that nothing was limited.

    ``port in ports`` asks the set itself, so nothing is in an empty one: ask `allows` when
    "no limit" is meant. A random pick is ``candidates()[n]`` with n below ``len(candidates())``.
    """

    __slots__ = ("_before", "_first", "_size", "ranges")

    def __init__(self, ranges: tuple[tuple[int, int], ...] = ()) -> None:
        self.ranges = _merge(ranges)
        self._first = [first for first, _ in self.ranges]
        self._before: list[int] = []
        self._size = 0
        for first, last in self.ranges:
            self._before.append(self._size)
            self._size += last - first + 1

    @classmethod
    def parse(cls, text: str) -> PortSet:
        """Read the text of allow_ports; blank text is the empty set. Raises ValueError."""
        return cls(parse_ranges(text)) if text.strip() else cls()

    def allows(self, port: int) -> bool:
        """Whether a proxy may take the port: every port, when no limit was set."""
        return not self or port in self

    def candidates(self) -> PortSet:
        """The ports to pick from: itself, or all of 1 to 65535 when no limit was set."""
        return self or PortSet(((1, MAX_PORT),))

    def both(self, other: PortSet) -> PortSet:
        """The ports that are in both sets themselves; beware: none at all is an empty set."""
        return PortSet(
            tuple(
                (max(first, low), min(last, high))
                for first, last in self.ranges
                for low, high in other.ranges
                if max(first, low) <= min(last, high)
            )
        )

    def __contains__(self, port: int) -> bool:
        place = bisect_right(self._first, port) - 1
        return place >= 0 and port <= self.ranges[place][1]

    def __getitem__(self, index: int) -> int:
        if not 0 <= index < self._size:
            raise IndexError(index)
        place = bisect_right(self._before, index) - 1
        return self.ranges[place][0] + index - self._before[place]

    def __len__(self) -> int:
        return self._size

    def __bool__(self) -> bool:
        return self._size > 0

    def __iter__(self) -> Iterator[int]:
        return numbers(self.ranges)

    def __eq__(self, other: object) -> bool:
        return self.ranges == other.ranges if isinstance(other, PortSet) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.ranges)

    def __str__(self) -> str:
        return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in self.ranges)

    def __repr__(self) -> str:
        return f"PortSet({str(self)!r})"


def _merge(ranges: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Sort, join what touches, and drop port 0, which nobody can ask for by number."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted((max(first, 1), last) for first, last in ranges if last >= 1):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return tuple(merged)


NO_PORTS = PortSet()
