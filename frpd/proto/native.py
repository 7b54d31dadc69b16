"""What two frpd ends agree on in Login and LoginResp, beside what Go frp reads.

The client offers ``{"v": 1, "features": [...], "pub": ...}``, the server
answers ``{"v": 1, "chosen": [...], "pub": ...}``; a peer that says nothing is a
Go frp. ``pub`` is there only for ``seal``: an X25519 public key in base64.
Either may come from anyone: what is not of the expected shape counts as absent,
and never as an error.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

VERSION: Final = 1

HALF_CLOSE: Final = "half-close"
"""The end of one direction travels alone: a late answer still arrives."""
DIRECT_STREAM: Final = "direct-stream"
"""Over tcp_mux the server opens work streams itself."""
SEAL: Final = "seal"
"""frpd.proto.seal replaces the legacy cipher; chosen only with both public keys."""
DEFLATE: Final = "deflate"
"""frpd.proto.deflate replaces snappy."""
UDP_BINARY: Final = "udp-binary"
"""Datagrams travel in a binary header instead of JSON."""

FEATURES: Final = frozenset({HALF_CLOSE, UDP_BINARY})
"""What needs no settings and no keys: always offered, always accepted."""

OFF: Final = "off"
"""We behave as a Go end."""
AUTO: Final = "auto"
"""What both ends have is used."""
REQUIRE: Final = "require"
"""As AUTO, and a session without SEAL is refused."""

_PUBLIC_KEY_BYTES: Final = 32
_PUBLIC_KEY_CHARACTERS: Final = 44


def willing(mode: str, *, mux: bool, deflates: bool, seals: bool) -> frozenset[str]:
    """Return the features that an end offers or accepts.

    Args:
        mode: OFF, AUTO or REQUIRE.
        mux: the connection is multiplexed, which DIRECT_STREAM needs.
        deflates: DEFLATE is worth it here.
        seals: there is a key to prove.
    """
    if mode == OFF:
        return frozenset()
    wanted = {DIRECT_STREAM: mux, DEFLATE: deflates, SEAL: seals}
    return FEATURES | {name for name, holds in wanted.items() if holds}


def describe(features: Collection[str]) -> str:
    """Return what holds for a session with an frpd end, for its log line."""
    cipher = "" if SEAL in features else " legacy cipher"
    return f"frpd[{','.join(sorted(features))}]{cipher}"


def offer(features: Collection[str], public_key: bytes | None = None) -> dict[str, object]:
    """Return the object for Login.frpd.

    Args:
        features: what this client is willing to do.
        public_key: 32 bytes, for SEAL; without it SEAL is not offered.
    """
    willing = _sealable(frozenset(features), public_key)
    return _with_key({"v": VERSION, "features": sorted(willing)}, willing, public_key)


def choose(
    offered: object, supported: Collection[str], public_key: bytes | None = None
) -> tuple[frozenset[str], dict[str, object] | None]:
    """Return what holds for the session and the object for LoginResp.frpd.

    Args:
        offered: Login.frpd, whatever the peer put there.
        supported: what this server is willing to do.
        public_key: our 32 bytes, for SEAL; without it SEAL is not chosen.

    Returns:
        The chosen features (maybe none), and the answer: None for a peer that
        offered nothing we understand. If SEAL is chosen, read_public_key of
        ``offered`` has the peer's key.
    """
    features = _names(offered, "features")
    if features is None:
        return frozenset(), None
    chosen = _sealable(features & frozenset(supported), public_key, read_public_key(offered))
    answer: dict[str, object] = {"v": VERSION, "chosen": sorted(chosen)}
    return chosen, _with_key(answer, chosen, public_key)


def read_answer(answer: object, offered: Collection[str]) -> frozenset[str]:
    """Return what holds for the session by LoginResp.frpd.

    A server cannot choose what was not offered, and SEAL not without a key.
    If SEAL holds, read_public_key of ``answer`` has the peer's key.
    """
    chosen = _names(answer, "chosen")
    if chosen is None:
        return frozenset()
    return _sealable(chosen & frozenset(offered), read_public_key(answer))


def read_public_key(value: object) -> bytes | None:
    """Return the 32 bytes of "pub" in what the peer offered or answered; None if there are none."""
    text = value.get("pub") if isinstance(value, dict) else None
    if not isinstance(text, str) or len(text) != _PUBLIC_KEY_CHARACTERS:
        return None
    try:
        key = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    return key if len(key) == _PUBLIC_KEY_BYTES else None


def _sealable(features: frozenset[str], *public_keys: bytes | None) -> frozenset[str]:
    """Return ``features``, without SEAL if one of the keys is missing."""
    return features - {SEAL} if None in public_keys else features


def _with_key(
    value: dict[str, object], features: frozenset[str], public_key: bytes | None
) -> dict[str, object]:
    """Return ``value``, with our key in it if it is for anything."""
    if SEAL in features and public_key is not None:
        value["pub"] = binascii.b2a_base64(public_key, newline=False).decode("ascii")
    return value


def _names(value: object, key: str) -> frozenset[str] | None:
    """Return the texts in the list ``key``; None if this is not our version's object."""
    if not isinstance(value, dict) or value.get("v") != VERSION:
        return None
    names = value.get(key)
    if not isinstance(names, list):
        return None
    return frozenset(name for name in names if isinstance(name, str))
