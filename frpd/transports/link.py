"""StreamLink: one connection that carries many streams, whatever makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from frpd.errors import TransportError
from frpd.net.endpoint import Endpoint


class LinkStream(Endpoint, Protocol):
    """One stream of a link."""

    @property
    def stream_id(self) -> int:
        """Its number: the same on both sides, and no other stream's while it lives."""


OnStream: TypeAlias = Callable[[LinkStream], None]
OnFailed: TypeAlias = Callable[[TransportError], None]


class StreamLink(Protocol):
    """What frps needs of a client's link. Loop thread only."""

    def open_stream(self, on_open: OnStream, on_failed: OnFailed) -> None:
        """Open a stream; exactly one of the two is called, at once or later."""

    def let_streams_in(self, limit: int, *, rising_ids: bool) -> None:
        """Who is there has proved himself: from now on he may open so many streams.

        Args:
            limit: at the same time.
            rising_ids: stream ids are never used twice; see YamuxSession.
        """

    def go_away(self) -> None:
        """Tell the peer that no new streams are taken."""

    def close(self) -> None:
        """Close after what was sent; all streams are lost. Idempotent."""

    def abort(self, reason: str) -> None:
        """Drop the connection now. Idempotent."""


MakeLink: TypeAlias = Callable[[OnStream, Callable[[str], None]], StreamLink]
"""Makes the link of a connection that has come. It is given what to call with each stream that
the peer opens, and, once, on a later turn, with the reason for which the connection has ended."""


def stream_id_of(endpoint: Endpoint) -> int | None:
    """Return the number of a link's stream; None for a connection of its own."""
    number: int | None = getattr(endpoint, "stream_id", None)
    return number
