"""A sealed session: what its keys make of the control stream and of work streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frpd.proto.seal import SealedControl, StreamSeal
from frpd.proto.seal_keys import (
    C2S,
    S2C,
    NonceMemory,
    check_work_proof,
    work_proof,
)

if TYPE_CHECKING:
    from frpd.proto.seal_keys import SessionKeys


class SessionSeal:
    """One end of a sealed session.

    Args:
        keys: of this login.
        is_client: which end we are.
    """

    __slots__ = ("_keys", "_nonces", "_receive", "_send")

    def __init__(self, keys: SessionKeys, *, is_client: bool) -> None:
        self._keys = keys
        self._send, self._receive = (C2S, S2C) if is_client else (S2C, C2S)
        self._nonces = NonceMemory()

    def control(self) -> SealedControl:
        """Return the codec of the control stream."""
        keys = self._keys
        return SealedControl(keys.key(f"ctl {self._send}"), keys.key(f"ctl {self._receive}"))

    def work(self, context: bytes) -> StreamSeal:
        """Return the seal of one work stream, by its context; see frpd.proto.seal_keys."""
        keys = self._keys
        return StreamSeal(
            keys.key(f"str {self._send}", context), keys.key(f"str {self._receive}", context)
        )

    def prove(self, run_id: str, nonce: bytes) -> bytes:
        """Return the client's proof for a work connection of its own."""
        return work_proof(self._keys, run_id, nonce)

    def admits(self, run_id: str, nonce: bytes, proof: bytes) -> bool:
        """Return whether a work connection is of this session, and not one seen before."""
        return check_work_proof(self._keys, run_id, nonce, proof) and self._nonces.add(nonce)

    def erase(self) -> None:
        """The session is over: make no more keys. Idempotent."""
        self._keys.erase()
