"""Users of frps: a section [user.NAME] each, and which names and domains belong to whom.

What belongs to nobody is for everybody. Where patterns of several users fit, the one that
says most counts; check_users() refuses two that say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from frpd.config.ports import NO_PORTS, PortSet
from frpd.config.secret import NO_SECRET, Secret

if TYPE_CHECKING:
    from frpd.config.reader import SectionReader

MAX_USERS: Final = 1000
"""Their tokens are stretched one after the other at the start, 0.1 s each."""
MAX_PATTERNS: Final = 256
"""Of one key of one user."""
MAX_PATTERN_LENGTH: Final = 256
ANY: Final = "*"

_DOMAIN: Final = r"\*|(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    """A section [user.NAME]: what clients with ``user = NAME`` have to know, and may do.

    `allow_names` is already filled in from the name; domains are in lower case.
    """

    name: str
    token: Secret = NO_SECRET
    token_file: str = ""
    allow_ports: PortSet = NO_PORTS
    max_ports_per_client: int = 0
    allow_domains: tuple[str, ...] = ()
    allow_names: tuple[str, ...] = ()
    allow_cidrs: tuple[str, ...] = ()
    deny_cidrs: tuple[str, ...] = ()
    max_clients: int = 0
    max_proxies: int = 0
    max_connections: int = 0


class Owners:
    """Knows whose a proxy's name or a domain is.

    Args:
        users: checked.
    """

    __slots__ = ("_domains", "_exact", "_patterns", "_prefixes")

    def __init__(self, users: Iterable[UserConfig]) -> None:
        self._domains: dict[str, str] = {}
        self._exact: dict[str, str] = {}
        self._prefixes: dict[str, str] = {}
        self._patterns: list[tuple[int, str, str]] = []
        for user in users:
            self._domains |= dict.fromkeys(user.allow_domains, user.name)
            for pattern in user.allow_names:
                self._add(pattern, user.name)

    def of_name(self, name: str) -> str | None:
        """Return whose a proxy's name is, as it is on the wire; None if it is nobody's."""
        owner = self._exact.get(name)
        if owner is not None:
            return owner
        most, owner = -1, None
        for length in range(len(name), -1, -1):
            if name[:length] in self._prefixes:
                most, owner = length, self._prefixes[name[:length]]
                break
        for letters, pattern, user in self._patterns:
            if letters > most and _fits(name, pattern):
                most, owner = letters, user
        return owner

    def of_domain(self, domain: str) -> str | None:
        """Return whose a canonical domain is; of ``*.x``, whose all below x is by default."""
        wanted = domain.removeprefix("*.")
        owner = self._domains.get(domain) if wanted == domain else None
        if owner is not None or wanted == ANY:
            return owner
        while wanted:
            owner = self._domains.get(f"*.{wanted}")
            if owner is not None:
                return owner
            wanted = wanted.partition(".")[2]
        return self._domains.get(ANY)

    def below(self, domain: str) -> Iterator[tuple[str, str]]:
        """Yield what of other patterns a wildcard would take: pattern, user; of a name nothing."""
        if not domain.startswith(ANY):
            return
        end = domain.removeprefix(ANY)  # with its dot: *.x takes nothing of x itself
        for pattern, user in self._domains.items():
            if pattern.removeprefix(ANY).endswith(end) and pattern not in (domain, ANY):
                yield pattern, user

    def _add(self, pattern: str, user: str) -> None:
        if ANY not in pattern:
            self._exact[pattern] = user
        elif _is_prefix(pattern):
            self._prefixes[pattern[:-1]] = user
        else:
            self._patterns.append((_letters(pattern), pattern, user))


def check_user(values: dict[str, Any], reader: SectionReader, name: str, common: PortSet) -> None:
    """Complete one section; its token and networks are checked already.

    Args:
        values: by attribute.
        reader: of the section.
        name: behind ``user.``.
        common: allow_ports of [common].
    """
    if not name or ANY in name or not name.isprintable():
        reader.error("user", f"{name!r} is no name; accepted: what clients have as `user`, no *")
    values["allow_names"] = _without_doubles(values["allow_names"]) or (f"{name}.*",)
    domains = _without_doubles(item.removesuffix(".") for item in values["allow_domains"])
    values["allow_domains"] = domains
    for domain in domains:
        if not re.fullmatch(_DOMAIN, domain):
            message = f"{domain!r} is no domain; accepted: such as a.example.com, *.example.com, *"
            reader.error("allow_domains", message)
    for key in ("allow_names", "allow_domains"):
        if len(values[key]) > MAX_PATTERNS or any(
            len(item) > MAX_PATTERN_LENGTH for item in values[key]
        ):
            message = f"accepted: {MAX_PATTERNS} of {MAX_PATTERN_LENGTH} letters at most"
            reader.error(key, message)
    ports = values["allow_ports"]
    if ports and not ports.both(common.candidates()):
        reader.error("allow_ports", "has no port that allow_ports of [common] has")


def check_users(users: dict[str, UserConfig], readers: dict[str, SectionReader]) -> None:
    """Refuse what would belong to two users, and point out tokens that are no secrets of one."""
    if len(users) > MAX_USERS:
        for reader in list(readers.values())[:1]:
            reader.error("user", f"{len(users)} sections; accepted: {MAX_USERS} users")
        return
    domains: dict[str, str] = {}
    tokens: dict[Secret, str] = {}
    for name, user in users.items():
        for domain in user.allow_domains:
            first = domains.setdefault(domain, name)
            if first != name:
                message = f"{domain} belongs to [user.{first}] already; accepted: one owner"
                readers[name].error("allow_domains", message)
        if user.token and tokens.setdefault(user.token, name) != name:
            message = f"the same as that of [user.{tokens[user.token]}]: each can be the other"
            readers[name].warn("token", message)
    for name, pattern, first, other in _doubles(users.values()):
        message = (
            f"{pattern} and {other} of [user.{first}] fit the same names and say as much;"
            " accepted: one owner"
        )
        readers[name].error("allow_names", message)


def _doubles(users: Iterable[UserConfig]) -> Iterator[tuple[str, str, str, str]]:
    """Yield patterns of names that belong to two users: user, pattern, first user, its pattern."""
    known: dict[str, str] = {}
    by_letters: dict[tuple[int, bool], list[tuple[str, str]]] = {}
    for user in users:
        for pattern in user.allow_names:
            first = known.setdefault(pattern, user.name)
            if first != user.name:
                yield user.name, pattern, first, pattern
                continue
            if ANY not in pattern:
                continue
            letters, is_prefix = _letters(pattern), _is_prefix(pattern)
            # Prefixes, of which there may be thousands, meet only when they are equal.
            for kind in (False,) if is_prefix else (False, True):
                for owner, other in by_letters.get((letters, kind), ()):
                    if owner != user.name and _may_meet(pattern, other):
                        yield user.name, pattern, owner, other
            by_letters.setdefault((letters, is_prefix), []).append((user.name, pattern))


def _may_meet(one: str, other: str) -> bool:
    """Whether a name fits both patterns, which are as long as each other without their stars."""
    row = [True, *(False for _ in other)]
    for place, letter in enumerate(other):  # what the empty pattern fits
        row[place + 1] = row[place] and letter == ANY
    for mine in one:
        last, row = row, [row[0] and mine == ANY]
        for place, letter in enumerate(other):
            if ANY in (mine, letter):
                row.append(row[place] or last[place + 1])
            else:
                row.append(last[place] and mine == letter)
    return row[-1]


def _fits(name: str, pattern: str) -> bool:
    """Whether a name fits a pattern with stars, in a time that grows with their lengths only.

    The name is a stranger's: with a regular expression each star more would multiply the time.
    """
    first, *middle, last = pattern.split(ANY)
    if not name.startswith(first):
        return False
    at = len(first)
    for part in middle:  # where it comes first leaves the most for those behind it
        at = name.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return at + len(last) <= len(name) and name.endswith(last)


def _is_prefix(pattern: str) -> bool:
    return pattern.find(ANY) == len(pattern) - 1


def _letters(pattern: str) -> int:
    return len(pattern) - pattern.count(ANY)


def _without_doubles(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for item in items if item))
