"""Which part limits a connection that does not get on: pure judging, on what was measured twice.

frpd reads from one side only what the other side takes. So what is left unsent points at
whom it is for, and what is left unread points further on, along the trunk between frps and frpc.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from frpd.cli.doctor.finding import Finding, fault, ok
from frpd.cli.doctor.sockets import SocketFacts

SLOW_BYTES_PER_SECOND: Final = 64 * 1024
"""A queue that drains slower than this is a fault."""
WINDOW_SHARE: Final = 0.5
BUSY_CPU: Final = 0.9
SHOWN: Final = 5


class Limit(enum.Enum):
    """Why a connection sends no faster."""

    WINDOW = "the peer's window"
    NETWORK = "the network"


@dataclass(frozen=True, slots=True)
class Link:
    """One TCP connection, measured twice."""

    before: SocketFacts
    after: SocketFacts

    def sends_slowly(self, seconds: float) -> bool:
        """Whether bytes wait to be sent, and hardly any are taken."""
        waits = min(self.before.unsent, self.after.unsent) > 0
        return waits and self.after.acked - self.before.acked < SLOW_BYTES_PER_SECOND * seconds

    def is_read_slowly(self, seconds: float) -> bool:
        """Whether the daemon leaves bytes unread, and hardly any come."""
        waits = min(self.before.unread, self.after.unread) > 0
        return (
            waits and self.after.received - self.before.received < SLOW_BYTES_PER_SECOND * seconds
        )

    def limit(self) -> Limit:
        """Return what holds up the bytes that wait to be sent."""
        busy = self.after.busy_us - self.before.busy_us
        held = self.after.window_us - self.before.window_us
        if self.after.window_probes or (busy > 0 and held >= WINDOW_SHARE * busy):
            return Limit.WINDOW
        return Limit.NETWORK

    def network(self) -> str:
        """Return what there is to say about the network."""
        again = self.after.retransmits - self.before.retransmits
        return f"round trip {self.after.rtt_us / 1000:.0f} ms, {again} segments sent again"


@dataclass(frozen=True, slots=True)
class Flow:
    """A connection of a proxy.

    Attributes:
        proxy: its name.
        near: frps: with the visitor; frpc: with the local service.
        trunk: between frps and frpc, as far as it is known.
    """

    proxy: str
    near: Link
    trunk: Link | None = None

    @property
    def peer(self) -> str:
        """Whom near leads to."""
        host, port = self.near.after.remote
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def judge_flows(
    program: str, flows: Sequence[Flow], seconds: float, cpu_share: float | None
) -> Iterator[Finding]:
    """Judge the connections that run.

    Args:
        program: ``frps`` or ``frpc``.
        flows: what was measured.
        seconds: between the two times.
        cpu_share: of one CPU that the daemon has used meanwhile; None if that is not known.
    """
    if cpu_share is not None and cpu_share >= BUSY_CPU:
        yield fault(
            f"the CPU limits: {program} uses {cpu_share:.0%} of one",
            "give it a faster CPU, or spread the proxies over several frps or frpc",
        )
    judge = _at_server if program == "frps" else _at_client
    held = [finding for flow in flows if (finding := judge(flow, seconds)) is not None]
    yield from held[:SHOWN]
    if len(held) > SHOWN:
        yield fault(f"{len(held) - SHOWN} more connections are held up", "begin with those above")
    if not held:
        yield ok(f"{len(flows)} connections run, and none is held up")


def _at_server(flow: Flow, seconds: float) -> Finding | None:
    near, trunk = flow.near, flow.trunk
    who = f"a visitor of proxy {flow.proxy} ({flow.peer}) is slow"
    if near.sends_slowly(seconds):
        if near.limit() is Limit.WINDOW:
            return fault(
                f"{who}: its own window limits, since it does not read what it gets",
                "look at the visitor's program and machine; nothing here holds it up, and it"
                " holds up nobody else",
            )
        return fault(
            f"{who}: the network between it and frps limits ({near.network()})",
            "look for loss and congestion on that way, such as with mtr, and at bandwidth limits",
        )
    if near.is_read_slowly(seconds):
        if trunk is not None and trunk.sends_slowly(seconds):
            return _trunk(who, trunk, "frpc")
        return fault(
            f"{who}: the local service limits, since it does not read what the visitor sends",
            "look at the local service and its machine, and ask the doctor on frpc's side",
        )
    return None


def _at_client(flow: Flow, seconds: float) -> Finding | None:
    near, trunk = flow.near, flow.trunk
    who = f"a connection of proxy {flow.proxy} is slow"
    if near.sends_slowly(seconds):
        return fault(
            f"{who}: the local service {flow.peer} limits, since it does not read what it gets",
            "look at the local service and its machine",
        )
    if near.is_read_slowly(seconds):
        if trunk is not None and trunk.sends_slowly(seconds):
            return _trunk(who, trunk, "frps")
        return fault(
            f"{who}: the visitor limits, or the way to it, since frps takes no more",
            "ask the doctor on frps' side, which sees the visitor",
        )
    return None


def _trunk(who: str, trunk: Link, peer: str) -> Finding:
    if trunk.limit() is Limit.WINDOW:
        return fault(
            f"{who}: {peer} limits, since it reads too slowly from its own connection",
            f"look at the CPU and memory of {peer}'s machine",
        )
    return fault(
        f"{who}: the network between frps and frpc limits ({trunk.network()})",
        "look for loss and congestion on that way, such as with mtr, and at bandwidth limits",
    )
