"""A headless browser, and the web services that it visits."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.helpers.programs import need_tool
from tests.helpers.stage import Stage
from tests.helpers.web_world import World, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.helpers.programs import Program
    from tests.helpers.web_world import Pair

    Browse = Callable[[Pair, str], Program]

__all__ = ["world"]

BROWSER = "chromium-headless-shell"
OPTIONS = (
    "--no-sandbox",  # root cannot have one
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-port=0",  # or it would end when the page is loaded
)


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


@pytest.fixture
def browse(stage: Stage, world: World) -> Browse:
    """Open an address in a new browser that finds all hosts behind a pair."""
    profiles = itertools.count()

    def browse(pair: Pair, address: str) -> Program:
        rules = ", ".join(
            f"MAP *:{named} 127.0.0.1:{port}"
            for named, port in ((80, pair.http_port), (443, pair.https_port))
        )
        return stage.start(
            BROWSER,
            need_tool(BROWSER),
            *OPTIONS,
            f"--user-data-dir={stage.folder}/profile-{next(profiles)}",
            f"--host-resolver-rules={rules}",
            f"--ignore-certificate-errors-spki-list={world.site.authority.key_pin}",
            address,
            env={"HOME": str(stage.folder), "LANG": "C.UTF-8"},
        )

    return browse
