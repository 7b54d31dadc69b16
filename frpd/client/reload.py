"""What another configuration would change for a client that runs. Nothing is touched here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Final, Protocol

from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.visitors import VisitorConfig

LIVE_KEYS: Final = frozenset(("start", "includes", "log_level"))
"""Of [common]: what a reload honours."""
_DERIVED: Final = frozenset(("upstream",))  # no key of the file, but what follows from some


class Named(Protocol):
    """A proxy's or a visitor's settings; equal ones need nothing done."""

    @property
    def name(self) -> str:
        """On the wire, with the user's prefix."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of proxies or of visitors, by what becomes of them.

    Attributes:
        added: in the order of the new file, as are ``changed`` and ``unchanged``.
        removed: in the order of the old one.
        changed: of other settings, or of another type.
        unchanged: equal in everything.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()

    @property
    def gone(self) -> tuple[str, ...]:
        """Whose old settings are of no use any more."""
        return self.removed + self.changed

    @property
    def fresh(self) -> frozenset[str]:
        """Whose new settings have to be put in place."""
        return frozenset(self.added + self.changed)


@dataclass(frozen=True, slots=True)
class SetupChanges:
    """What becomes of all of a client's sections."""

    proxies: Changes
    visitors: Changes


def compare(old: ClientSetup, new: ClientSetup) -> SetupChanges:
    """Return what leads from one setup to the other; the order of sections means nothing."""
    return SetupChanges(diff(old.proxies, new.proxies), diff(old.visitors, new.visitors))


def diff(old: Iterable[Named], new: Iterable[Named]) -> Changes:
    """Return what leads from some proxies or visitors to others."""
    before = {config.name: config for config in old}
    after = {config.name: config for config in new}
    both = [name for name in after if name in before]
    return Changes(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(name for name in both if after[name] != before[name]),
        unchanged=tuple(name for name in both if after[name] == before[name]),
    )


def not_live(old: ClientConfig, new: ClientConfig) -> tuple[str, ...]:
    """Return the keys of [common] that differ and that only a restart can honour."""
    keys = (field.name for field in fields(ClientConfig))
    return tuple(
        key
        for key in keys
        if key not in LIVE_KEYS | _DERIVED and getattr(old, key) != getattr(new, key)
    )


def for_user(setup: ClientSetup, user: str) -> ClientSetup:
    """Return a setup with the names that its sections have for another user.

    The session belongs to the user that logged in, and so do the names on the wire.
    """
    theirs = setup.common.user
    if theirs == user:
        return setup
    return replace(
        setup,
        proxies=tuple(
            replace(config, name=_prefixed(user, config.section)) for config in setup.proxies
        ),
        visitors=tuple(_visitor_for(config, theirs, user) for config in setup.visitors),
    )


def _prefixed(user: str, name: str) -> str:
    return f"{user}.{name}" if user else name


def _visitor_for(config: VisitorConfig, theirs: str, user: str) -> VisitorConfig:
    name = _prefixed(user, config.section)
    if config.server_user:
        return replace(config, name=name)
    bare = config.server_name.removeprefix(f"{theirs}.") if theirs else config.server_name
    return replace(config, name=name, server_name=_prefixed(user, bare))
