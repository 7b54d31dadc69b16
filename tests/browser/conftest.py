"""What the tests with a browser share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.stage import Stage
from tests.helpers.web_world import world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["world"]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Programs for one test; all of them are killed when it is over."""
    stage = Stage(tmp_path)
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def module_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Programs for all tests of a file."""
    stage = Stage(tmp_path_factory.mktemp("stage"))
    yield stage
    stage.close()
