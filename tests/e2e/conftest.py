"""What the end-to-end tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.programs import want_descriptors
from tests.helpers.services import Service, echo
from tests.helpers.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def echo_port() -> Iterator[int]:
    """A local service that sends everything back."""
    want_descriptors(4096)
    with Service(echo) as service:
        yield service.port


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
