"""What peers send each other to open their NATs: a NatHoleSid, encrypted under the sk.

One datagram is an IV of 16 bytes and the message as a frame of the control stream,
enciphered as frp's streams are (frpd.proto.ciphers). Whoever answers has the sk.

Reference: frp pkg/nathole, since 0.49.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from frpd.errors import RemoteProtocolError
from frpd.proto.ciphers import IV_BYTES, StreamDecryptor, StreamEncryptor
from frpd.proto.message.codec import decode_message, encode_message
from frpd.proto.message.types import NatHoleSid

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

MAX_NONCE_CHARACTERS: Final = 19
"""A nonce of zeros gives datagrams of many lengths."""
MAX_DATAGRAM_BYTES: Final = 1024
_MIN_DATAGRAM_BYTES: Final = IV_BYTES + 9


def encode_detect(message: NatHoleSid, key: bytes, iv: bytes) -> bytes:
    """Return a message as a datagram.

    Args:
        message: what is said.
        key: of derive_key, for the sk.
        iv: 16 random bytes, never used twice.
    """
    return StreamEncryptor(key, iv).encrypt(encode_message(message))


def decode_detect(datagram: Buffer, key: bytes) -> NatHoleSid:
    """Return what a datagram says.

    Raises:
        RemoteProtocolError: it is none of these, or under another key.
    """
    if not _MIN_DATAGRAM_BYTES <= len(datagram) <= MAX_DATAGRAM_BYTES:
        raise RemoteProtocolError(f"a datagram of {len(datagram)} bytes")
    message = decode_message(StreamDecryptor(key).decrypt(datagram))
    if not isinstance(message, NatHoleSid):
        raise RemoteProtocolError(f"a {type(message).__name__} in a datagram")
    return message
