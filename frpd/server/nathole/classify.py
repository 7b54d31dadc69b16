"""What kind of NAT a client is behind, by the addresses that two STUN servers saw.

The words are frp's, which its logs and ours use.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from frpd.errors import RemoteProtocolError
from frpd.server.nathole.addresses import split_address

EASY: Final = "EasyNAT"
HARD: Final = "HardNAT"
NO_CHANGE: Final = "BehaviorNoChange"
IP_CHANGED: Final = "BehaviorIPChanged"
PORT_CHANGED: Final = "BehaviorPortChanged"
BOTH_CHANGED: Final = "BehaviorBothChanged"

MIN_ADDRESSES: Final = 2
MAX_REGULAR_STEP: Final = 5
"""Ports this near to each other will be followed by another one nearby."""

_BEHAVIORS: Final = {
    (False, False): NO_CHANGE,
    (True, False): IP_CHANGED,
    (False, True): PORT_CHANGED,
    (True, True): BOTH_CHANGED,
}


@dataclass(frozen=True, slots=True)
class NatFeature:
    """One client's NAT.

    Attributes:
        behavior: what differs between the addresses.
        ports_difference: how far the ports are apart, where only they differ.
        is_public: there is none: a STUN server saw an address of the machine itself.
    """

    behavior: str
    ports_difference: int
    is_public: bool

    @property
    def nat_type(self) -> str:
        """EASY or HARD."""
        return EASY if self.behavior == NO_CHANGE else HARD

    @property
    def is_hard(self) -> bool:
        """Whether each peer sees another address."""
        return self.behavior != NO_CHANGE

    @property
    def is_regular(self) -> bool:
        """Whether the next port can be guessed."""
        return 1 <= self.ports_difference <= MAX_REGULAR_STEP

    def describe(self) -> str:
        """Return it for people."""
        regular = ", regular" if self.is_regular else ""
        return f"{self.nat_type} ({self.behavior}{regular}{', public' if self.is_public else ''})"


def classify(mapped: Sequence[str], local_ips: Collection[str]) -> NatFeature:
    """Return what the addresses tell.

    Args:
        mapped: what STUN servers saw of one socket; checked.
        local_ips: that the client has itself.

    Raises:
        RemoteProtocolError: there are too few.
    """
    if len(mapped) < MIN_ADDRESSES:
        raise RemoteProtocolError("not enough addresses")
    ips, ports = zip(*map(split_address, mapped), strict=True)
    behavior = _BEHAVIORS[len(set(ips)) > 1, len(set(ports)) > 1]
    return NatFeature(
        behavior=behavior,
        ports_difference=max(ports) - min(ports) if behavior == PORT_CHANGED else 0,
        is_public=not set(ips).isdisjoint(local_ips),
    )
