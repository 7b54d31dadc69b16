"""Which of frp's three ways to punch holes, and what each of them is to its users.

frp has changed everything about it twice: EARLY_A up to 0.24, EARLY_B from 0.25 to 0.48 and
NEWEST since 0.49. The session with the server says which one its server speaks. A server of
ours speaks all of them, and says in its messages when the far end speaks an early one only.

The seam: a row in VISITOR_WAYS and one in OWNER_WAYS (frpd.client.nathole.ways) for each way.
A visitor's attempt is made by ``VisitorWay``, an owner's by ``OwnerWay``; both are Punchers,
which call exactly one of the two they are given, on a later turn than ``start()`` or in it.
An attempt that has failed or given its tunnel holds nothing. The attempts of a visitor that
go an early way are one per user, since there a tunnel carries one user only (``Tunnel.once``);
those of the newest way are shared by all users.

    visitor   NEWEST by the session; the server's answer to the check that goes ahead of every
              attempt names an early way (NatHoleResp.early), and then each user goes that one
    owner     the way of the session, or that of NatHoleSid.early; the work stream is handed
              over with nothing behind NatHoleSid read from it
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from frpd.client.nathole.answers import Answers
from frpd.client.nathole.tunnel import Tunnel
from frpd.config.proxies import SecretProxyConfig
from frpd.config.visitors import VisitorConfig
from frpd.entropy import Entropy
from frpd.errors import FrpError
from frpd.log import PrefixLogger
from frpd.net.endpoint import Endpoint
from frpd.net.resolver import Resolver
from frpd.proto.message.types import EARLY_A, EARLY_B, Message, NatHoleSid
from frpd.selector_loop import SelectorLoop

NEWEST: Final = "c"
"""The control streams carry what is said; STUN tells the addresses (0.49)."""
EARLY: Final = (EARLY_A, EARLY_B)

_NEWEST_SINCE: Final = (0, 49)
_B_SINCE: Final = (0, 25)

MAX_EXTRA_SOCKETS: Final = 1024
"""A hard NAT asks for 256 of them for some seconds; all attempts of a client share these."""

OnTunnel: TypeAlias = Callable[[Tunnel], None]
OnFailed: TypeAlias = Callable[[FrpError], None]


class SocketBudget:
    """How many sockets may be open to catch what hits one of many ports."""

    def __init__(self, limit: int = MAX_EXTRA_SOCKETS) -> None:
        self._left = limit

    def take(self, count: int) -> int:
        """Return how many of these may be opened; give() them back."""
        granted = min(count, self._left)
        self._left -= granted
        return granted

    def give(self, count: int) -> None:
        """So many are closed."""
        self._left += count


@dataclass(frozen=True, slots=True)
class HoleContext:
    """What hole punching may use of the client."""

    loop: SelectorLoop
    entropy: Entropy
    resolver: Resolver
    log: PrefixLogger
    """Of the visitor or proxy."""
    stun_server: str
    """host:port of nat_hole_stun_server."""
    tells_local_addresses: bool = True
    """So that ends in one network find each other there."""
    quic_keepalive_seconds: float = 10.0
    quic_idle_seconds: float = 30.0
    """Silence after which a tunnel of QUIC is given up."""
    sockets: SocketBudget = field(default_factory=SocketBudget)


class Signalling(Protocol):
    """A session with the server, as far as punching needs one."""

    features: frozenset[str]
    server_version: str
    """What the server said it is, such as ``0.51.3``."""
    server_udp: tuple[str, int] | None
    """Host and port where it helps the early ways; None where it does not."""
    answers: Answers
    """Asks on the control stream."""

    def send(self, message: Message) -> None:
        """Say something on the control stream."""


class Puncher(Protocol):
    """One attempt to get a tunnel. Loop thread only."""

    def start(self) -> None:
        """Begin."""

    def cancel(self) -> None:
        """Give up silently. Idempotent."""


VisitorWay: TypeAlias = Callable[
    [HoleContext, VisitorConfig, Signalling, OnTunnel, OnFailed], Puncher
]


class OwnerWay(Protocol):
    """Makes an owner's attempt."""

    def __call__(
        self,
        context: HoleContext,
        config: SecretProxyConfig,
        signalling: Signalling,
        work: Endpoint,
        notice: NatHoleSid,
        *,
        on_tunnel: OnTunnel,
        on_failed: OnFailed,
    ) -> Puncher:
        """Own the work stream, and close it when the attempt is over or cancelled."""


def way_of(
    server_version: str, features: Collection[str], server_udp: tuple[str, int] | None
) -> str | None:
    """Return the way to go in a session; None where its server has none.

    Args:
        server_version: what is no number counts as new.
        features: only a server of ours has any.
        server_udp: see Signalling.
    """
    numbers = server_version.split(".")[:2]
    if features or len(numbers) < 2 or not all(number.isdecimal() for number in numbers):
        return NEWEST
    version = tuple(map(int, numbers))
    if version >= _NEWEST_SINCE:
        return NEWEST
    if server_udp is None:
        return None
    return EARLY_B if version >= _B_SINCE else EARLY_A
