"""What kind of NAT a client is behind, by the addresses that two STUN servers saw."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from frpd.errors import RemoteProtocolError
from frpd.proto.nat import HARD, NatKind, nat_of
from frpd.server.nathole.addresses import split_address

MIN_ADDRESSES: Final = 2
MAX_REGULAR_STEP: Final = 5
"""Ports this near to each other will be followed by another one nearby."""


@dataclass(frozen=True, slots=True)
class NatFeature:
    """One client's NAT.

    Attributes:
        kind: what differs between the addresses.
        ports_difference: how far the ports are apart, where only they differ.
    """

    kind: NatKind
    ports_difference: int = 0

    @property
    def is_hard(self) -> bool:
        """Whether each peer sees another address."""
        return self.kind.nat_type == HARD

    @property
    def is_regular(self) -> bool:
        """Whether the next port can be guessed."""
        return 1 <= self.ports_difference <= MAX_REGULAR_STEP

    @property
    def is_public(self) -> bool:
        """Whether there is no NAT at all."""
        return self.kind.is_public

    def describe(self) -> str:
        """Return it for people."""
        return self.kind.describe() + (", regular ports" if self.is_regular else "")


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
    addresses = [split_address(one) for one in mapped]
    ips, ports = zip(*addresses, strict=True)
    only_ports = len(set(ips)) == 1
    return NatFeature(
        kind=nat_of(addresses, local_ips),
        ports_difference=max(ports) - min(ports) if only_ports else 0,
    )
