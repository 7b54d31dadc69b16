"""SshLink: a client of the SSH gateway as the rest of frps sees it.

Its streams are socketpairs, whose other ends the gateway's own thread has: there speaks what a
client speaks, so that logins, plugins, users, limits and books are those of every client.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final, Protocol

from frpd.errors import TransportError
from frpd.net.address import SockAddr, format_address
from frpd.net.endpoint import Callback
from frpd.net.stream import SocketEnds, SocketStream
from frpd.selector_loop import SelectorLoop
from frpd.transports.link import OnFailed, OnStream

LAST_BYTES_SECONDS: Final = 1.0
"""For what services have said before the user has gone."""


class FarEnd(Protocol):
    """The client in the gateway's thread. For the loop's thread."""

    def let_in(self) -> None:
        """It has logged in: what strangers are held to is over."""

    def leave(self) -> None:
        """End it once it has read what was said to it. Idempotent."""

    def cut(self, reason: str) -> None:
        """End it at once; it may be told why. Idempotent."""


class SshStream(SocketStream):
    """One stream: an end of a socketpair. Loop thread only.

    Args:
        loop: the loop.
        sock: owned from now on.
        peer: the user's address.
        stream_id: see LinkStream.
        open_streams: it is among them until it is closed.
    """

    __slots__ = ("_open_streams", "stream_id")

    def __init__(
        self,
        loop: SelectorLoop,
        sock: socket.socket,
        peer: SockAddr,
        stream_id: int,
        open_streams: dict[int, SshStream],
    ) -> None:
        super().__init__(loop, sock, peer)
        self.stream_id = stream_id
        self._open_streams = open_streams
        open_streams[stream_id] = self

    def close(self) -> None:
        """See Endpoint.close."""
        self._open_streams.pop(self.stream_id, None)
        super().close()

    def lose(self) -> None:
        """Its far end has gone for good, which nobody notices who only waits for a visitor."""
        self.abort()
        if self.on_failure is not None:
            self.on_failure()


class SshBearer:
    """See Bearer: what the SSH connection was accepted on. Loop thread only."""

    carrier = "ssh"

    def __init__(self, peer: SockAddr, local: SockAddr) -> None:
        self.peer = peer
        self._local = local

    def describe(self) -> str:
        """See Bearer.describe."""
        return format_address(self.peer)

    def local_address(self) -> SockAddr:
        """See Bearer.local_address."""
        return self._local

    def ends(self) -> SocketEnds | None:
        """See Bearer.ends; the socket itself is the other thread's."""
        return SocketEnds(format_address(self._local), format_address(self.peer))

    def let_in(self) -> None:
        """See Bearer.let_in; the link hears of it too."""

    def when_proven(self, call: Callback) -> None:
        """See BearerStream.when_proven: it has come by TCP."""
        call()


class SshLink:
    """A StreamLink. Loop thread only.

    Args:
        loop: the loop.
        bearer: says where the client is.
        far: the client.
        on_stream: called with each stream that it opens.
        on_closed: called once, with the reason for which it has ended.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        bearer: SshBearer,
        far: FarEnd,
        on_stream: OnStream,
        on_closed: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._bearer = bearer
        self._far = far
        self._on_stream = on_stream
        self._on_closed = on_closed
        self._opened = 0
        self._open_streams: dict[int, SshStream] = {}
        self._closed = False
        self._ended = False

    # What frps asks for.

    def open_stream(self, on_open: OnStream, on_failed: OnFailed) -> None:
        """See StreamLink.open_stream: work connections are asked for, as of a Go client."""
        on_failed(TransportError("an ssh client is asked for its work connections"))

    def let_streams_in(self, limit: int, *, rising_ids: bool) -> None:
        """See StreamLink.let_streams_in."""
        self._far.let_in()

    def go_away(self) -> None:
        """See StreamLink.go_away: SSH has no such word, and nothing new is asked for."""

    def close(self) -> None:
        """See StreamLink.close."""
        if not self._closed:
            self._closed = True
            self._far.leave()

    def abort(self, reason: str) -> None:
        """See StreamLink.abort."""
        self._closed = True
        self._far.cut(reason)

    # What the client tells.

    def stream_came(self, sock: socket.socket) -> None:
        """Take a stream that it has opened."""
        if self._closed:
            sock.close()
            return
        self._opened += 1
        peer, number = self._bearer.peer, self._opened
        self._on_stream(SshStream(self._loop, sock, peer, number, self._open_streams))

    def ended(self, reason: str) -> None:
        """The client is gone. Idempotent."""
        if not self._ended:
            self._ended = self._closed = True
            self._loop.call_later(LAST_BYTES_SECONDS, self._lose_streams)
            self._on_closed(reason)

    def _lose_streams(self) -> None:
        for stream in list(self._open_streams.values()):
            stream.lose()
