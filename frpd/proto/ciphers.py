"""The stream cipher of Go frp: AES-128 in full-block CFB, unauthenticated.

One keystream per direction, its random IV in clear ahead of the first byte
(golib crypto). The key comes from the token, or from the sk between a visitor
and its owner. The caller draws the IV: nothing here is random.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
    from cryptography.hazmat.primitives.ciphers.modes import CFB

    from frpd.proto.buffer import Buffer

IV_BYTES: Final = 16

_SALT: Final = b"frp"  # not the library's default "crypto": frp replaces that at start
_ITERATIONS: Final = 64
_KEY_BYTES: Final = 16


def derive_key(secret: str | bytes) -> bytes:
    """Return the 16-byte key of a token or sk, which may be empty.

    A str that came from a file may hold surrogates for bytes that are not
    UTF-8; they count as those bytes.
    """
    password = secret.encode("utf-8", "surrogateescape") if isinstance(secret, str) else secret
    return hashlib.pbkdf2_hmac("sha1", password, _SALT, _ITERATIONS, _KEY_BYTES)


def _cipher(key: bytes, iv: bytes) -> Cipher[CFB]:
    # Late: a sealed session needs none, and the library takes 20 ms of a start.
    from cryptography.hazmat.primitives.ciphers import Cipher  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.ciphers.algorithms import AES  # noqa: PLC0415 - as above

    try:
        from cryptography.hazmat.decrepit.ciphers.modes import CFB  # noqa: PLC0415 - as above
    except ImportError:  # before cryptography 46; Debian 12 has 38
        from cryptography.hazmat.primitives.ciphers.modes import CFB  # noqa: PLC0415 - as above
    return Cipher(AES(key), CFB(iv))


class StreamEncryptor:
    """One direction, outgoing.

    Args:
        key: 16 bytes of derive_key.
        iv: 16 random bytes, never used twice.
    """

    __slots__ = ("_encryptor", "_iv")

    def __init__(self, key: bytes, iv: bytes) -> None:
        self._encryptor = _cipher(key, iv).encryptor()
        self._iv = iv

    def encrypt(self, data: Buffer) -> bytes:
        """Return ``data`` encrypted; the first call, even an empty one, puts the IV ahead."""
        if self._iv:
            iv, self._iv = self._iv, b""
            return iv + self._encryptor.update(data)
        return self._encryptor.update(data)


class StreamDecryptor:
    """One direction, incoming; collects the IV from the first bytes.

    Args:
        key: 16 bytes of derive_key.
    """

    __slots__ = ("_decryptor", "_iv", "_key")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._iv = b""
        self._decryptor: CipherContext | None = None

    @property
    def iv(self) -> bytes | None:
        """What the peer put ahead, once it is complete."""
        return self._iv if self._decryptor is not None else None

    def decrypt(self, data: Buffer) -> bytes:
        """Return what ``data`` decrypts to; b"" until the IV is complete."""
        if self._decryptor is not None:
            return self._decryptor.update(data)
        missing = IV_BYTES - len(self._iv)
        self._iv += bytes(data[:missing])
        if len(self._iv) < IV_BYTES:
            return b""
        self._decryptor = _cipher(self._key, self._iv).decryptor()
        return self._decryptor.update(data[missing:])
