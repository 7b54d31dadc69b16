"""RetryTokens: what shows that who begins a connection is at the address that it comes from.

A token is what a server would have to remember about a first datagram, and a MAC over that,
the sender's address and the connection id that the server has named (RFC 9000, 8.1.2).
"""

from __future__ import annotations

import hmac
from struct import Struct
from typing import Final

from frpd.net.address import SockAddr

TOKEN_KEY_BYTES: Final = 32
TOKEN_SECONDS: Final = 30.0
"""A client comes back at once; it may have to send its datagram again."""
MAX_ID_BYTES: Final = 20
"""Of a connection id (RFC 9000, 17.2)."""

_HEAD = Struct(">d")
_MAC_BYTES: Final = 16


class RetryTokens:
    """Makes them and knows them again. It remembers nothing.

    Args:
        key: secret, TOKEN_KEY_BYTES long.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, original_id: bytes, sender: SockAddr, retry_id: bytes, now: float) -> bytes:
        """Return the token for who named ``original_id``, and is to call us ``retry_id``."""
        said = _HEAD.pack(now) + original_id
        return said + self._mac(said, sender, retry_id)

    def read(self, token: bytes, sender: SockAddr, retry_id: bytes, now: float) -> bytes | None:
        """Return the ``original_id`` of a token of ours; None if it is none, or too old."""
        if not _HEAD.size + _MAC_BYTES <= len(token) <= _HEAD.size + MAX_ID_BYTES + _MAC_BYTES:
            return None
        said, mac = token[:-_MAC_BYTES], token[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(said, sender, retry_id)):
            return None
        made: float = _HEAD.unpack_from(said)[0]
        return said[_HEAD.size :] if 0 <= now - made <= TOKEN_SECONDS else None

    def _mac(self, said: bytes, sender: SockAddr, retry_id: bytes) -> bytes:
        # Lengths ahead of what a stranger chooses, or he could shift one into another.
        bound = b"%c%b%c%b%b %d" % (
            len(said), said, len(retry_id), retry_id, sender[0].encode(), sender[1],
        )  # fmt: skip
        return hmac.digest(self._key, bound, "sha256")[:_MAC_BYTES]
