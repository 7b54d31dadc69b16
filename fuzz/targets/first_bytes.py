"""What a connection speaks, by its first bytes."""

from __future__ import annotations

from collections.abc import Iterator

from frpd.proto.first_bytes import MAX_PREFIX_BYTES, recognize


def one(data: bytes) -> None:
    """Once it is known no further byte changes it, and it is known in time."""
    for http in (False, True):
        known = None
        for end in range(len(data) + 1):
            now = recognize(data[:end], http=http)
            assert known is None or now is known, (data[:end], known, now)
            assert now is not None or end < MAX_PREFIX_BYTES
            known = now


def seeds() -> Iterator[bytes]:
    """Yield one of each."""
    yield from (
        b"\0\x01", b"\x16\x03\x01", b"\x17\x16", b"GET /~!frp HTTP/1.1", b"GET / HTTP/1.1",
        b"o\0\0\0", b"BASELINE-CONTROL / H", b"GET /~!fr ", b"VERSIONVERSIONVERSIONVERSION",
    )  # fmt: skip
