"""PortManager: which remote ports are taken, by whom, and which may be.

The error texts are frp's; its users' scripts look for them. There is one
manager per protocol: tcp and udp numbers are separate books.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from frpd.entropy import Entropy
from frpd.errors import ProxyError

REMEMBER_SECONDS = 24 * 3600.0
RANDOM_TRIES = 5
MAX_REMEMBERED = 10_000

Bound = TypeVar("Bound")


class PortChoice(Protocol):
    """The ports that may be used: a set one can draw from."""

    def __contains__(self, port: int) -> bool: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> int: ...


class PortManager:
    """Reserves ports. Loop thread only.

    Args:
        allowed: ports that proxies may use (frp's ``allow_ports``).
        entropy: for the choice of free ports.

    Attributes:
        allowed: may be replaced; ports that are taken stay so.
    """

    def __init__(self, allowed: PortChoice, entropy: Entropy) -> None:
        self.allowed = allowed
        self._entropy = entropy
        self._used: dict[int, str] = {}
        self._remembered: dict[str, tuple[int, float]] = {}

    def narrowed(self, allowed: PortChoice) -> PortManager:
        """Return one with the same book for whom fewer ports are allowed."""
        other = PortManager(allowed, self._entropy)
        other._used, other._remembered = self._used, self._remembered
        return other

    def __len__(self) -> int:
        return len(self._used)

    @property
    def used(self) -> dict[int, str]:
        """A copy of the book: port to proxy name."""
        return dict(self._used)

    def acquire(
        self,
        name: str,
        port: int,
        now: float,
        bind: Callable[[int], Bound],
        inherited: int = 0,
    ) -> tuple[int, Bound]:
        """Bind ``port``, or for 0 a free one, and enter it in the book.

        A proxy that asks for 0 gets the port it had within the last day, if
        that is still free.

        Args:
            name: the proxy.
            port: the wish.
            now: loop time.
            bind: binds a port for real; raises OSError-like TransportError or
                OSError when it cannot.
            inherited: what it had before we were started, tried first for 0.

        Raises:
            ProxyError: with frp's text.
        """
        if port:
            return port, self._bind(name, port, bind)
        first = [inherited] if inherited else []
        for candidate in first + self._random_ports(name, now):
            try:
                return candidate, self._bind(name, candidate, bind)
            except ProxyError:
                continue
        raise ProxyError("no available port")

    def release(self, port: int, now: float) -> None:
        """Take the port out of the book, but remember whose it was."""
        name = self._used.pop(port, None)
        if name is not None:
            self._remembered.pop(name, None)  # to the young end
            self._remembered[name] = (port, now)
            if len(self._remembered) > MAX_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]

    def _bind(self, name: str, port: int, bind: Callable[[int], Bound]) -> Bound:
        if not 0 < port < 65536 or port not in self.allowed:
            raise ProxyError("port not allowed")
        if port in self._used:
            raise ProxyError("port already used")
        bound = bind(port)
        self._used[port] = name
        return bound

    def _random_ports(self, name: str, now: float) -> list[int]:
        candidates: list[int] = []
        remembered = self._remembered.get(name)
        if remembered is not None and now - remembered[1] <= REMEMBER_SECONDS:
            candidates.append(remembered[0])
        for _ in range(RANDOM_TRIES if len(self.allowed) else 0):
            number = int.from_bytes(self._entropy.token_bytes(8), "big")
            candidates.append(self.allowed[number % len(self.allowed)])
        return candidates
