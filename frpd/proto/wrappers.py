"""What wraps the payload of a work or visitor stream: compression inside encryption.

Knows the order and nothing of the streams it is put on (frp pkg/proxy).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from frpd.proto.ciphers import StreamDecryptor, StreamEncryptor
from frpd.proto.deflate import DeflateCodec
from frpd.proto.snappy import SnappyDecoder, SnappyEncoder

if TYPE_CHECKING:
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


class CipherCodec:
    """The stream cipher in both directions.

    Args:
        key: 16 bytes of frpd.proto.ciphers.derive_key.
        iv: 16 random bytes for our direction.
    """

    __slots__ = ("_decryptor", "_encryptor")

    def __init__(self, key: bytes, iv: bytes) -> None:
        self._encryptor = StreamEncryptor(key, iv)
        self._decryptor = StreamDecryptor(key)

    def encode(self, data: Buffer) -> bytes:
        """Return ``data`` encrypted; nothing stays nothing and costs no IV."""
        return self._encryptor.encrypt(data) if data else b""

    def decode(self, data: Buffer) -> bytes:
        """Return what ``data`` decrypts to."""
        return self._decryptor.decrypt(data)


class SnappyCodec:
    """Framed snappy in both directions."""

    __slots__ = ("decode", "encode")

    def __init__(self) -> None:
        self.encode = SnappyEncoder().encode
        self.decode = SnappyDecoder().decode


def wrapper_stack(
    *, key: bytes | None, compress: bool, iv: bytes, deflate: bool = False
) -> list[StreamCodec]:
    """Return the codecs between plain data and the wire, in the order of encoding.

    Decode in reverse order.

    Args:
        key: the cipher's key; None for no encryption.
        compress: whether data is compressed.
        iv: 16 random bytes; unused without a key.
        deflate: the session compresses with deflate instead of snappy.
    """
    stack: list[StreamCodec] = []
    if compress:
        stack.append(DeflateCodec() if deflate else SnappyCodec())
    if key is not None:
        stack.append(CipherCodec(key, iv))
    return stack
