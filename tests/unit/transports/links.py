"""Two MuxLinks on one loop, joined by a TCP connection, and readers for their streams."""

from __future__ import annotations

from frpd.errors import ConnectionLost, TransportError
from frpd.net.endpoint import Endpoint, Outcome
from frpd.net.stream import SocketStream
from frpd.proto.yamux.session import YamuxSession
from frpd.transports.mux import MuxLink
from frpd.transports.mux_stream import MuxStream
from tests.helpers.world import World


class Reader:
    """Reads an endpoint as a relay does: one read for each call."""

    def __init__(self, endpoint: Endpoint, limit: int = 128 * 1024) -> None:
        self.endpoint = endpoint
        self.limit = limit
        self.got = bytearray()
        self.end = ""  # "eof" or why it was lost
        self.calls = 0
        self.resume()

    def pause(self) -> None:
        self.endpoint.watch(None, None)

    def resume(self) -> None:
        self.endpoint.watch(self._readable, None)

    def _readable(self) -> None:
        self.calls += 1
        try:
            data = self.endpoint.read(self.limit)
        except ConnectionLost as error:
            self.end = str(error)
            self.pause()
            return
        if not isinstance(data, Outcome):
            self.got += data
        elif data is Outcome.EOF:
            self.end = "eof"
            self.pause()


class Writer:
    """Writes all of its data, as the endpoint lets it."""

    def __init__(self, endpoint: Endpoint, data: bytes) -> None:
        self.endpoint = endpoint
        self.left = memoryview(data)
        self.blocked = 0
        self.lost = ""
        self.write()

    def write(self) -> None:
        try:
            while self.left:
                taken = self.endpoint.write(self.left)
                self.left = self.left[taken:]
                if not taken:
                    self.blocked += 1
                    self.endpoint.watch(None, self.write)
                    return
        except ConnectionLost as error:
            self.lost = str(error)
        self.endpoint.watch(None, None)


class Links:
    """A client's and a server's link."""

    def __init__(
        self, world: World, *, keepalive: float | None = 30.0, max_streams: int = 65536
    ) -> None:
        self.world = world
        self.near_carrier, self.far_carrier = world.endpoints()
        self.accepted: list[MuxStream] = []
        self.closed: list[str] = []
        self.far_closed: list[str] = []
        now = world.loop.now()
        self.near = MuxLink(
            world.loop,
            self.near_carrier,
            YamuxSession(is_client=True, now=now, keepalive_seconds=keepalive),
            on_stream=lambda stream: stream.abort(),
            on_closed=self.closed.append,
        )
        self.far = MuxLink(
            world.loop,
            self.far_carrier,
            YamuxSession(
                is_client=False, now=now, keepalive_seconds=keepalive, max_streams=max_streams
            ),
            on_stream=self.accepted.append,
            on_closed=self.far_closed.append,
        )

    def open(self) -> tuple[MuxStream, MuxStream]:
        """Open a stream and return both ends of it."""
        opened: list[MuxStream] = []
        before = len(self.accepted)
        self.near.open_stream(opened.append, fail)
        self.world.until(lambda: len(self.accepted) > before, "an open")
        return opened[0], self.accepted[-1]


def fail(error: TransportError) -> None:
    raise AssertionError(error)


def carrier_sends(carrier: SocketStream) -> list[int]:
    """Count the system calls of a carrier from now on: the list gets the size of each send."""
    sizes: list[int] = []
    sock = carrier._sock

    class Counting:
        def send(self, data: bytes) -> int:
            sizes.append(len(data))
            return sock.send(data)

        def __getattr__(self, name: str) -> object:
            return getattr(sock, name)

    carrier._sock = Counting()  # type: ignore[assignment]  # a stand-in that forwards
    return sizes
