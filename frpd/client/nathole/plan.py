"""What the server tells an end to do for a hole, within our bounds.

Sans sockets: where to send, in what order and how fast. What a server says may come from
anyone, so every number is bounded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from frpd.errors import RemoteProtocolError, TransportError
from frpd.proto.message.types import DetectBehavior, NatHoleResp
from frpd.proto.nat import MAX_PORT, read_address

SENDER: Final = "sender"
MAX_ADDRESSES: Final = 32
"""Of each kind; frp has at most ten."""
MAX_GUESSED_PORTS: Final = 1024
"""frp guesses about twenty beside a known one."""
MAX_RANDOM_PORTS: Final = 1000
MAX_LISTENED_PORTS: Final = 256
MAX_DELAY_SECONDS: Final = 30.0
MAX_READ_SECONDS: Final = 120.0
READ_SECONDS: Final = 5.0
"""Where the server does not say."""
FIRST_RANDOM_PORT: Final = 1024

Address: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """One end's part.

    Attributes:
        sid: names the hole.
        is_sender: we send first and end with an answer; else we answer.
        ttl: of what we send; 0 for the usual one.
        delay_seconds: before anything is sent.
        read_seconds: how long to wait for the other end afterwards.
        direct: where to send at once.
        guessed: then these, one after the other.
        random_ips: at the same time each of these at random ports,
        random_ports: so many.
        listened_ports: further sockets that send and listen too.
    """

    sid: str
    is_sender: bool
    ttl: int
    delay_seconds: float
    read_seconds: float
    direct: tuple[Address, ...]
    guessed: tuple[Address, ...]
    random_ips: tuple[str, ...]
    random_ports: int
    listened_ports: int

    def random_addresses(self, random_bytes: Callable[[int], bytes]) -> Iterator[Address]:
        """Yield every address to be tried at random."""
        for _ in range(self.random_ports):
            drawn = int.from_bytes(random_bytes(4), "big")
            port = FIRST_RANDOM_PORT + drawn % (MAX_PORT + 1 - FIRST_RANDOM_PORT)
            for ip in self.random_ips:
                yield ip, port


def plan_of(answer: NatHoleResp) -> Plan:
    """Return what an answer asks of us.

    Raises:
        TransportError: the server refused; the text is its own.
        RemoteProtocolError: the answer makes no sense.
    """
    if answer.error:
        raise TransportError(answer.error)
    candidates = _addresses(answer.candidate_addrs)
    if not candidates:
        raise RemoteProtocolError("the server names no address of the other end")
    wanted = answer.detect_behavior or DetectBehavior()
    is_sender = wanted.role == SENDER
    if is_sender:
        direct = [*_addresses(answer.assisted_addrs), *candidates]
    else:
        direct = [] if wanted.candidate_ports else candidates
    ips = tuple(dict.fromkeys(ip for ip, _ in candidates))
    return Plan(
        sid=answer.sid,
        is_sender=is_sender,
        ttl=wanted.ttl if 0 < wanted.ttl < 256 else 0,
        delay_seconds=_within(wanted.send_delay_ms / 1000, MAX_DELAY_SECONDS) if is_sender else 0.0,
        read_seconds=_within(wanted.read_timeout / 1000, MAX_READ_SECONDS) or READ_SECONDS,
        direct=tuple(dict.fromkeys(direct)),
        guessed=tuple(_guessed(ips, wanted)),
        random_ips=ips,
        random_ports=int(_within(wanted.send_random_ports, MAX_RANDOM_PORTS)),
        listened_ports=int(_within(wanted.listen_random_ports, MAX_LISTENED_PORTS))
        if not is_sender
        else 0,
    )


def _guessed(ips: Iterable[str], wanted: DetectBehavior) -> list[Address]:
    found: list[Address] = []
    for ip in ips:
        for ports in wanted.candidate_ports:
            for port in range(max(ports.from_, 1), min(ports.to, MAX_PORT) + 1):
                if len(found) >= MAX_GUESSED_PORTS:
                    return found
                found.append((ip, port))
    return found


def _addresses(texts: list[str]) -> list[Address]:
    """Return those that we can send to: nobody punches with IPv6."""
    found: list[Address] = []
    for text in texts[:MAX_ADDRESSES]:
        try:
            found.append(read_address(text))
        except RemoteProtocolError:
            continue
    return found


def _within(value: float, most: float) -> float:
    return min(max(value, 0.0), most)
