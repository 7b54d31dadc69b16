"""ClientBook: which clients are connected, and which were. Sans-IO: times are arguments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

MAX_OFFLINE: Final = 1000


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """One client by its run id. Times are Unix seconds.

    Attributes:
        run_id: its name; it keeps it when it reconnects.
        user: of its ini file.
        hostname: as it said.
        version: as it said.
        address: where it came from last, without a port.
        first_connected_at: its first login since this server runs.
        last_connected_at: its last login.
        disconnected_at: 0.0 while it is connected.
    """

    run_id: str
    user: str
    hostname: str
    version: str
    address: str
    first_connected_at: float
    last_connected_at: float
    disconnected_at: float = 0.0

    @property
    def is_online(self) -> bool:
        """Whether it is connected."""
        return not self.disconnected_at


class ClientBook:
    """All clients. Loop thread only.

    Args:
        max_offline: clients that are gone and still listed; whoever went first is forgotten.
    """

    def __init__(self, *, max_offline: int = MAX_OFFLINE) -> None:
        self._max_offline = max_offline
        self._online: dict[str, ClientRecord] = {}
        self._offline: dict[str, ClientRecord] = {}  # gone longest first

    def entered(
        self, run_id: str, *, user: str, hostname: str, version: str, address: str, now: float
    ) -> None:
        """A client has logged in."""
        known = self._offline.pop(run_id, None) or self._online.pop(run_id, None)
        first = now if known is None else known.first_connected_at
        self._online[run_id] = ClientRecord(run_id, user, hostname, version, address, first, now)

    def left(self, run_id: str, now: float) -> None:
        """Its session is over."""
        record = self._online.pop(run_id, None)
        if record is None:
            return
        self._offline[run_id] = replace(record, disconnected_at=now)
        if len(self._offline) > self._max_offline:
            del self._offline[next(iter(self._offline))]

    def records(self) -> Iterator[ClientRecord]:
        """Yield all of them, of those that are gone too."""
        yield from self._online.values()
        yield from self._offline.values()
