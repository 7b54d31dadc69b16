"""VisitorTable: the visitors of one client, which come and go with its session."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

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
        self.entries: Mapping[str, VisitorEntry] = {
            config.name: VisitorEntry(config, build(config)) for config in configs
        }

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

    def _visitors(self) -> list[Visitor]:
        return [entry.visitor for entry in self.entries.values() if entry.visitor is not None]
