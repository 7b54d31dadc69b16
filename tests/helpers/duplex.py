"""Somebody who reads and writes one endpoint at the same time, as a relay does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frpd.errors import ConnectionLost
from frpd.net.endpoint import Outcome

if TYPE_CHECKING:
    from frpd.net.endpoint import Endpoint


class Duplex:
    """Writes all of its data, ends its direction if told to, and reads to the end.

    Attributes:
        end: "eof", or why the reading was lost; "" as long as neither.
        lost: why the writing was.
        blocked: how often a write took nothing.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        data: bytes = b"",
        *,
        shut: bool = False,
        piece: int = 256 * 1024,
        reads: bool = True,
    ) -> None:
        self.endpoint = endpoint
        self._got = bytearray()
        self.end = ""
        self.lost = ""
        self.blocked = 0
        self._left = memoryview(data)
        self._shut = shut
        self._piece = piece
        self._reads = reads
        self._writes = bool(data) or shut
        self._watch()

    def resume(self) -> None:
        """Read from now on."""
        self._reads = True
        self._watch()

    def send(self, data: bytes) -> None:
        """Write this too."""
        self._left = memoryview(bytes(self._left) + data)
        self._writes = True
        self._watch()

    @property
    def got(self) -> bytes:
        """Return a copy of all that was read."""
        return bytes(self._got)

    @property
    def is_sent(self) -> bool:
        """Whether the endpoint has taken all."""
        return not self._writes

    def _watch(self) -> None:
        self.endpoint.watch(
            self._readable if self._reads and not self.end else None,
            self._writable if self._writes else None,
        )

    def _readable(self) -> None:
        try:
            data = self.endpoint.read(128 * 1024)
        except ConnectionLost as error:
            self.end = str(error)
        else:
            if data is Outcome.EOF:
                self.end = "eof"
            elif not isinstance(data, Outcome):
                self._got += data
                return
        if self.end:
            self._watch()

    def _writable(self) -> None:
        try:
            while self._left:
                taken = self.endpoint.write(self._left[: self._piece])
                self._left = self._left[taken:]
                if not taken:
                    self.blocked += 1
                    return
        except ConnectionLost as error:
            self.lost = str(error)
            self._left = memoryview(b"")
        self._writes = False
        if self._shut and not self.lost:
            self.endpoint.shutdown_write()
        self._watch()
