from __future__ import annotations

from tests.helpers.seal import cheap_stretch
from tests.helpers.world import world

__all__ = ["cheap_stretch", "world"]
