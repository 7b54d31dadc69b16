"""How two clients may try to reach each other: frp's table of behaviours, and what suits whom.

A mode is a list of pairs (owner, visitor). Which of the two is behind the harder NAT decides
whether a pair is exchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from frpd.proto.message.types import DetectBehavior, PortsRange
from frpd.server.nathole.classify import NatFeature

SENDER: Final = "sender"
RECEIVER: Final = "receiver"

READ_MS: Final = 5_000
RANDOM_PORTS_READ_MS: Final = 30_000
"""Longer, as a thousand ports take their time."""
NEAR_PORTS: Final = 5
MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one end does.

    Attributes:
        delay_ms: before it sends.
        ttl: of what it sends first; 0 for the usual one.
        near_ports: around the peer's last port, to be tried too.
        random_ports: of the peer's, to be tried too.
        listen_ports: further sockets that it sends from.
    """

    role: str
    delay_ms: int = 0
    ttl: int = 0
    near_ports: int = 0
    random_ports: int = 0
    listen_ports: int = 0


Pair: TypeAlias = tuple[Behaviour, Behaviour]
Choice: TypeAlias = tuple[int, int]
"""Mode and index into it."""

_SENDS: Final = Behaviour(SENDER)
_RECEIVES: Final = Behaviour(RECEIVER)
_TTLS: Final = (7, 4, 0)


def _exchanged(pair: Pair) -> Pair:
    return pair[1], pair[0]


def _easy() -> Iterator[Pair]:
    for ttl in _TTLS:
        pair = _SENDS, replace(_RECEIVES, ttl=ttl)
        yield from (pair, _exchanged(pair))
    late = [(replace(_SENDS, delay_ms=delay), _RECEIVES) for delay in (5_000, 10_000)]
    yield from late
    yield from map(_exchanged, late)


def _regular() -> Iterator[Pair]:
    for ttl in _TTLS:
        for delay in (0, 2_000):
            yield replace(_SENDS, delay_ms=delay), replace(_RECEIVES, ttl=ttl, near_ports=10)


def _irregular(near_ports: int) -> Iterator[Pair]:
    sends = replace(_SENDS, random_ports=1_000, delay_ms=3_000)
    for ttl in _TTLS:
        yield sends, replace(_RECEIVES, listen_ports=256, ttl=ttl, near_ports=near_ports)


def _both_regular() -> Iterator[Pair]:
    sends = replace(_SENDS, near_ports=10)
    pairs = [(sends, replace(_RECEIVES, ttl=ttl, near_ports=10)) for ttl in _TTLS]
    yield from pairs
    yield from map(_exchanged, pairs)


MODES: Final[tuple[tuple[Pair, ...], ...]] = (
    tuple(_easy()),
    tuple(_regular()),
    tuple(_irregular(near_ports=0)),
    tuple(_both_regular()),
    tuple(_irregular(near_ports=2)),
)


def first_scores(owner: NatFeature, visitor: NatFeature) -> dict[Choice, int]:
    """Return what may help these two, in frp's order, each with the score it begins with."""
    hard = owner.is_hard + visitor.is_hard
    regular = owner.is_regular + visitor.is_regular
    start = 0
    if hard == 0:
        modes = [0]
    elif hard == 1:
        modes = [1, 2, 0] if regular else [2, 1, 0]
    elif regular:
        modes = [3, 4] if regular == 2 else [4]
    else:
        modes, start = [0, 1, 3], 1
    asks_public = hard < 2
    scores: dict[Choice, int] = {}
    for mode in modes:
        for index, (first, _) in enumerate(MODES[mode]):
            favoured = asks_public and mode == 0 and _suits(first, owner, visitor)
            scores[mode, index] = start + favoured
    return scores


def _suits(first: Behaviour, owner: NatFeature, visitor: NatFeature) -> bool:
    """Whether who can be reached from anywhere is the receiver."""
    if owner.is_public:
        return first.role == RECEIVER
    return visitor.is_public and first.role == SENDER


def behaviours(choice: Choice, owner: NatFeature, visitor: NatFeature) -> Pair:
    """Return what the owner does, and what the visitor."""
    mode, index = choice
    pair = MODES[mode][index]
    exchanges = {
        1: not owner.is_hard,  # who is hard sends
        2: owner.is_hard,  # who is hard receives
        4: not owner.is_regular,  # who is regular sends
    }
    return _exchanged(pair) if exchanges.get(mode, False) else pair


def instructions(
    mode: int, own: Behaviour, peers: Behaviour, peer: NatFeature, peer_port: int
) -> DetectBehavior:
    """Return what one end is told to do.

    Args:
        mode: that both were found in.
        own: its part.
        peers: the other one's.
        peer: the other one's NAT.
        peer_port: of the address that the other one was seen with last.
    """
    read_ms = max(own.delay_ms, peers.delay_ms) + READ_MS
    if own.listen_ports or peers.listen_ports:
        read_ms += RANDOM_PORTS_READ_MS
    return DetectBehavior(
        role=own.role,
        mode=mode,
        ttl=own.ttl,
        send_delay_ms=own.delay_ms,
        read_timeout=read_ms - own.delay_ms,
        candidate_ports=_near(peer_port, peer.ports_difference, own.near_ports),
        send_random_ports=own.random_ports,
        listen_random_ports=own.listen_ports,
    )


def _near(port: int, difference: int, most: int) -> list[PortsRange]:
    if not most:
        return []
    reach = min(difference + NEAR_PORTS, most)
    return [PortsRange(from_=max(port - reach, 1), to=min(port + reach, MAX_PORT))]
