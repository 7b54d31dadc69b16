"""What wraps the payload of a work or visitor stream: compression inside encryption.

Knows the order and nothing of the streams it is put on (frp pkg/proxy).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from frpd.proto.ciphers import StreamDecryptor, StreamEncryptor
from frpd.proto.deflate import DeflateCodec

if TYPE_CHECKING:
    from collections.abc import Callable

    from frpd.proto.buffer import Buffer


class StreamCodec(Protocol):
    """Both directions of one byte stream through one transformation."""

    def encode(self, data: Buffer) -> bytes:
        """Return the outgoing bytes for ``data``, all of them; b"" for b""."""

    def decode(self, data: Buffer) -> bytes:
        """Return the bytes that incoming ``data`` completes, maybe none.

        Raises:
            RemoteProtocolError: the peer sent something illegal.
        """

    def finish(self) -> bytes:
        """Return what ends our direction, maybe nothing; encode nothing afterwards."""

    def receive_eof(self) -> None:
        """Check, at the end of the peer's direction, that it is the true one.

        Raises:
            RemoteProtocolError: the stream was cut short.
        """


class EndlessCodec:
    """The part of a StreamCodec whose format has no mark for the end."""

    __slots__ = ()

    def finish(self) -> bytes:
        """Nothing tells the end."""
        return b""

    def receive_eof(self) -> None:
        """Any end may be the true one."""


class CipherCodec(EndlessCodec):
    """The stream cipher in both directions.

    Args:
        key: 16 bytes of frpd.proto.ciphers.derive_key.
        iv: 16 random bytes for our direction.
        check_iv: called once with the peer's IV, before anything is handed on;
            may raise RemoteProtocolError.
    """

    __slots__ = ("_check_iv", "_decryptor", "_encryptor")

    def __init__(
        self, key: bytes, iv: bytes, check_iv: Callable[[bytes], None] | None = None
    ) -> None:
        self._encryptor = StreamEncryptor(key, iv)
        self._decryptor = StreamDecryptor(key)
        self._check_iv = check_iv

    def encode(self, data: Buffer) -> bytes:
        """Return ``data`` encrypted; nothing stays nothing and costs no IV."""
        return self._encryptor.encrypt(data) if data else b""

    def decode(self, data: Buffer) -> bytes:
        """Return what ``data`` decrypts to."""
        plain = self._decryptor.decrypt(data)
        if self._check_iv is not None and (iv := self._decryptor.iv) is not None:
            check, self._check_iv = self._check_iv, None
            check(iv)
        return plain


class SnappyCodec(EndlessCodec):
    """Framed snappy in both directions."""

    __slots__ = ("decode", "encode")

    def __init__(self) -> None:
        # Late: between two frpd ends deflate compresses, and crc32c takes 30 ms of a start.
        from frpd.proto.snappy import SnappyDecoder, SnappyEncoder  # noqa: PLC0415

        self.encode = SnappyEncoder().encode
        self.decode = SnappyDecoder().decode


def wrapper_stack(
    *,
    key: bytes | None,
    compress: bool,
    iv: bytes,
    deflate: bool = False,
    sealed: StreamCodec | None = None,
) -> list[StreamCodec]:
    """Return the codecs between plain data and the wire, in the order of encoding.

    Decode in reverse order.

    Args:
        key: the cipher's key; None for no encryption.
        compress: whether data is compressed.
        iv: 16 random bytes; unused without a key.
        deflate: the session compresses with deflate instead of snappy.
        sealed: takes the cipher's place.
    """
    stack: list[StreamCodec] = []
    if compress:
        stack.append(DeflateCodec() if deflate else SnappyCodec())
    if sealed is not None:
        stack.append(sealed)
    elif key is not None:
        stack.append(CipherCodec(key, iv))
    return stack
