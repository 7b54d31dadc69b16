"""The web server: waitress, fed with connections that the loop has accepted.

waitress reads requests on one thread of its own and hands only whole ones to its workers, so
that slow clients cost memory within bounds and no thread. It is imported when the first request
comes. What it lacks is here: a deadline for the whole of a request, and a word when a connection
is over. Why waitress: docs/adr/0007-admin-web-server.md.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer

from frpd.clock import MonotonicClock

THREADS: Final = 4
MAX_BODY_BYTES: Final = 1024 * 1024
MAX_HEAD_BYTES: Final = 32 * 1024
REQUEST_SECONDS: Final = 15.0
"""From the first byte of a request to its last; of the first one from the connection on."""
IDLE_SECONDS: Final = 60
"""Between two requests."""
CLEAN_SECONDS: Final = 5
STOP_SECONDS: Final = 1.0
SWITCH_SECONDS: Final = 0.0005

Address = tuple[str, int]

_clock = MonotonicClock()
# A page of the dashboard asks for more at once than there are threads: that is no warning.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)


class _Channel(HTTPChannel):  # type: ignore[misc] # waitress is not typed
    """One connection."""

    is_counted = True

    def __init__(self, *args: Any, **options: Any) -> None:
        # When the request that is being received began: who never sends one keeps others out.
        self.begun: float | None = _clock.now()
        super().__init__(*args, **options)

    def received(self, data: bytes) -> bool:
        if self.begun is None:
            self.begun = _clock.now()
        result: bool = super().received(data)
        if self.request is None:
            self.begun = None
        return result

    def del_channel(self, map: object = None) -> None:  # noqa: A002 - waitress' name
        super().del_channel(map)
        if self.is_counted:
            self.is_counted = False
            self.server.on_closed(self.addr)


class WebServer(BaseWSGIServer):  # type: ignore[misc] # as above
    """Serves a WSGI application on connections that it is given.

    Args:
        application: called on worker threads; REMOTE_ADDR is what ``adopt`` was given.
        on_closed: called with the address of each connection that is over, on our thread.
    """

    channel_class = _Channel

    def __init__(
        self, application: Callable[..., Any], on_closed: Callable[[Address], None]
    ) -> None:
        # A request may work for some ms; so long must the loop not wait for its turn.
        sys.setswitchinterval(SWITCH_SECONDS)
        self.on_closed = on_closed
        self._stopping = False
        self._ended = False  # the trigger's descriptor may be somebody else's by now
        self._lock = threading.Lock()
        adjustments = Adjustments(
            threads=THREADS,
            ident="frpd",
            max_request_body_size=MAX_BODY_BYTES,
            max_request_header_size=MAX_HEAD_BYTES,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=CLEAN_SECONDS,
            clear_untrusted_proxy_headers=False,  # that there is a proxy is worth knowing
            log_socket_errors=False,
            asyncore_use_poll=True,
        )
        # It never listens; only the place of a listening socket has to be filled.
        super().__init__(
            application,
            map={},
            _start=False,
            _sock=socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
            adj=adjustments,
            sockinfo=(socket.AF_UNIX, socket.SOCK_STREAM, 0, None),
            bind_socket=False,
        )

    def getsockname(self) -> tuple[str, int]:
        """Return what WSGI calls SERVER_NAME and SERVER_PORT where there is no Host."""
        return "frpd", 0

    def adopt(self, sock: socket.socket, address: Address) -> None:
        """Serve a connection, which is owned from now on. Any thread.

        Args:
            sock: connected.
            address: whose it is, for REMOTE_ADDR and REMOTE_PORT.
        """

        def enter() -> None:
            if self._stopping:
                sock.close()
            else:
                self.channel_class(self, sock, address, self.adj, map=self._map)

        if not self._wake(enter):
            sock.close()

    def run(self) -> None:
        """Serve until stop(); then close everything. Occupies its thread."""
        try:
            while not self._stopping:
                wasyncore.loop(timeout=CLEAN_SECONDS, use_poll=True, map=self._map, count=1)
        finally:
            self._stopping = True
            self.task_dispatcher.shutdown(timeout=STOP_SECONDS)
            with self._lock:
                self._ended = True
            for enter in self.trigger.thunks:
                enter()
            wasyncore.close_all(self._map, ignore_all=True)

    def stop(self) -> None:
        """Have run() return. Any thread; idempotent."""
        self._stopping = True
        self._wake()

    def pull_trigger(self) -> None:
        """See BaseWSGIServer; workers call it, and one may outlive us."""
        self._wake()

    def _wake(self, call: Callable[[], None] | None = None) -> bool:
        """Have our thread look up, and call something; False if it is over."""
        with self._lock:
            if not self._ended:
                self.trigger.pull_trigger(call)
            return not self._ended

    def maintenance(self, now: float) -> None:
        """Close who is idle for too long, or takes too long over a request."""
        super().maintenance(now)
        latest = _clock.now() - REQUEST_SECONDS
        for channel in list(self.active_channels.values()):
            if channel.begun is not None and channel.begun < latest:
                channel.will_close = True
