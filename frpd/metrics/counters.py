"""Counters of one proxy: integers that their owner changes and snapshots copy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ProxyCounters:
    """What passed through a proxy, seen from the service.

    Attributes:
        connections_open: visitors connected now.
        connections_total: visitors ever accepted.
        bytes_in: payload bytes from visitors to the service.
        bytes_out: payload bytes from the service to visitors.
    """

    connections_open: int = 0
    connections_total: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    def opened(self) -> None:
        """A visitor was accepted."""
        self.connections_open += 1
        self.connections_total += 1

    def closed(self, bytes_in: int, bytes_out: int) -> None:
        """A visitor's connection is over."""
        self.connections_open -= 1
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out
