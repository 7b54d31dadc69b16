"""A sealed session: what its keys make of the control stream and of work streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frpd.proto.seal import RecordReader, RecordWriter, SealedCodec, SealedControl, StreamSeal
from frpd.proto.seal_keys import (
    C2S,
    S2C,
    WORK,
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

    def visitor_proof(self, context: bytes, secret: bytes) -> bytes:
        """Return what shows, on this stream and no other, that a visitor has the sk.

        Args:
            context: of the stream, as for its first records.
            secret: the proxy's sk, stretched; empty if that is.
        """
        return self._keys.key("sk", context + secret)

    def visitor_payload(self, context: bytes, secret: bytes) -> SealedCodec:
        """Return the codec of a visitor stream's payload, behind its two first records.

        Args: as for visitor_proof.
        """
        keys, context = self._keys, context + secret
        return SealedCodec(
            RecordWriter(keys.key(f"pay {self._send}", context)),
            RecordReader(keys.key(f"pay {self._receive}", context)),
        )

    def prove(self, run_id: str, nonce: bytes, kind: str = WORK) -> bytes:
        """Return the client's proof for a connection of its own, to work or to visit."""
        return work_proof(self._keys, run_id, nonce, kind)

    def admits(self, run_id: str, nonce: bytes, proof: bytes, kind: str = WORK) -> bool:
        """Return whether such a connection is of this session, and not one seen before."""
        holds = check_work_proof(self._keys, run_id, nonce, proof, kind)
        return holds and self._nonces.add(nonce)

    def erase(self) -> None:
        """The session is over: make no more keys. Idempotent."""
        self._keys.erase()
