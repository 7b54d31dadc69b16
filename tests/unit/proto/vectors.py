"""Golden data: files in tests/data/vectors, base64 and hex decoded on request."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "data" / "vectors"


def load(name: str) -> dict[str, Any]:
    """Return the parsed file ``name`` without its .json."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def b64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
