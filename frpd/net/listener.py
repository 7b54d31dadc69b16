"""Listener: a bound TCP port that hands accepted connections to its owner.

Accepting is bounded per turn, so a flood of new connections cannot starve the
old ones. When the process runs out of file descriptors the listener pauses,
serves what it has, and resumes by itself.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from frpd.errors import TransportError
from frpd.log import get_logger
from frpd.net.address import SockAddr, format_address, is_localhost, join_host_port, literal_family
from frpd.net.pace import Pace
from frpd.net.stream import SocketStream
from frpd.selector_loop import SelectorLoop, Timer

ACCEPTS_PER_TURN = 16
BACKLOG = 4096  # the kernel caps it at net.core.somaxconn
PAUSE_SECONDS = 0.25
COMPLAIN_EVERY_SECONDS = 60.0
KEEPALIVE_INTERVAL_SECONDS = 75  # between probes, at most: the kernel's default
EVERY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104 - what others write
NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_log = get_logger("frpd.net.listener")


class ListenError(TransportError):
    """A port cannot be bound; ``errno`` says why, ``address`` and its ``port`` where."""

    def __init__(self, address: str, error: OSError) -> None:
        self.address = address
        self.port = int(address.rpartition(":")[2] or 0)
        self.errno = error.errno
        text = (error.strerror or str(error)).lower()
        super().__init__(f"listen tcp {address}: bind: {text}")


def bind_tcp(
    host: str, port: int, *, keepalive_seconds: int = 7200, beside_others: bool = False
) -> socket.socket:
    """Return a listening socket whose options its connections inherit.

    ``0.0.0.0``, ``::`` and the empty string all mean every address of both
    families, as with Go's listeners; without IPv6, those of IPv4.

    Args:
        host: address literal, name, or empty for all addresses.
        port: 0 lets the kernel choose.
        keepalive_seconds: idle time before TCP keep-alive probes; <= 0 is off.
        beside_others: the port may be that of a Listener which is shared() now.

    Raises:
        ListenError: the address cannot be bound.
    """
    settings = (keepalive_seconds, beside_others)
    try:
        if host not in EVERY_ADDRESS:
            return _listening(*bind_address(host, port, socket.SOCK_STREAM), *settings)
        try:
            return _listening(socket.AF_INET6, ("::", port), *settings, both=True)
        except OSError as error:
            if error.errno not in NO_IPV6:
                raise
            return _listening(socket.AF_INET, ("", port), *settings)
    except OSError as error:
        raise ListenError(join_host_port(host, port), error) from error


def _listening(
    family: socket.AddressFamily,
    address: SockAddr,
    keepalive_seconds: int,
    beside_others: bool,
    *,
    both: bool = False,
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not both))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        set_keepalive(sock, keepalive_seconds)
        if beside_others:
            _share(sock, wanted=True)
        sock.bind(address)
        sock.listen(BACKLOG)
        if beside_others:
            _share(sock, wanted=False)
    except OSError:
        sock.close()
        raise
    return sock


def _share(sock: socket.socket, *, wanted: bool) -> None:
    """Let sockets of this user on other addresses of the port be bound beside this one, or not.

    Linux asks in bind() and listen(): it is enough that both have the option until then.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(wanted))


def set_keepalive(sock: socket.socket, idle_seconds: int) -> None:
    """Switch TCP keep-alive on with this idle time, or leave it off when that is <= 0.

    Probes follow one another no slower than that. The kernel sends nine, so whoever asks for
    10 s hears of a dead peer after 100 s, and not after twelve minutes.
    """
    if idle_seconds <= 0:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, min(idle_seconds, 32767))
    interval = min(idle_seconds, KEEPALIVE_INTERVAL_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)


def adopt_tcp(sock: socket.socket, keepalive_seconds: int) -> socket.socket:
    """Return an inherited socket with the options that bind_tcp gives; it listens on."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
    set_keepalive(sock, keepalive_seconds)
    sock.listen(BACKLOG)
    return sock


def bind_address(
    host: str, port: int, kind: socket.SocketKind
) -> tuple[socket.AddressFamily, SockAddr]:
    """Return what to bind for one address or name; may ask the system's resolver.

    Raises:
        OSError: the name cannot be looked up.
    """
    family = literal_family(host)
    if family == socket.AF_INET:
        return family, (host, port)
    try:
        info = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)[0]
    except OSError:
        if is_localhost(host):  # a machine without a hosts file, such as a bare container
            return socket.AF_INET, ("127.0.0.1", port)
        raise
    return info[0], cast("SockAddr", info[4])


class Listener:
    """Accepts on one socket until closed. Loop thread only.

    Args:
        loop: the loop that watches the socket.
        sock: bound, listening, non-blocking; owned from now on.
        on_stream: called with each accepted connection.
        pace: what those who have to prove themselves are taken at; None for no such thing.
    """

    __slots__ = (
        "_closed",
        "_complained",
        "_loop",
        "_on_stream",
        "_pace",
        "_retry",
        "_sock",
        "_watch",
    )

    def __init__(
        self,
        loop: SelectorLoop,
        sock: socket.socket,
        on_stream: Callable[[SocketStream], None],
        pace: Pace | None = None,
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._on_stream = on_stream
        self._pace = pace
        self._retry: Timer | None = None
        self._complained: float | None = None
        self._closed = False
        self._watch = loop.watch(sock.fileno(), self._accept_failed)
        self._watch.set(self._accept_ready, None)

    @property
    def address(self) -> SockAddr:
        """The bound address, with the port that the kernel chose for 0; (path, 0) of Unix."""
        name: SockAddr | str = self._sock.getsockname()
        return (name, 0) if isinstance(name, str) else name

    @contextmanager
    def shared(self) -> Iterator[None]:
        """While this lasts bind_tcp may bind other addresses of the same port."""
        _share(self._sock, wanted=True)
        try:
            yield
        finally:
            _share(self._sock, wanted=False)

    def accept_waiting(self) -> None:
        """Take who has connected already, up to a turn's worth: a close would refuse them."""
        self._accept_ready()

    def close(self) -> None:
        """Stop listening; connections that wait in the backlog are refused. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        self._watch.close()
        self._sock.close()

    def _accept_ready(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            if self._closed:
                return
            if self._pace is not None and (wait := self._pace.wait_seconds()):
                self._rest(wait)
                return
            try:
                sock, peer = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._pause(error)
                    return
                continue  # that connection died in the backlog (accept(2)); the next may be well
            sock.setblocking(False)
            if self._pace is not None:
                self._pace.take()
            # Who comes by a Unix socket has no name of its own.
            self._hand_over(SocketStream(self._loop, sock, peer or self.address))

    def _hand_over(self, stream: SocketStream) -> None:
        try:
            self._on_stream(stream)
        except MemoryError:
            raise  # see SelectorLoop
        except Exception:
            _log.exception("accepting %s failed", stream.describe())
            stream.abort()

    def _pause(self, error: OSError) -> None:
        now = self._loop.now()
        if self._complained is None or now - self._complained >= COMPLAIN_EVERY_SECONDS:
            self._complained = now
            _log.error(
                "cannot accept on %s: %s; waiting for connections to end "
                "(raise LimitNOFILE / ulimit -n if this persists)",
                format_address(self.address),
                error.strerror,
            )
        self._rest(PAUSE_SECONDS)

    def _rest(self, seconds: float) -> None:
        self._watch.set(None, None)
        self._retry = self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        self._retry = None
        if not self._closed:
            self._watch.set(self._accept_ready, None)

    def _accept_failed(self, _error: BaseException) -> None:
        # A bug in a callback must not cost us the port: keep listening.
        if not self._closed:
            self._watch.set(self._accept_ready, None)
