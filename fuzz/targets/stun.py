"""Answers of STUN servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from frpd.errors import RemoteProtocolError
from frpd.proto.nat import nat_of, read_address
from frpd.proto.stun import BINDING_SUCCESS, COOKIE, read_answer
from fuzz.reading import Choices

_TRANSACTION = bytes(range(12))


def one(data: bytes) -> None:
    """Only RemoteProtocolError comes out; what is an address is one that can be sent to."""
    choices = Choices(data)
    form = choices.byte()
    body = choices.rest()
    if form & 1:
        head = BINDING_SUCCESS.to_bytes(2, "big") + len(body).to_bytes(2, "big")
        body = head + COOKIE.to_bytes(4, "big") + _TRANSACTION + body
    with suppress(RemoteProtocolError):
        answer = read_answer(body, _TRANSACTION)
        for address in (answer.mapped, answer.other) if answer is not None else ():
            if address is not None:
                assert read_address(f"{address[0]}:{address[1]}") == address
                nat_of([address], ["192.0.2.1"])


def seeds() -> Iterator[bytes]:
    """Yield answers with addresses of each kind, and a refusal."""
    xored = b"\0\x20\0\x08\0\x01\x12\x34\x21\x12\xa4\x43"
    other = b"\x80\x2c\0\x08\0\x01\x0d\x96\xc0\0\x02\x01"
    yield b"\x01" + xored + other
    yield b"\x01\0\x01\0\x08\0\x01\x12\x34\xc0\0\x02\x01\0\x05\0\x08\0\x01\0\0\0\0\0\0"
    yield b"\x01\x80\x22\0\x05hello\0\0\0" + xored
    head = b"\x01\x11\0\x08" + COOKIE.to_bytes(4, "big") + _TRANSACTION
    yield b"\0" + head + b"\0\x09\0\x04\0\0\x04\x01"
