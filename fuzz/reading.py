"""What targets share: decisions and cuts out of an input, and the comparison of two readings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from frpd.errors import RemoteProtocolError

HTTP_WORDS: Final = (
    *(
        b"Connection Content-Length Transfer-Encoding chunked Upgrade Host Expect 100-continue"
        b" close keep-alive Trailer TE trailers HTTP/1.0 HTTP/1.1 OPTIONS CONNECT http:// :443 %2F"
        b" X-Forwarded-For X_Real_IP Proxy-Authorization websocket h2c"
    ).split(),
    b"\r\n",
    b"\r\n\r\n",
    b": ",
    b", ",
)
"""What heads of HTTP are made of."""


class Choices:
    """The bytes of an input as decisions; zeros once they are used up."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def byte(self) -> int:
        """Return the next byte."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def number(self, nbytes: int) -> int:
        """Return a number of so many bytes."""
        return int.from_bytes(self.take(nbytes), "big")

    def take(self, count: int) -> bytes:
        """Return at most ``count`` bytes."""
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(len(self._data))


def cut(data: bytes, plan: int) -> Iterator[bytes]:
    """Yield ``data`` in pieces, always the same for one plan.

    Args:
        data: the whole.
        plan: 0: one piece; 1: single bytes; others: lengths of many sizes.
    """
    if plan == 0:
        yield data
        return
    state, at = plan, 0
    while at < len(data):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        size = 1 if plan == 1 else 1 + (state >> 16) % (3, 7, 30, 300)[plan & 3]
        yield data[at : at + size]
        at += size


class Reading(NamedTuple):
    """What came out, and whether the peer was refused in the end."""

    events: Sequence[Any]
    refused: bool


def read(
    feed: Callable[[bytes], Iterable[Any]],
    pieces: Iterable[bytes],
    refusals: type[Exception] | tuple[type[Exception], ...] = RemoteProtocolError,
) -> Reading:
    """Feed pieces until one is refused; return all events up to there."""
    events: list[Any] = []
    try:
        for piece in pieces:
            events.extend(feed(piece))
    except refusals:
        return Reading(events, True)
    return Reading(events, False)


def same(one: Reading, other: Reading) -> None:
    """Check that two readings of the same bytes agree.

    Where the peer is refused, one of them may have handed out less before that.
    """
    assert one.refused == other.refused, (one, other)
    if not one.refused:
        assert list(one.events) == list(other.events), (one, other)
        return
    common = min(len(one.events), len(other.events))
    assert list(one.events[:common]) == list(other.events[:common]), (one, other)


def same_bytes(one: Reading, other: Reading) -> None:
    """Check the same of readings whose events are pieces of one byte stream."""
    same(*(Reading(b"".join(map(bytes, made.events)), made.refused) for made in (one, other)))
