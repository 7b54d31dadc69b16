"""AccessList: which addresses may come, by networks that are allowed and networks that are not."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

MAX_REMEMBERED: Final = 4096
"""Decisions; who comes once more is decided on by a look into a table."""


class AccessList:
    """Decides about addresses; a network that is denied counts more than one that is allowed.

    Args:
        allow: networks and addresses, checked; none to allow everybody.
        deny: the same; none to deny nobody.

    Raises:
        ValueError: what stands there is no network.
    """

    __slots__ = ("_allow", "_decided", "_deny", "_is_open")

    def __init__(self, allow: Sequence[str], deny: Sequence[str] = ()) -> None:
        self._allow = [ipaddress.ip_network(one) for one in allow]
        self._deny = [ipaddress.ip_network(one) for one in deny]
        self._is_open = not (allow or deny)
        self._decided: dict[str, bool] = {}

    def admits(self, host: str) -> bool:
        """Whether who comes from there may enter.

        Args:
            host: an address, as host_of() gives it; of what is none only an open list admits.
        """
        if self._is_open:
            return True
        decision = self._decided.get(host)
        if decision is None:
            if len(self._decided) >= MAX_REMEMBERED:
                self._decided.clear()
            decision = self._decided[host] = self._decide(host)
        return decision

    def _decide(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if any(address in network for network in self._deny):
            return False
        return not self._allow or any(address in network for network in self._allow)
