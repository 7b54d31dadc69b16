"""Bytes received and not yet understood: bounded, read once, given up on demand.

Knows no protocol. A bytearray drops its front in constant amortised time
(CPython moves its start and copies only when half of it is free), so there is
no index to keep and nothing is scanned twice.
"""

from __future__ import annotations

from typing import TypeAlias

from frpd.errors import LimitError

Buffer: TypeAlias = bytes | bytearray | memoryview


class ReceiveBuffer:
    """A queue of bytes that never holds more than ``limit_bytes``.

    Args:
        limit_bytes: the most bytes held at once.
    """

    __slots__ = ("_data", "_limit_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self._data = bytearray()
        self._limit_bytes = limit_bytes

    def __len__(self) -> int:
        return len(self._data)

    def extend(self, data: Buffer) -> None:
        """Append a copy of ``data``, which is a flat buffer of bytes.

        Raises:
            LimitError: the buffer would pass its limit; it is left as it was.
        """
        if len(self._data) + len(data) > self._limit_bytes:
            raise LimitError(f"more than {self._limit_bytes} bytes would have to be buffered")
        self._data += data

    def peek(self, count: int) -> bytes:
        """Return at most ``count`` bytes from the front and leave them there."""
        return bytes(self._data[:count])

    def take(self, count: int) -> bytes:
        """Remove and return at most ``count`` bytes from the front."""
        taken = bytes(self._data[:count])
        del self._data[:count]
        return taken

    def take_all(self) -> bytes:
        """Remove and return everything."""
        taken = bytes(self._data)
        self._data.clear()
        return taken
