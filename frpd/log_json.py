"""Lines of JSON: what all logs of the program have in common."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping


def to_json(found: Mapping[str, object]) -> str:
    """Return an object of ASCII, one line, with no character that a terminal obeys."""
    # DEL is the one control character that JSON lets pass.
    return json.dumps(found, separators=(",", ":")).replace("\x7f", "\\u007f")


def timestamp(when: float) -> str:
    """Return local time with its distance from UTC, as ISO 8601 has it."""
    local = time.localtime(when)
    zone = time.strftime("%z", local)
    second = time.strftime("%Y-%m-%dT%H:%M:%S", local)
    return f"{second}.{int(when * 1000) % 1000:03d}{zone[:3]}:{zone[3:]}"
