from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.seal import cheap_stretch
from tests.helpers.world import World, world
from tests.unit.cli.ctl.scene import Scene

__all__ = ["cheap_stretch", "world"]


@pytest.fixture
def scene(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Scene]:
    folder = Path(tempfile.mkdtemp())
    yield Scene(world, folder, monkeypatch, capsys)
    shutil.rmtree(folder)
