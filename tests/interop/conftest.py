"""Go frp as a peer; FRPD_GO_FRP names its folder, or a folder with one for each version."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.peers_go import GoPeer, go_peers
from tests.helpers.programs import want_descriptors
from tests.helpers.services import Service, echo
from tests.helpers.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

UNSET = GoPeer("unset", Path())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name in ("peer", "end_peer"):
        if name in metafunc.fixturenames:
            peers = go_peers(os.environ.get("FRPD_GO_FRP", "")) or [UNSET]
            if name == "end_peer":
                # Long runs: the oldest, which is what our users have, and the newest.
                peers = peers[:1] + peers[1:][-1:]
            metafunc.parametrize(name, peers, ids=[peer.version for peer in peers], scope="session")


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
