"""VisitorTable: the visitors of one client, which come and go with its session."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from frpd.client.reload import Changes
from frpd.client.visitors.base import Session, Visitor
from frpd.config.visitors import VisitorConfig


@dataclass(slots=True)
class VisitorEntry:
    """One visitor: its settings, and who serves it."""

    config: VisitorConfig
    visitor: Visitor | None
    """None for a type that we do not have yet."""


class VisitorTable:
    """All visitors. Loop thread only.

    Args:
        configs: what to serve.
        build: makes the visitor for one of them; None if nobody can.
    """

    def __init__(
        self,
        configs: Sequence[VisitorConfig],
        build: Callable[[VisitorConfig], Visitor | None],
    ) -> None:
        self._build = build
        self.entries: Mapping[str, VisitorEntry] = {
            config.name: self._make(config) for config in configs
        }

    def reload(
        self, configs: Sequence[VisitorConfig], changes: Changes, session: Session | None
    ) -> None:
        """Serve these from now on; users of the unchanged notice nothing.

        All ports that are given up are free before others are taken.

        Args:
            configs: all there are now.
            changes: what that means.
            session: what there is at this moment, if users may come.
        """
        before, fresh = self.entries, changes.fresh
        self.entries = {
            config.name: self._make(config) if config.name in fresh else before[config.name]
            for config in configs
        }
        for name in changes.gone:
            visitor = before[name].visitor
            if visitor is not None:
                visitor.close()
        for name, entry in self.entries.items():
            if name in fresh and entry.visitor is not None and session is not None:
                entry.visitor.start(session)

    def find(self, section: str) -> Visitor | None:
        """Return the visitor of a section, without its user's prefix."""
        for entry in self.entries.values():
            if entry.config.section == section:
                return entry.visitor
        return None

    def start(self, session: Session) -> None:
        """Take users; call it with each new session."""
        for visitor in self._visitors():
            visitor.start(session)

    def stop(self) -> None:
        """Take none any more: the session has ended, or we stop. Idempotent."""
        for visitor in self._visitors():
            visitor.stop()

    def close(self) -> None:
        """Stop for good. Idempotent."""
        for visitor in self._visitors():
            visitor.close()

    def _make(self, config: VisitorConfig) -> VisitorEntry:
        return VisitorEntry(config, self._build(config))

    def _visitors(self) -> list[Visitor]:
        return [entry.visitor for entry in self.entries.values() if entry.visitor is not None]
