"""Payload that passes a session by: it keeps the books and never sees the bytes.

A run is payload that the connection will deliver next; a due is payload that
the connection must take next. Who moves the bytes (splice, most likely) only
reports how many went.
"""

from __future__ import annotations

from typing import Final

PAYLOAD_FRAME_BYTES: Final = 262144
"""A reserved frame is no longer than this: others wait for it once its header is out."""


class PayloadRun:
    """The next ``remaining`` bytes of the input are payload of this stream."""

    __slots__ = ("remaining", "stream_id")

    def __init__(self, stream_id: int, remaining: int) -> None:
        self.stream_id = stream_id
        self.remaining = remaining

    def __repr__(self) -> str:
        return f"PayloadRun({self.stream_id}, {self.remaining} bytes)"


class PayloadDue:
    """The next ``remaining`` bytes of the output are what was reserved; ``len`` says so too.

    Attributes:
        stream_id: whose payload it is; the session may have forgotten that
            stream, or know a younger one by the same number.
        remaining: bytes still to be paid; ``segment_sent`` counts it down.
        source: what ``reserve_payload`` was given: where the bytes wait.
        mark: the session's own, by which it withdraws.
    """

    __slots__ = ("mark", "remaining", "source", "stream_id")

    def __init__(self, stream_id: int, remaining: int, source: object, mark: object) -> None:
        self.stream_id = stream_id
        self.remaining = remaining
        self.source = source
        self.mark = mark

    def __len__(self) -> int:
        return self.remaining

    def __repr__(self) -> str:
        return f"PayloadDue({self.stream_id}, {self.remaining} bytes)"
