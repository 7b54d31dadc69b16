"""Balancers: who may say, by the PROXY protocol, that a connection is another's.

A connection from one of the networks in ``accept_proxy_protocol`` has to begin with a header.
The address in it is the connection's peer from then on, for limits, logs and services alike.
Connections from elsewhere are not read here, so nobody else can claim an address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from frpd.errors import ConnectionLost, RemoteProtocolError
from frpd.log import get_logger
from frpd.net.address import host_of
from frpd.net.endpoint import Callback, Outcome
from frpd.net.stream import SocketStream
from frpd.proto.proxy_protocol import MAX_HEADER_BYTES, decode
from frpd.selector_loop import SelectorLoop
from frpd.server.door import Door, DoorLimits

OnStream = Callable[[SocketStream], None]

AWAITED: Final = "PROXY protocol header"

_log = get_logger("frpd.server.balancers")


class Balancers:
    """Reads what balancers say ahead of their visitors and clients. Loop thread only.

    Args:
        loop: the loop.
        networks: whose word is taken; none to take nobody's.
        limits: of connections that have not said anything yet. All of them come from a few
            addresses, so that only the cap in all counts.
        is_too_fast: whether too many come from an address, with one that comes now.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        networks: Sequence[str],
        limits: DoorLimits,
        is_too_fast: Callable[[str], bool],
    ) -> None:
        self._is_too_fast = is_too_fast
        self._door = Door(loop, _for_all(limits), awaited=AWAITED)
        self._networks = [ipaddress.ip_network(one) for one in networks]

    def use(self, networks: Sequence[str], limits: DoorLimits) -> None:
        """Go by these from now on."""
        self._networks = [ipaddress.ip_network(one) for one in networks]
        self._door.use(_for_all(limits))

    def welcome(
        self, stream: SocketStream, on_stream: OnStream, on_refused: Callback | None = None
    ) -> None:
        """Hand a connection on that was just accepted, as soon as its peer is known.

        Args:
            stream: owned from now on; closed if too many come from there.
            on_stream: takes it.
            on_refused: called if it was closed for that.
        """

        def enter(known: SocketStream) -> None:
            if not self._is_too_fast(host_of(known.peer)):
                on_stream(known)
                return
            known.abort()
            if on_refused is not None:
                on_refused()

        if self._networks and self._trusts(host_of(stream.peer)):
            _Proxied(self._door, stream, enter)
        else:
            enter(stream)

    def close(self) -> None:
        """Refuse who has not said anything yet."""
        self._door.close()

    def _trusts(self, host: str) -> bool:
        address = ipaddress.ip_address(host.partition("%")[0])
        return any(address in network for network in self._networks)


class _Proxied:
    """One connection whose header is not complete yet."""

    __slots__ = ("_door", "_heard", "_on_stream", "_stream", "_ticket")

    def __init__(self, door: Door, stream: SocketStream, on_stream: OnStream) -> None:
        self._door = door
        self._stream = stream
        self._on_stream = on_stream
        self._heard = b""
        self._ticket = door.admit(host_of(stream.peer), self._refused)
        stream.on_failure = self._gone
        stream.watch(self._listen, None)

    def _listen(self) -> None:
        try:
            data = self._stream.read(MAX_HEADER_BYTES)
            if isinstance(data, Outcome):
                if data is Outcome.EOF:
                    self._gone()
                return
            self._heard += bytes(data)
            header = decode(self._heard)
        except ConnectionLost:
            self._gone()
        except RemoteProtocolError as error:
            self._door.leave(self._ticket)
            self._refused(str(error))
        else:
            if header is not None:
                self._pass_on(header.source, header.size)

    def _pass_on(self, source: tuple[str, int] | None, size: int) -> None:
        stream = self._stream
        self._door.leave(self._ticket)
        stream.on_failure = None
        stream.watch(None, None)
        if source is not None:
            stream.peer = source
        stream.unread(self._heard[size:])
        self._on_stream(stream)

    def _refused(self, reason: str) -> None:
        _log.warning("%s: connection of a balancer closed: %s", self._stream.describe(), reason)
        self._stream.abort()

    def _gone(self) -> None:
        # Balancers try whether a port answers: that is no news.
        self._door.leave(self._ticket)
        self._stream.close()


def _for_all(limits: DoorLimits) -> DoorLimits:
    return replace(limits, max_pending_per_source=limits.max_pending)
