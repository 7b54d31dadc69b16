"""ClientGuard: who may come as a client, by address, before a byte of his is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from frpd.config.server import ServerConfig
from frpd.net.access_list import AccessList
from frpd.server.guard.penalties import Offence, Penalties
from frpd.server.guard.rates import SourceRates
from frpd.server.guard.sources import source_of

PENALTY: Final = "penalty"
ACCESS: Final = "access"
RATE: Final = "rate"


class ClientGuard:
    """Turns clients away, and remembers what they did. Loop thread only.

    Args:
        now: the loop's time.
        config: of the server.

    Attributes:
        penalties: what is held against whom.
    """

    def __init__(self, now: Callable[[], float], config: ServerConfig) -> None:
        self.penalties = Penalties()
        self._now = now
        self._rates = SourceRates()
        self._refused = dict.fromkeys((PENALTY, ACCESS, RATE), 0)
        self._hosts: Counter[str] = Counter()  # of clients that are logged in
        self._homes: Counter[str] = Counter()  # their sources
        self.use(config)

    def use(self, config: ServerConfig) -> None:
        """Decide by these from now on."""
        self._size = config.per_source_net_block_size
        exempt = config.per_source_penalty_exempt_list
        self._exempt = AccessList(exempt) if exempt else None
        self.penalties.use(config.per_source_penalties, self._size, exempt)
        self._access = AccessList(config.allow_cidrs, config.deny_cidrs)
        self._rates.use(config.max_connection_rate_per_source)
        self._homes.clear()
        for host, clients in self._hosts.items():
            self._homes[self.source_of(host)] += clients

    @property
    def refused(self) -> Mapping[str, int]:
        """How many connections were turned away, by reason; a copy."""
        return dict(self._refused)

    def source_of(self, host: str) -> str:
        """Return whom an address counts for."""
        return source_of(host, self._size)

    def turns_away(self, host: str, *, is_proven: bool = True) -> bool:
        """Whether a client from there is not taken; then nothing more is to be said of it.

        Args:
            host: as host_of() gives it.
            is_proven: it is known to be there: nobody can have written that address himself.
        """
        if self.penalties.refused(host, self._now()) and self.source_of(host) not in self._homes:
            self._refused[PENALTY] += 1
            return True
        if self.bars(host):
            if is_proven:
                self.accuse(host, Offence.REFUSECONNECTION)
            return True
        return False

    def bars(self, host: str) -> bool:
        """Whether the lists have it that nobody comes from there."""
        if self._access.admits(host):
            return False
        self._refused[ACCESS] += 1
        return True

    def is_too_fast(self, host: str) -> bool:
        """Whether there come too many connections from there, this one included."""
        if not self._rates.is_on or (self._exempt is not None and self._exempt.admits(host)):
            return False
        if self._rates.admits(self.source_of(host), self._now()):
            return False
        self._refused[RATE] += 1
        self.accuse(host, Offence.REFUSECONNECTION)
        return True

    def accuse(self, host: str, offence: Offence) -> None:
        """Hold something against an address; only when it is proven that it is its own."""
        self.penalties.offend(host, offence, self._now())

    def entered(self, host: str) -> None:
        """A client from there has logged in."""
        self._hosts[host] += 1
        self._homes[self.source_of(host)] += 1

    def left(self, host: str) -> None:
        """Its session is over."""
        for counter, name in ((self._hosts, host), (self._homes, self.source_of(host))):
            counter[name] -= 1
            if not counter[name]:
                del counter[name]
