"""The addresses that clients say they have, before another client is told to send there."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from frpd.errors import RemoteProtocolError
from frpd.net.address import join_host_port

MAX_ADDRESSES: Final = 10
"""Of each kind; frp's clients have two that STUN servers saw and up to ten of their own."""
MAX_ADDRESS_CHARACTERS: Final = 64
MAX_PORT: Final = 65535


def check_mapped(addresses: list[str], *, trusts_loopback: bool) -> list[str]:
    """Return what STUN servers saw, in one spelling.

    Args:
        addresses: as a client told them.
        trusts_loopback: it is on this machine, and may have been seen as such.

    Raises:
        RemoteProtocolError: there are too many, or one of them is no address to send to.
    """
    if len(addresses) > MAX_ADDRESSES:
        raise RemoteProtocolError("too many addresses")
    checked = []
    for address in addresses:
        spelled = _spelled(address, trusts_loopback=trusts_loopback)
        if not spelled:
            raise RemoteProtocolError("an address that nobody can be sent to")
        checked.append(spelled)
    return checked


def check_assisted(addresses: Iterable[str], *, trusts_loopback: bool) -> list[str]:
    """Return the first addresses of its own that a client may have; others are left out."""
    return list(islice(_good(addresses, trusts_loopback=trusts_loopback), MAX_ADDRESSES))


def without_repeats(addresses: Iterable[str]) -> list[str]:
    """Return each of them once, in their order."""
    return list(dict.fromkeys(addresses))


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of an address that was checked."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _good(addresses: Iterable[str], *, trusts_loopback: bool) -> Iterator[str]:
    for address in addresses:
        spelled = _spelled(address, trusts_loopback=trusts_loopback)
        if spelled:
            yield spelled


def _spelled(address: str, *, trusts_loopback: bool) -> str:
    """Return ``ip:port`` as everybody writes it; "" if nobody can be sent there."""
    host, _, port = address[:MAX_ADDRESS_CHARACTERS].rpartition(":")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) <= MAX_PORT):
        return ""
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        return ""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return ""
    everybody = ip.is_multicast or ip.is_unspecified or host == "255.255.255.255" or "%" in host
    if everybody or (ip.is_loopback and not trusts_loopback):
        return ""
    return join_host_port(str(ip), int(port))
