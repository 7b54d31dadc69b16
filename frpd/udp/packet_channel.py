"""PacketChannel: datagrams of one udp proxy over its work stream, and over the next one.

What one callback collects leaves in one write. While the stream takes nothing a little
is queued; beyond that the newest datagrams are dropped. The queue is short, so those in
it are hardly older, and dropping at its end costs nothing and keeps the order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from frpd.errors import ConnectionLost, RemoteProtocolError
from frpd.net.endpoint import Buffer, Endpoint, Outcome
from frpd.selector_loop import SelectorLoop
from frpd.udp.traffic import Traffic

MAX_QUEUED_BYTES: Final = 256 * 1024
"""While the stream is blocked; one datagram more may begin below it."""
FLUSH_BYTES: Final = 32 * 1024
"""So much is collected for one write."""
READ_BYTES: Final = 32 * 1024
"""In one turn: if each datagram in it is a new visitor's, that takes some 20 ms."""
NOTHING: Final = -1

OnDatagrams = Callable[[dict[bytes, list[Buffer]]], None]
OnLost = Callable[[str], None]


class PacketFormat(Protocol):
    """How datagrams look on a work stream; fresh for each."""

    keepalive: bytes
    max_datagram_bytes: int

    @staticmethod
    def name_visitor(host: str, port: int, scope: int = 0) -> bytes:
        """Return how the server names a visitor."""

    @staticmethod
    def describe_visitor(name: bytes) -> str:
        """Return such a name for people."""

    @staticmethod
    def append(out: bytearray, visitor: bytes, datagram: Buffer) -> None:
        """Append a datagram to what goes to the peer."""

    def receive_data(self, data: Buffer) -> dict[bytes, list[Buffer]]:
        """Return the datagrams that ``data`` completes: by visitor, each in order.

        Raises:
            RemoteProtocolError: the peer sent something illegal.
        """


class PacketChannel:
    """Carries datagrams to the other end and back. Loop thread only.

    Args:
        loop: the loop.
        traffic: where losses are counted.
        on_datagrams: called with what came, by visitor; the buffers are borrowed.
        on_lost: called when the stream is gone, with the reason; never within a call
            of a method, and not after close().

    Attributes:
        heard_at: when the peer sent anything last.
    """

    __slots__ = (
        "_append",
        "_endpoint",
        "_format",
        "_limit",
        "_loop",
        "_lost",
        "_on_datagrams",
        "_on_lost",
        "_queue",
        "_stuck",
        "_traffic",
        "heard_at",
    )

    def __init__(
        self,
        loop: SelectorLoop,
        traffic: Traffic,
        on_datagrams: OnDatagrams,
        on_lost: OnLost,
    ) -> None:
        self.heard_at = loop.now()
        self._loop = loop
        self._traffic = traffic
        self._on_datagrams = on_datagrams
        self._on_lost = on_lost
        self._endpoint: Endpoint | None = None
        self._format: PacketFormat
        self._append: Callable[[bytearray, bytes, Buffer], None]
        self._limit = NOTHING  # so that one comparison tells both
        self._lost = ""  # why, until on_lost was called
        self._queue = bytearray()
        self._stuck = False  # the stream took only a part: wait until it takes more

    @property
    def attached(self) -> bool:
        """Whether there is a stream."""
        return self._endpoint is not None

    @property
    def queued_bytes(self) -> int:
        """What the stream has not taken yet."""
        return len(self._queue)

    def attach(self, endpoint: Endpoint, packets: PacketFormat, limit_bytes: int) -> None:
        """Use this stream from now on; one that was there before is closed.

        Args:
            endpoint: owned from now on.
            packets: what it speaks, fresh.
            limit_bytes: longer datagrams are not for the other end.
        """
        self.close()
        self._endpoint = endpoint
        self._format = packets
        self._append = packets.append
        self._limit = min(limit_bytes, packets.max_datagram_bytes)
        self.heard_at = self._loop.now()
        endpoint.on_failure = self._callback_failed
        endpoint.watch(self._readable, None)

    def put(self, visitor: bytes, datagram: Buffer) -> bool:
        """Take a datagram for the other end; False if it was dropped. Call flush() later."""
        queue = self._queue
        if len(datagram) > self._limit:
            self._count_refused()
            return False
        if len(queue) >= FLUSH_BYTES:
            self.flush()
            if len(queue) >= MAX_QUEUED_BYTES:
                self._traffic.dropped_blocked += 1
                return False
        self._append(queue, visitor, datagram)
        return True

    def flush(self) -> None:
        """Send what was put; who puts several datagrams calls it behind the last."""
        endpoint, queue = self._endpoint, self._queue
        if endpoint is None or self._stuck or not queue:
            return
        try:
            taken = endpoint.write(queue)
        except ConnectionLost as error:
            self.abort()
            self._lost = str(error)
            self._loop.call_soon(self._tell_loss)
            return
        if taken == len(queue):
            queue.clear()
        else:
            del queue[:taken]
            self._stuck = True
            endpoint.watch(self._readable, self._writable)

    def keep_alive(self) -> None:
        """Tell the peer that we live, unless datagrams do."""
        if self._endpoint is not None and not self._queue:
            self._queue += self._format.keepalive
            self.flush()

    def close(self) -> None:
        """Close the stream, if there is one; what is queued is lost. Idempotent."""
        endpoint = self._drop()
        if endpoint is not None:
            endpoint.close()

    def abort(self) -> None:
        """Drop the stream at once, if there is one. Idempotent."""
        endpoint = self._drop()
        if endpoint is not None:
            endpoint.abort()

    def _drop(self) -> Endpoint | None:
        endpoint, self._endpoint = self._endpoint, None
        self._limit = NOTHING
        self._queue = bytearray()
        self._stuck = False
        self._lost = ""
        if endpoint is not None:
            endpoint.on_failure = None
            endpoint.watch(None, None)
        return endpoint

    def _count_refused(self) -> None:
        if self._endpoint is None:
            self._traffic.dropped_blocked += 1
        else:
            self._traffic.dropped_long += 1

    def _writable(self) -> None:
        self._stuck = False
        if self._endpoint is not None:
            self._endpoint.watch(self._readable, None)
            self.flush()

    def _readable(self) -> None:
        endpoint = self._endpoint
        if endpoint is None:
            return
        try:
            data = endpoint.read(READ_BYTES)
            if isinstance(data, Outcome):
                if data is Outcome.EOF:
                    self._end("closed by the other end")
                return
            found = self._format.receive_data(data)
        except (ConnectionLost, RemoteProtocolError) as error:
            self._end(str(error))
            return
        self.heard_at = self._loop.now()
        if found:
            self._on_datagrams(found)

    # The end.

    def _end(self, reason: str) -> None:
        self.abort()
        self._on_lost(reason)

    def _tell_loss(self) -> None:
        reason, self._lost = self._lost, ""
        if reason:
            self._on_lost(reason)

    def _callback_failed(self) -> None:
        self._end("internal error, see the log")
