"""Headers of the PROXY protocol, both versions."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from frpd.errors import RemoteProtocolError
from frpd.proto.proxy_protocol import MAX_HEADER_BYTES, Header, decode, encode
from fuzz.reading import Choices, cut

WORDS = (
    b"PROXY ",
    b"TCP4 ",
    b"TCP6 ",
    b"UNKNOWN",
    b"\r\n",
    b"::ffff:",
    b"\r\n\r\n\0\r\nQUIT\n",
    b"%",
)


def one(data: bytes) -> None:
    """Any cut finds the same header; the address in it is one, and the same there and back."""
    choices = Choices(data)
    plan = choices.byte()
    stream = choices.rest()
    whole = _read(stream, 0)
    assert whole == _read(stream, plan)
    if not isinstance(whole, Header):
        return
    assert 0 < whole.size <= min(MAX_HEADER_BYTES, len(stream))
    if whole.source is not None:
        host, port = whole.source
        ipaddress.ip_address(host)
        assert 0 <= port <= 65535
        for version in ("v1", "v2"):
            again = decode(encode(version, (host, port), (host, 1)))
            assert again is not None
            assert again.source is not None
            assert again.source[1] == port
            assert _plain(again.source[0]) == _plain(host)


def _plain(host: str) -> object:
    address = ipaddress.ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def _read(stream: bytes, plan: int) -> Header | str | None:
    held = b""
    for piece in cut(stream, plan):
        held += piece
        try:
            found = decode(held)
        except RemoteProtocolError:
            return "refused"
        if found is not None:
            return found
    return None


def seeds() -> Iterator[bytes]:
    """Yield headers of both versions and families."""
    for source in ("192.0.2.1", "2001:db8::1"):
        for version in ("v1", "v2"):
            yield b"\x05" + encode(version, (source, 4711), ("192.0.2.2", 80)) + b"GET /"
    yield b"\0PROXY UNKNOWN ffff:f...f:ffff 65535\r\n"
    yield b"\x01PROXY TCP4 1.2.3.4 01.2.3.4 0 0\r\n"
    yield b"\0\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
    yield b"\0\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8" + bytes(216)
