"""Connector: opens connections without ever blocking the loop."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import Protocol

from frpd.errors import TransportError
from frpd.net.address import SockAddr, format_address, join_host_port, literal_family
from frpd.net.listener import set_keepalive
from frpd.net.resolver import Addresses, OnFailed, Resolver
from frpd.net.stream import SocketStream
from frpd.net.unix_attempt import UnixAttempt
from frpd.selector_loop import SelectorLoop, Timer, Watch

TCP_ESTABLISHED = 1  # tcpi_state, the first byte of struct tcp_info
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h; Python 3.11 has no name for it

OnStream = Callable[[SocketStream], None]


class DialError(TransportError):
    """Nobody could be reached; ``code`` is the errno, as far as it is known, or 0."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class Dialing(Protocol):
    """An attempt to connect that is under way."""

    def cancel(self) -> None:
        """Give up silently. Idempotent."""


class Connector:
    """Makes connection attempts; shared by all who dial. Loop thread only.

    Args:
        loop: the loop.
        resolver: for host names.
    """

    def __init__(self, loop: SelectorLoop, resolver: Resolver) -> None:
        self._loop = loop
        self.resolver = resolver

    def connect(
        self,
        host: str,
        port: int,
        on_connected: OnStream,
        on_failed: OnFailed,
        *,
        timeout_seconds: float,
        keepalive_seconds: int = 7200,
        local_ip: str = "",
    ) -> Attempt:
        """Try each address of ``host`` in turn; call exactly one of the two.

        Neither is called after ``Attempt.cancel()``. The error's text is in
        Go's words, which frp's users know: ``dial tcp 1.2.3.4:80: connect:
        connection refused``.

        With ``local_ip``, an address of this machine, connections come from
        there, and only addresses of the same family are tried.
        """
        attempt = Attempt(self._loop, on_connected, on_failed, keepalive_seconds, local_ip)
        attempt.begin(host, port, timeout_seconds)
        self.resolver.resolve(host, port, attempt.try_addresses, attempt.fail)
        attempt.await_addresses()
        return attempt

    def connect_unix(
        self, path: str, on_connected: OnStream, on_failed: OnFailed, *, timeout_seconds: float
    ) -> UnixAttempt:
        """Connect to a Unix socket; call exactly one of the two, later.

        A path that begins with ``@`` is an abstract name, as in Go. Neither is
        called after ``cancel()``.
        """
        return UnixAttempt(self._loop, path, on_connected, on_failed, timeout_seconds)


class Attempt:
    """One call of Connector.connect under way."""

    __slots__ = (
        "_addresses",
        "_deadline",
        "_done",
        "_keepalive",
        "_last_error",
        "_local_ip",
        "_looked_up",
        "_loop",
        "_on_connected",
        "_on_failed",
        "_peer",
        "_share",
        "_sock",
        "_target",
        "_timer",
        "_watch",
    )

    def __init__(
        self,
        loop: SelectorLoop,
        on_connected: OnStream,
        on_failed: OnFailed,
        keepalive: int,
        local_ip: str,
    ) -> None:
        self._loop = loop
        self._on_connected = on_connected
        self._on_failed = on_failed
        self._keepalive = keepalive
        self._local_ip = local_ip
        self._addresses: Addresses = []
        self._sock: socket.socket | None = None
        self._watch: Watch | None = None
        self._timer: Timer | None = None
        self._done = False
        self._looked_up = False
        self._target = ("", 0)
        self._peer: SockAddr = ("", 0)
        self._deadline = 0.0
        self._share = 0.0
        self._last_error: TransportError | None = None

    @property
    def is_over(self) -> bool:
        """Whether it was reported or cancelled."""
        return self._done

    def begin(self, host: str, port: int, timeout_seconds: float) -> None:
        """Start the clock; the look-up counts."""
        self._target = host, port
        self._deadline = self._loop.now() + timeout_seconds

    def await_addresses(self) -> None:
        """Watch the clock, if the look-up was begun and is not over."""
        if not self._looked_up:
            self._timer = self._loop.call_at(self._deadline, self._timed_out)

    def cancel(self) -> None:
        """Give up silently. Idempotent."""
        self._finish()

    def fail(self, error: TransportError) -> None:
        """Report the failure unless something was reported already."""
        self._looked_up = True
        if not self._done:
            self._finish()
            self._on_failed(error)

    def try_addresses(self, addresses: Addresses) -> None:
        """Start with the first address; each gets an even share of the time."""
        self._looked_up = True
        if self._done:
            return
        if self._local_ip and addresses:
            addresses = self._within_reach(addresses)
        self._addresses = list(reversed(addresses))
        self._share = max(self._deadline - self._loop.now(), 0.0) / max(len(addresses), 1)
        self._try_next()

    def _within_reach(self, addresses: Addresses) -> Addresses:
        family = literal_family(self._local_ip)
        near = [address for address in addresses if address[0] == family]
        if family is None:
            self._last_error = self._failure(f"{self._local_ip!r} is no IP address to dial from")
        elif not near:
            kind = "IPv6" if family == socket.AF_INET6 else "IPv4"
            why = f"no {kind} address, and {self._local_ip} reaches no other"
            self._last_error = self._failure(why)
        return near

    def _try_next(self) -> None:
        self._drop_socket()
        while self._addresses:
            family, self._peer = self._addresses.pop()
            try:
                self._start(family)
            except (OSError, TransportError) as error:
                self._drop_socket()
                self._last_error = (
                    error if isinstance(error, TransportError) else self._error(error.errno)
                )
                continue
            return
        self.fail(
            self._last_error
            or TransportError(f"dial tcp {join_host_port(*self._target)}: no address")
        )

    def _start(self, family: socket.AddressFamily) -> None:
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._sock = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        set_keepalive(sock, self._keepalive)
        if self._local_ip:
            self._bind(sock)
        code = sock.connect_ex(self._peer)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
        if sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_ESTABLISHED:
            # On this machine the other end has answered by now: no need to trouble epoll.
            self._stop_timer()
            self._loop.call_soon(self._established)
            return
        self._watch = self._loop.watch(sock.fileno(), self._callback_failed)
        self._watch.set(None, self._connect_settled)
        # The last one may use all the time that is left.
        self._rearm(self._loop.now() + self._share if self._addresses else self._deadline)

    def _bind(self, sock: socket.socket) -> None:
        # With the port left for connect to choose, many connections may share one.
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        try:
            sock.bind((self._local_ip, 0))
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise self._failure(f"bind {self._local_ip}: {why}") from error

    def _connect_settled(self) -> None:
        sock = self._sock
        assert sock is not None  # who cancels closes the watch
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._last_error = self._error(code)
            self._try_next()
            return
        self._established()

    def _established(self) -> None:
        sock = self._sock
        if sock is None:  # cancelled meanwhile
            return
        self._sock = None
        self._finish()
        stream = SocketStream(self._loop, sock, self._peer)
        try:
            self._on_connected(stream)
        except Exception:
            stream.abort()
            raise

    def _timed_out(self) -> None:
        self._last_error = self._failure("i/o timeout", errno.ETIMEDOUT)
        if self._addresses:
            self._try_next()
        else:
            self.fail(self._last_error)

    def _rearm(self, when: float) -> None:
        self._stop_timer()
        self._timer = self._loop.call_at(min(when, self._deadline), self._timed_out)

    def _where(self) -> str:
        return format_address(self._peer) if self._peer[0] else join_host_port(*self._target)

    def _error(self, code: int | None) -> TransportError:
        return self._failure(f"connect: {os.strerror(code or 0).lower()}", code or 0)

    def _failure(self, why: str, code: int = 0) -> DialError:
        return DialError(f"dial tcp {self._where()}: {why}", code)

    def _callback_failed(self, error: BaseException) -> None:
        self.fail(TransportError(f"dial tcp {self._where()}: internal error: {error}"))

    def _drop_socket(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _finish(self) -> None:
        self._done = True
        self._drop_socket()
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
