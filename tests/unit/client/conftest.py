from __future__ import annotations

from tests.helpers.world import world

__all__ = ["world"]
