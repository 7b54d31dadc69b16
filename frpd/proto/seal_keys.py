"""The key schedule of ``seal``: from a shared token and two logins to stream keys.

Everything that travels between two sealed ends is under a key made here:

    psk      = scrypt(token, "frpd seal v1", N=2^15, r=8, p=1, 32 bytes)
    th       = SHA256("frpd seal v1" || u64 len(L) || L || u64 len(R) || R)
    prk      = HKDF-Extract(salt = th, ikm = psk || X25519 result)
    k(l, c)  = HKDF-Expand(prk, "frpd v1 " || l || 0x00 || c, 32 bytes)

L and R are the frames of Login and LoginResp exactly as they were written or
read, lengths are big-endian, hashes are SHA-256. Labels and contexts:

    "ctl c2s", "ctl s2c"    control stream                 ""
    "str c2s", "str s2c"    work and visitor streams       stream_context, work_context
    "pay c2s", "pay s2c"    payload of a visitor's stream  that context || scrypt(sk)
    "work", "visit"         proofs of connections of       ""
                            their own
    "sk"                    proof that a visitor has it    that context || scrypt(sk)

Knows no messages and draws nothing: private keys and nonces come from the
caller. Sealed records are in frpd.proto.seal.
"""

from __future__ import annotations

import hashlib
import hmac
from struct import Struct
from typing import TYPE_CHECKING, Final

from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
from nacl.exceptions import CryptoError

from frpd.errors import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

KEY_BYTES: Final = 32
"""Of every key here, X25519's two included."""
NONCE_BYTES: Final = 16
"""Of the nonce in a NewWorkConn."""
MARK_RANDOM_BYTES: Final = 8

C2S: Final = "c2s"
S2C: Final = "s2c"
WORK: Final = "work"
VISIT: Final = "visit"
"""What a stream without tcp_mux is for: the proof of one kind is none for the other."""

_PROTOCOL: Final = b"frpd seal v1"
_INFO: Final = b"frpd v1 "
_SCRYPT_N: Final = 2**15
_SCRYPT_R: Final = 8
_SCRYPT_MEMORY: Final = 128 * _SCRYPT_N * _SCRYPT_R + 1024 * 1024
_MARK_BYTES: Final = 8
_IV_BYTES: Final = 16
_BLOCK_BYTES: Final = 64
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))
_UINT32 = Struct(">I")
_UINT64 = Struct(">Q")


def stretch(secret: str | bytes) -> bytes:
    """Return the 32 bytes that stand for a token or an sk. For a worker.

    Takes about 0.1 s and 32 MiB, so that guessing costs as much. Nothing hides
    an empty token: do not offer ``seal`` with one.

    Args:
        secret: a str from a file may hold surrogates for bytes that are not
            UTF-8; they count as those bytes.
    """
    if isinstance(secret, str):
        secret = secret.encode("utf-8", "surrogateescape")
    return hashlib.scrypt(
        secret,
        salt=_PROTOCOL,
        n=_SCRYPT_N,
        r=_SCRYPT_R,
        p=1,
        maxmem=_SCRYPT_MEMORY,
        dklen=KEY_BYTES,
    )


def public_key(private_key: bytes) -> bytes:
    """Return the X25519 public key of 32 random bytes.

    Raises:
        LocalProtocolError: they are not 32.
    """
    _check_private_key(private_key)
    return crypto_scalarmult_base(private_key)


def transcript_hash(login: Buffer, login_resp: Buffer) -> bytes:
    """Return what binds a session to its login.

    Args:
        login: the whole frame of Login (type, length, body), as it travelled.
        login_resp: the whole frame of LoginResp.
    """
    digest = hashlib.sha256(_PROTOCOL)
    for frame in (login, login_resp):
        digest.update(_UINT64.pack(len(frame)))
        digest.update(frame)
    return digest.digest()


class SessionKeys:
    """All keys of one login. Make new ones for each login, then erase the old.

    Args:
        psk: what ``stretch`` makes of the token.
        private_key: our 32 random bytes, used for one login only.
        peer_public_key: 32 bytes, whatever the peer sent.
        transcript: what ``transcript_hash`` makes of this login.

    Raises:
        LocalProtocolError: ``private_key`` is not 32 bytes long.
        RemoteProtocolError: the peer's key is not, or has no secret in common
            with any.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(
        self, *, psk: bytes, private_key: bytes, peer_public_key: bytes, transcript: bytes
    ) -> None:
        _check_private_key(private_key)
        shared = _shared_secret(private_key, peer_public_key)
        # HMAC with the prk taken in: one key per visitor is made, so half of its work is
        # done once. The library wipes these two when they are dropped.
        prk = _hmac(transcript, psk + shared).ljust(_BLOCK_BYTES, b"\x00")
        self._inner = hashlib.sha256(prk.translate(_INNER_PAD))
        self._outer: hashlib._Hash | None = hashlib.sha256(prk.translate(_OUTER_PAD))

    def key(self, label: str, context: bytes = b"") -> bytes:
        """Return the key of 32 bytes for one purpose; see the module's table.

        Raises:
            LocalProtocolError: the session's keys were erased.
        """
        if self._outer is None:
            raise LocalProtocolError("seal: the keys of this session were erased")
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(_INFO + label.encode("ascii") + b"\x00" + context + b"\x01")
        outer.update(inner.digest())
        return outer.digest()

    def erase(self) -> None:
        """Forget: from now on no key can be made. Idempotent.

        What this object holds is wiped by the library; copies inside the
        interpreter are out of reach.
        """
        self._inner = hashlib.sha256()
        self._outer = None


def stream_context(stream_id: int) -> bytes:
    """Return the context of a stream of a yamux session.

    Its id must never have been used in that session: a peer's ids rise.
    """
    return b"m" + _UINT32.pack(stream_id)


def work_context(nonce: bytes) -> bytes:
    """Return the context of a connection of its own, by the nonce that opened it."""
    return b"w" + nonce


def work_proof(keys: SessionKeys, run_id: str, nonce: bytes, kind: str = WORK) -> bytes:
    """Return the 32 bytes that prove a NewWorkConn or NewVisitorConn without tcp_mux.

    Args:
        keys: of the session that ``run_id`` names.
        run_id: as in the message.
        nonce: 16 random bytes.
        kind: WORK or VISIT.
    """
    return _hmac(keys.key(kind), run_id.encode("utf-8", "surrogateescape") + nonce)


def check_work_proof(
    keys: SessionKeys, run_id: str, nonce: bytes, proof: bytes, kind: str = WORK
) -> bool:
    """Return whether ``proof`` is of this session and kind; in constant time."""
    if len(nonce) != NONCE_BYTES:
        return False
    return hmac.compare_digest(work_proof(keys, run_id, nonce, kind), proof)


class NonceMemory:
    """Nonces of one session, so that none works twice. Forgets none, in 1 MiB.

    A Bloom filter, since evicting old ones would let them in again: a nonce
    that was seen is always recognised; a fresh one is refused by mistake with
    a chance of 5 in a million behind 100,000 others, 0.2 % behind 500,000.
    Check the proof first: only then are nonces random and worth a place.
    """

    __slots__ = ("_bits",)

    _COUNT: Final = 2**23
    _POSITIONS = Struct("<4I")

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, nonce: bytes) -> bool:
        """Return whether these 16 random bytes are new, and remember them."""
        bits = self._bits
        if not bits:
            bits.extend(bytes(self._COUNT // 8))
        new = False
        for word in self._POSITIONS.unpack(nonce):
            index, mask = word % self._COUNT >> 3, 1 << (word & 7)
            if not bits[index] & mask:
                new = True
                bits[index] |= mask
        return new


def make_marked_iv(psk: bytes, direction: str, random: bytes) -> bytes:
    """Return an IV for the legacy cipher that tells an frpd peer who we are.

    For a control stream that fell back although an offer was possible: to
    others it is as random as any.

    Args:
        psk: what ``stretch`` makes of the token.
        direction: C2S or S2C.
        random: 8 fresh random bytes.
    """
    return random + _hmac(psk, b"iv" + direction.encode("ascii") + random)[:_MARK_BYTES]


def is_marked(psk: bytes, direction: str, iv: bytes) -> bool:
    """Return whether an frpd with our token made this IV of the legacy cipher."""
    if len(iv) != _IV_BYTES:
        return False
    return hmac.compare_digest(make_marked_iv(psk, direction, iv[:MARK_RANDOM_BYTES]), iv)


def _check_private_key(private_key: bytes) -> None:
    if len(private_key) != KEY_BYTES:
        raise LocalProtocolError(f"seal: a private key has {KEY_BYTES} bytes")


def _shared_secret(private_key: bytes, peer_public_key: bytes) -> bytes:
    # The binding checks no length: it would read behind a shorter key.
    if len(peer_public_key) == KEY_BYTES:
        try:
            return crypto_scalarmult(private_key, peer_public_key)
        except CryptoError:  # libsodium refuses an all-zero result
            pass
    raise RemoteProtocolError("seal: the peer's public key is not usable")


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")
