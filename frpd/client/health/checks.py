"""One health check of a local service: it accepts a connection, or answers GET with a 2xx.

A redirect within the service is followed, as frp's HTTP client does; one that leads
elsewhere says nothing of this service, so it counts as a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urljoin, urlsplit

from frpd.errors import ConnectionLost, TransportError
from frpd.net.address import join_host_port
from frpd.net.connector import Connector, Dialing
from frpd.net.endpoint import Outcome
from frpd.net.stream import SocketStream
from frpd.proto.http.errors import HttpError
from frpd.proto.http.head import head_end, parse_response
from frpd.selector_loop import SelectorLoop, Timer

MAX_REDIRECTS: Final = 5
READ_BYTES: Final = 16 * 1024

OnResult = Callable[[str], None]
"""Told why the check failed, or "" if it did not; maybe before the check was returned."""


class Check:
    """One check under way. Loop thread only.

    Args:
        loop: the loop.
        connector: reaches the service.
        host: of the service.
        port: its port.
        path: to get, with a leading slash; "" where a connection is enough.
        timeout_seconds: for all of it.
        on_result: called once, unless cancelled.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        connector: Connector,
        host: str,
        port: int,
        *,
        path: str,
        timeout_seconds: float,
        on_result: OnResult,
    ) -> None:
        self._connector = connector
        self._where = (host, port)
        self._path = path
        self._seconds = timeout_seconds
        self._on_result = on_result
        self._redirects = 0
        self._heard = b""
        self._stream: SocketStream | None = None
        self._attempt: Dialing | None = None
        self._is_over = False
        self._timer: Timer | None = loop.call_later(timeout_seconds, self._too_slow)
        self._dial()

    def cancel(self) -> None:
        """Give up silently. Idempotent."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt = None
        if self._stream is not None:
            self._stream.abort()
            self._stream = None

    def _dial(self) -> None:
        attempt = self._connector.connect(
            *self._where,
            self._connected,
            self._failed,
            timeout_seconds=self._seconds,
            keepalive_seconds=0,
        )
        if not (self._is_over or attempt.is_over):
            self._attempt = attempt

    def _connected(self, stream: SocketStream) -> None:
        self._attempt = None
        self._stream = stream
        if not self._path:
            stream.close()
            self._stream = None
            self._end("")
            return
        stream.on_failure = self._broken
        self._heard = b""
        host = join_host_port(*self._where)
        request = f"GET {self._path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        try:
            stream.write(request.encode("utf-8", "surrogateescape"))
        except ConnectionLost as error:
            self._end(str(error))
            return
        stream.watch(self._readable, None)

    def _readable(self) -> None:
        assert self._stream is not None
        try:
            data = self._stream.read(READ_BYTES)
            if data is Outcome.EOF:
                self._end("closed before an answer")
            if isinstance(data, Outcome):
                return
            searched = len(self._heard)
            self._heard += bytes(data)
            end = head_end(self._heard, searched)
            if end:
                head = parse_response(self._heard[:end])
                self._answered(head.status, head.get("location") or "")
        except ConnectionLost as error:
            self._end(str(error))
        except HttpError as error:
            self._end(f"answers something that is not HTTP: {error.reason}")

    def _answered(self, status: int, location: str) -> None:
        if status < 200:
            self._heard = b""
            return
        if 200 <= status < 300:
            self._end("")
        elif status in (301, 302, 303, 307, 308) and location:
            self._redirect(status, location)
        else:
            self._end(f"GET {self._path} is answered with {status}")

    def _redirect(self, status: int, location: str) -> None:
        base = f"http://{join_host_port(*self._where)}"
        self._redirects += 1
        try:
            target = urljoin(base + self._path, location)
            stays = urlsplit(target)[:2] == urlsplit(base)[:2]
        except ValueError:  # brackets around what is no address
            target, stays = "", False
        if not stays or self._redirects > MAX_REDIRECTS:
            self._end(f"GET {self._path} is answered with {status}, and leads away")
            return
        self._path = target.removeprefix(base) or "/"
        assert self._stream is not None
        self._stream.abort()
        self._stream = None
        self._dial()

    def _failed(self, error: TransportError) -> None:
        self._attempt = None
        self._end(str(error))

    def _broken(self) -> None:
        self._end("connection lost")

    def _too_slow(self) -> None:
        self._timer = None
        self._end(f"no answer within {self._seconds:g} s")

    def _end(self, reason: str) -> None:
        if not self._is_over:
            self.cancel()
            self._on_result(reason)
