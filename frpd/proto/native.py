"""What two frpd ends agree on in Login and LoginResp, beside what Go frp reads.

The client offers ``{"v": 1, "features": [...]}``, the server answers
``{"v": 1, "chosen": [...]}``; a peer that says nothing is a Go frp. Either may
come from anyone: what is not of the expected shape counts as absent, and never
as an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

VERSION: Final = 1

HALF_CLOSE: Final = "half-close"
"""The end of one direction travels alone: a late answer still arrives."""

FEATURES: Final = frozenset({HALF_CLOSE})
"""All that this frpd knows."""


def offer(features: Collection[str]) -> dict[str, object]:
    """Return the object for Login.frpd."""
    return {"v": VERSION, "features": sorted(features)}


def choose(
    offered: object, supported: Collection[str]
) -> tuple[frozenset[str], dict[str, object] | None]:
    """Return what holds for the session and the object for LoginResp.frpd.

    Args:
        offered: Login.frpd, whatever the peer put there.
        supported: what this server is willing to do.

    Returns:
        The chosen features (maybe none), and the answer: None for a peer that
        offered nothing we understand.
    """
    features = _names(offered, "features")
    if features is None:
        return frozenset(), None
    chosen = features & frozenset(supported)
    return chosen, {"v": VERSION, "chosen": sorted(chosen)}


def read_answer(answer: object, offered: Collection[str]) -> frozenset[str]:
    """Return what holds for the session by LoginResp.frpd.

    A server cannot choose what was not offered.
    """
    chosen = _names(answer, "chosen")
    return frozenset() if chosen is None else chosen & frozenset(offered)


def _names(value: object, key: str) -> frozenset[str] | None:
    """Return the texts in the list ``key``; None if this is not our version's object."""
    if not isinstance(value, dict) or value.get("v") != VERSION:
        return None
    names = value.get(key)
    if not isinstance(names, list):
        return None
    return frozenset(name for name in names if isinstance(name, str))
