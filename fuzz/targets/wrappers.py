"""The stream cipher of Go frp, and what wraps work streams: compression inside encryption."""

from __future__ import annotations

from collections.abc import Iterator

from frpd.errors import RemoteProtocolError
from frpd.proto.ciphers import IV_BYTES, StreamDecryptor, StreamEncryptor
from frpd.proto.wrappers import StreamCodec, wrapper_stack
from fuzz.reading import Choices, cut, read, same_bytes

_KEY = bytes(range(16))
_IV = bytes(range(16, 32))


def one(data: bytes) -> None:
    """Any cut decrypts alike; what one end wraps the other unwraps; noise only refuses."""
    choices = Choices(data)
    plan, form = choices.byte(), choices.byte()
    rest = choices.rest()
    whole, pieces = StreamDecryptor(_KEY), StreamDecryptor(_KEY)
    plain = whole.decrypt(rest)
    assert plain == b"".join(map(pieces.decrypt, cut(rest, plan)))
    assert len(plain) == max(0, len(rest) - IV_BYTES)
    if len(rest) > IV_BYTES:
        assert StreamEncryptor(_KEY, rest[:IV_BYTES]).encrypt(plain) == rest
    _wrap(rest, plan, form)


def _wrap(rest: bytes, plan: int, form: int) -> None:
    sender, receiver = _stack(form), _stack(form)
    wire = b"".join(_encode(sender, piece) for piece in cut(rest, plan))
    assert b"".join(_decode(receiver, piece) for piece in cut(wire, form)) == rest
    noisy, noisy_too = _stack(form), _stack(form)
    same_bytes(
        read(lambda piece: (_decode(noisy, piece),), cut(rest, 0)),
        read(lambda piece: (_decode(noisy_too, piece),), cut(rest, plan)),
    )


def _stack(form: int) -> list[StreamCodec]:
    return wrapper_stack(
        key=_KEY if form & 1 else None, compress=bool(form & 2), iv=_IV, deflate=bool(form & 4)
    )


def _encode(stack: list[StreamCodec], data: bytes) -> bytes:
    for codec in stack:
        data = codec.encode(data)
    return data


def _decode(stack: list[StreamCodec], data: bytes) -> bytes:
    for codec in reversed(stack):
        data = codec.decode(data)
    return data


def seeds() -> Iterator[bytes]:
    """Yield every stack with something in it."""
    for form in range(8):
        yield bytes((form * 3, form)) + b"hello, hello, hello, hello, hello"
        wire = b"".join(_encode(_stack(form), b"hello, hello, hello, hello") for _ in range(1))
        yield bytes((form, form)) + wire
    assert issubclass(RemoteProtocolError, Exception)
