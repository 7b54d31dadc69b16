from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.hook_server import HookServer
from tests.helpers.seal import cheap_stretch
from tests.helpers.world import world

__all__ = ["cheap_stretch", "world"]


@pytest.fixture
def plugin() -> Iterator[HookServer]:
    server = HookServer()
    yield server
    server.close()
