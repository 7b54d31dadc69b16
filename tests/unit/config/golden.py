"""Golden ini files: where they are, and a configuration as plain data to compare with them."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from frpd.config.kinds import Bandwidth
from frpd.config.params import Params
from frpd.config.ports import PortSet
from frpd.config.secret import Secret
from frpd.config.upstream import UpstreamProxy

DATA = Path(__file__).parents[2] / "data" / "ini"


def expected(path: Path) -> dict[str, Any]:
    """The JSON that stands beside an ini file."""
    result: dict[str, Any] = json.loads(path.with_suffix(".json").read_text("utf-8"))
    return result


def plain(value: object) -> Any:
    """A configuration value as JSON would have it."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, PortSet | UpstreamProxy):
        return str(value)
    if isinstance(value, Params):
        return dict(value)
    if isinstance(value, Bandwidth):
        return [value.text, value.bytes_per_second]
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if is_dataclass(value):
        return {row.name: plain(getattr(value, row.name)) for row in fields(value)}
    return value
