"""What Go's two ends said to each other: tests/data/kcp."""

from __future__ import annotations

import json
from base64 import b64decode
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "data" / "kcp"
MUXED = ("kcp_mux_v021", "kcp_mux_v031")
PUNCHED = ("xtcp_v021",)


@cache
def load(name: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return parsed


def directions(name: str) -> dict[str, list[bytes]]:
    """Return the KCP datagrams in order, by who sent them to whom."""
    found: dict[str, list[bytes]] = {}
    for entry in load(name)["datagrams"]:
        datagram = b64decode(entry["data_b64"])
        if datagram[4:6] in (b"\xf1\x00", b"\xf2\x00"):
            found.setdefault(f"{entry['src']}>{entry['dst']}", []).append(datagram)
    return found
