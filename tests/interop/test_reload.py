"""Our frpc reloads while it is logged in to Go's frps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.modes import MODES
from tests.helpers.reload_storm import Storm, rage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helpers.peers_go import GoPeer
    from tests.helpers.stage import Stage

    Record = Callable[[str, object], None]

# Go's frps keeps unused work connections: without mux they are descriptors of both ends.
MAX_UNUSED = 10


def test_a_storm_loses_no_byte_beside_go(
    stage: Stage, end_peer: GoPeer, echo_port: int, record_property: Record
) -> None:
    storm = Storm(stage, echo_port, 12, folder=end_peer.folder)
    record_property("blocks", rage(storm, 6))


@pytest.mark.full
@pytest.mark.timeout(600)
@MODES
def test_a_storm_of_two_hundred_proxies_and_fifty_reloads_beside_go(
    stage: Stage, peer: GoPeer, echo_port: int, mux: bool, record_property: Record
) -> None:
    storm = Storm(stage, echo_port, 200, folder=peer.folder, mux=mux)
    record_property("blocks", rage(storm, 50, spare=0 if mux else MAX_UNUSED))
