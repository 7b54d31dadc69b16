"""The answer of an HTTP proxy to our CONNECT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from frpd.errors import RemoteProtocolError
from frpd.proto.http.basic import parse_basic
from frpd.proto.http_connect import MAX_REASON_CHARS, HttpConnectClient
from fuzz.reading import Choices, cut

WORDS = (
    b"HTTP/1.1 ",
    b"200",
    b"407",
    b"Proxy-Authenticate: ",
    b"Basic ",
    b"\r\n",
    b"\n\n",
    b"\n\r\n",
)


def one(data: bytes) -> None:
    """Any cut gives the same answer and the same bytes behind it; refusals can be told."""
    choices = Choices(data)
    plan = choices.byte()
    stream = choices.rest()
    assert _read(stream, 0) == _read(stream, plan)
    with suppress(UnicodeDecodeError):
        parse_basic(stream.decode())


def _read(stream: bytes, plan: int) -> tuple[object, ...]:
    client = HttpConnectClient("a.example", 443, (b"user", b"password"))
    assert client.data_to_send()
    try:
        for piece in cut(stream, plan):
            client.receive_data(piece)
    except RemoteProtocolError:
        return ("refused",)
    if client.answer is not None:
        assert 100 <= client.answer.status <= 999
        assert len(client.answer.reason) <= MAX_REASON_CHARS
        assert client.is_ready or client.refusal
    return client.answer, client.refusal, client.take_rest()


def seeds() -> Iterator[bytes]:
    """Yield answers of real proxies."""
    for text in (
        b"HTTP/1.1 200 Connection established\r\n\r\nSSH-2.0",
        b"HTTP/1.0 407 No\nProxy-Authenticate: Basic realm=x\nProxy-Authenticate: Digest\n\n",
        b"HTTP/1.1 502 caf\xc3\xa9\r\nX: y\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
    ):
        yield b"\0" + text
        yield b"\x01" + text
