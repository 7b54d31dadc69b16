"""What kind of NAT somebody is behind, by the addresses that two STUN servers saw.

The words are frp's, whose logs and commands say them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from frpd.errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

EASY: Final = "EasyNAT"
HARD: Final = "HardNAT"
UNKNOWN: Final = "unknown"

MAX_PORT: Final = 65535

_BEHAVIORS: Final = {
    (False, False): "BehaviorNoChange",
    (True, False): "BehaviorIPChanged",
    (False, True): "BehaviorPortChanged",
    (True, True): "BehaviorBothChanged",
}


@dataclass(frozen=True, slots=True)
class NatKind:
    """One NAT.

    Attributes:
        nat_type: EASY, where every peer sees the same address, or HARD.
        behavior: what differs.
        is_public: there is none: an address of the machine itself was seen.
    """

    nat_type: str
    behavior: str
    is_public: bool

    def describe(self) -> str:
        """Return it for people."""
        return f"{self.nat_type} ({self.behavior}{', public network' if self.is_public else ''})"


def nat_of(mapped: Sequence[tuple[str, int]], local_ips: Collection[str]) -> NatKind:
    """Return what the addresses tell.

    Args:
        mapped: as different peers saw one socket; of one alone all are the same.
        local_ips: that the machine has itself.
    """
    ips, ports = {ip for ip, _ in mapped}, {port for _, port in mapped}
    behavior = _BEHAVIORS[len(ips) > 1, len(ports) > 1]
    return NatKind(
        nat_type=EASY if len(ips) <= 1 and len(ports) <= 1 else HARD,
        behavior=behavior,
        is_public=not ips.isdisjoint(local_ips),
    )


def read_address(text: str) -> tuple[str, int]:
    """Return host and port of ``1.2.3.4:5``.

    Raises:
        RemoteProtocolError: it is no address of IPv4 with a port.
    """
    host, _, port = text.rpartition(":")
    numbers = host.split(".")
    fits = len(numbers) == 4 and all(_is_number(number, 255) for number in numbers)
    if not fits or not _is_number(port, MAX_PORT) or int(port) == 0:
        raise RemoteProtocolError(f"not an address of IPv4: {text[:64]!r}")
    return ".".join(str(int(number)) for number in numbers), int(port)


def _is_number(text: str, most: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= most
