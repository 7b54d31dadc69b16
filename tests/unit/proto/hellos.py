"""ClientHellos: recorded ones of tests/data/tls, and a builder for what no client sends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FOLDER = Path(__file__).parents[2] / "data" / "tls"

NAMES = {
    "curl": "curl.example.test",
    "go_post_quantum": "go.example.test",
    "openssl_groups": "groups.example.test",
    "openssl_large_key_share": "large.example.test",
    "openssl_no_name": "",
    "openssl_odd_name": "-odd_.name-.example.test",
    "openssl_tls10": "old.example.test",
    "openssl_tls10_no_name": "",
    "openssl_tls11": "eleven.example.test",
    "openssl_tls12": "twelve.example.test",
    "openssl_tls13": "thirteen.example.test",
    "python_address": "",
    "python_default": "python.example.test",
    "python_idn": "xn--bcher-kva.example.test",
}
"""Every recorded hello, and the server name in it."""

SERVER_NAME = 0
GREASE = 0x0A0A
GREASE_2 = 0xFAFA
ECH = 0xFE0D
KEY_SHARE = 51


def recorded(name: str) -> bytes:
    return bytes.fromhex((FOLDER / f"{name}.hex").read_text(encoding="ascii"))


def vector(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width) + data


def names(*entries: tuple[int, bytes]) -> tuple[int, bytes]:
    """Return a server_name extension of (type, name) pairs."""
    return SERVER_NAME, vector(2, b"".join(bytes((kind,)) + vector(2, n) for kind, n in entries))


def sni(host: bytes) -> tuple[int, bytes]:
    return names((0, host))


def hello(
    extensions: Iterable[tuple[int, bytes]] | None = (),
    *,
    version: int = 0x0303,
    session_id: bytes = b"",
    ciphers: bytes = b"\x0a\x0a\x13\x01",
    compression: bytes = b"\x00",
    behind: bytes = b"",
) -> bytes:
    """Return a ClientHello message without records; None: it ends where extensions would start."""
    body = version.to_bytes(2) + bytes(range(32))
    body += vector(1, session_id) + vector(2, ciphers) + vector(1, compression)
    if extensions is not None:
        body += vector(2, b"".join(kind.to_bytes(2) + vector(2, e) for kind, e in extensions))
    return b"\x01" + vector(3, body + behind)


def record(payload: bytes, *, kind: int = 22, version: int = 0x0301) -> bytes:
    return bytes((kind,)) + version.to_bytes(2) + vector(2, payload)


def records(message: bytes, sizes: Sequence[int] = (), version: int = 0x0301) -> bytes:
    """Return ``message`` in records of ``sizes``, the rest in as few as it takes."""
    parts: list[bytes] = []
    position = 0
    for size in sizes:
        if position < len(message):
            parts.append(message[position : position + size])
            position += size
    parts += (message[start : start + 16384] for start in range(position, len(message), 16384))
    return b"".join(record(part, version=version) for part in parts)


def message_of(raw: bytes) -> bytes:
    """Return the handshake message in records."""
    message = b""
    while raw:
        end = 5 + int.from_bytes(raw[3:5])
        message += raw[5:end]
        raw = raw[end:]
    return message
