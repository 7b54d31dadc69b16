"""Whether the server's name can be looked up, and whether anybody answers at its address."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Final

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Finding, fault, ok
from frpd.cli.doctor.own_loop import Dialed, OwnLoop, Place
from frpd.config.client import ClientConfig
from frpd.net.address import join_host_port, literal_family
from frpd.net.resolver import Addresses

LOOKUP_SECONDS: Final = 4.0
DIAL_SECONDS: Final = 4.0
SHOWN_ADDRESSES: Final = 3
BY_UDP: Final = {"kcp": "kcp_bind_port", "quic": "quic_bind_port"}
"""Protocols that no TCP connection tells about, and what frps calls their ports."""

_NO_ROUTE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL})
_FORBIDDEN: Final = frozenset({errno.EPERM, errno.EACCES})


def next_hop(common: ClientConfig) -> tuple[str, int]:
    """Return whom frpc dials: the proxy on the way, if there is one."""
    if common.upstream is not None:
        return common.upstream.host, common.upstream.port
    return common.server_addr, common.server_port


def check_dns(case: Case) -> Iterable[Finding]:
    """Look up whom frpc dials."""
    if case.client is None:
        return
    common = case.client.common
    host, port = next_hop(common)
    if literal_family(host) is not None:
        return
    with OwnLoop(common.dns_server) as own:
        answer = own.look_up(host, port, case.seconds(LOOKUP_SECONDS))
    case.can_reach = not isinstance(answer, str)
    yield judge_lookup(host, answer, common.dns_server)


def judge_lookup(host: str, answer: Addresses | str, nameserver: str) -> Finding:
    """Judge what the look-up of a name has brought: addresses, or the reason for none."""
    if not isinstance(answer, str) and answer:
        found = list(dict.fromkeys(address[0] for _, address in answer))
        more = f" and {len(found) - SHOWN_ADDRESSES} more" if len(found) > SHOWN_ADDRESSES else ""
        return ok(f"{host} is {', '.join(found[:SHOWN_ADDRESSES])}{more}")
    reason = answer if isinstance(answer, str) else "no address"
    if nameserver:
        remedy = (
            f"check the name in server_addr, and that the DNS server {nameserver} of dns_server"
            " answers, or remove dns_server to use the system's"
        )
    else:
        remedy = (
            "check the name in server_addr and the DNS servers in /etc/resolv.conf, or give the"
            " server's IP address in server_addr"
        )
    return fault(f"DNS fails: the name {host} cannot be looked up ({reason})", remedy)


def check_reach(case: Case) -> Iterable[Finding]:
    """Connect to whom frpc dials; by UDP only a login tells whether somebody is there."""
    if case.client is None or not case.can_reach:
        return
    common = case.client.common
    if common.protocol in BY_UDP:
        return
    host, port = next_hop(common)
    with OwnLoop(common.dns_server) as own:
        (outcome,) = own.dial(
            [Place(host, port)],
            case.seconds(DIAL_SECONDS),
            local_ip=common.connect_server_local_ip,
        )
    case.can_reach = not outcome.error
    yield judge_dial(join_host_port(host, port), outcome)


def judge_dial(where: str, outcome: Dialed) -> Finding:
    """Judge a TCP connection to whom frpc dials."""
    error, code = outcome
    if not error:
        return ok(f"{where} takes TCP connections")
    if code == errno.ECONNREFUSED:
        return fault(
            f"{where} refuses connections: the machine is there, and nothing listens on that port",
            "start frps there, and check server_addr and server_port against its bind_port",
        )
    if code == errno.ETIMEDOUT:
        return fault(
            f"{where} does not answer at all: a firewall on the way drops the packets silently,"
            " or no machine has that address",
            "let TCP to that port pass in the firewalls of both machines and of the server's"
            " provider, and check server_addr",
        )
    if code in _NO_ROUTE:
        return fault(
            f"there is no way to {where} ({error})",
            "check this machine's network: its addresses and routes (ip address, ip route),"
            " and connect_server_local_ip if it is set",
        )
    if code in _FORBIDDEN:
        return fault(
            f"this machine itself forbids the connection to {where} ({error})",
            "let TCP to that port pass in this machine's own firewall",
        )
    return fault(
        f"{where} cannot be reached ({error})",
        "check server_addr, server_port and the network between the two machines",
    )
