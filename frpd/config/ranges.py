"""Sections [range:NAME]: one proxy for each pair of a local and a remote port."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from frpd.config import ports
from frpd.config.ini import WHITE, Dialect, Entry, IniTree, Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from frpd.config.problems import Problems

PREFIX = "range:"
MAX_MEMBERS = 2 * ports.MAX_PORT
"""Proxies that the ranges of a file make: for each port of frps one by tcp and one by udp."""


class Expanded(NamedTuple):
    """The tree without range sections, and for each proxy made from one the range's name."""

    tree: IniTree
    ranges: dict[str, str]


def range_name(section: str) -> str:
    """A range section's name in one spelling, blanks behind the colon removed."""
    return PREFIX + section.removeprefix(PREFIX).strip(WHITE)


def expand(tree: IniTree, wanted: Callable[[str], bool], problems: Problems) -> Expanded:
    """Replace the range sections by the sections NAME_0, NAME_1 and so on.

    Args:
        tree: as read.
        wanted: whether `start` loads a range of that name. OLD does not look at the others.
        problems: takes what is wrong with a range.
    """
    sections: dict[str, Section] = {}
    origins = dict(tree.origins)
    ranges: dict[str, str] = {}
    left = MAX_MEMBERS
    for name, section in tree.sections.items():
        if not name.startswith(PREFIX):
            # A section that a range before it has made is completed, not replaced.
            sections[name] = section | sections.get(name, {})
            continue
        whole = range_name(name)
        if tree.dialect is Dialect.OLD and not wanted(whole):
            continue
        pairs = _pairs(tree, name, left, problems)
        left -= len(pairs)
        for index, (local, remote) in enumerate(pairs):
            made = f"{whole.removeprefix(PREFIX)}_{index}"
            ranges[made] = whole
            origins.setdefault(made, tree.origins[name])
            sections[made] = sections.get(made, {}) | _member(tree, name, local, remote)
    return Expanded(IniTree(tree.dialect, sections, origins), ranges)


def _member(tree: IniTree, name: str, local: int, remote: int) -> Section:
    member = dict(tree.sections[name])
    for key, port in (("local_port", local), ("remote_port", remote)):
        found = tree.lookup(name, key)
        member[key] = Entry(str(port), found[1].origin if found else tree.origins[name])
    return member


def _pairs(tree: IniTree, name: str, most: int, problems: Problems) -> list[tuple[int, int]]:
    both = [_read(tree, name, key, problems) for key in ("local_port", "remote_port")]
    if not all(both):
        return []
    local, remote = both
    if ports.count(local) != ports.count(remote):
        message = (
            f"local_port has {ports.count(local)} ports and remote_port {ports.count(remote)};"
            " local ports number should be same with remote ports number"
        )
        problems.error(message, tree.origins[name], name, "remote_port")
        return []
    if ports.count(remote) > most:
        message = f"the ranges of a file make {MAX_MEMBERS} proxies at most, with this one more"
        problems.error(message, tree.origins[name], name, "remote_port")
        return []
    return list(zip(ports.numbers(local), ports.numbers(remote), strict=True))


def _read(tree: IniTree, name: str, key: str, problems: Problems) -> tuple[tuple[int, int], ...]:
    entry = tree.expanded(name, key)
    if entry is None or not entry.value:
        message = f"missing; a range section needs it; accepted: {ports.ACCEPTED}"
        problems.error(message, tree.origins[name], name, key)
        return ()
    try:
        return ports.parse_ranges(entry.value)
    except ValueError as error:
        message = f"{entry.value[:60]!r} cannot be used: {error}; accepted: {ports.ACCEPTED}"
        problems.error(message, entry.origin, name, key)
        return ()
