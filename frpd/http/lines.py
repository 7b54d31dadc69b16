"""The work connections that one visitor keeps between its requests."""

from __future__ import annotations

from typing import Final

from frpd.http.site import Site, WorkLine

MAX_LINES: Final = 4
"""Kept for one visitor: each to another site."""


class Lines:
    """Lines that rest, by their site. Loop thread only."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: dict[Site, WorkLine] = {}  # used last, kept last

    def take(self, site: Site, since: float) -> WorkLine | None:
        """Return the line kept for this site, if it has rested since then or later."""
        line = self._lines.get(site)
        if line is None or line.since < since:
            return None
        del self._lines[site]
        return line

    def keep(self, line: WorkLine, now: float) -> None:
        """Keep a line for the next request to its site."""
        old = self._lines.pop(line.site, None)
        if old is None and len(self._lines) >= MAX_LINES:
            old = self._lines.pop(next(iter(self._lines)))
        if old is not None:
            old.drop(clean=True)
        self._lines[line.site] = line
        line.rest(now, self._gone)

    def drop_all(self) -> None:
        """End them."""
        for line in self._lines.values():
            line.drop(clean=True)
        self._lines.clear()

    def _gone(self, line: WorkLine) -> None:
        del self._lines[line.site]
        line.drop()
