"""Traffic: what passed through a udp proxy and what was lost, as plain integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Counts(Protocol):
    """Where the visitors of a proxy and their bytes are counted."""

    bytes_in: int
    bytes_out: int

    def opened(self) -> None:
        """A visitor has come."""

    def closed(self, bytes_in: int, bytes_out: int) -> None:
        """A visitor is gone; with the bytes that were not counted yet."""


@dataclass(slots=True)
class Traffic:
    """Datagrams by where they went. Their owner changes them, snapshots copy them.

    Attributes:
        datagrams_in: from visitors towards the service.
        datagrams_out: from the service towards visitors.
        bytes_in: of their payload.
        bytes_out: of their payload.
        dropped_long: longer than the other end takes.
        dropped_blocked: the work stream was full or not there.
        dropped_unknown: answers to nobody who is known.
        dropped_unsent: the kernel did not take them.
        dropped_refused: of visitors who may not come in.
        refused: times that the service's machine said that nobody takes them.
    """

    datagrams_in: int = 0
    datagrams_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    dropped_long: int = 0
    dropped_blocked: int = 0
    dropped_unknown: int = 0
    dropped_unsent: int = 0
    dropped_refused: int = 0
    refused: int = 0

    @property
    def dropped(self) -> int:
        """All that was lost here."""
        lost = self.dropped_long + self.dropped_blocked + self.dropped_unknown
        return lost + self.dropped_unsent + self.dropped_refused

    def describe(self) -> str:
        """Return all of it in one line, for a log."""
        return (
            f"{self.datagrams_in} datagrams in, {self.datagrams_out} out, {self.dropped} dropped"
            f" ({self.dropped_long} too long, {self.dropped_blocked} with a full work connection,"
            f" {self.dropped_unknown} for nobody, {self.dropped_unsent} not sent,"
            f" {self.dropped_refused} of visitors refused)"
        )
