"""Bandwidth limits with a Go end: whoever of the two has to keep one keeps it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.helpers.services import Service, flood
from tests.helpers.stage import Stage
from tests.helpers.visitors import visit

if TYPE_CHECKING:
    from tests.helpers.peers_go import GoPeer

KIB = 1024
SINCE = {"client": (0, 30), "server": (0, 47)}


@pytest.mark.parametrize("go_end", ["frps", "frpc"])
@pytest.mark.parametrize("mode", ["client", "server"])
def test_the_limit_is_kept_at_the_end_that_was_named(
    stage: Stage, peer: GoPeer, go_end: str, mode: str
) -> None:
    keeper_is_go = (mode == "server") == (go_end == "frps")
    if peer.number < SINCE[mode] and (keeper_is_go or go_end == "frpc"):
        pytest.skip("older than these limits")
    data = bytes(range(256)) * (3 * 100 * KIB // 256)
    with Service(flood(data)) as service:
        tunnel = stage.tunnel(
            {"web": service.port},
            client=peer.client_settings(go_end),
            proxy={"bandwidth_limit": "100KB", "bandwidth_limit_mode": mode},
            folders=peer.folders(go_end),
        )
        begun = time.monotonic()
        with visit(tunnel.ports["web"]) as visitor:
            heard = bytearray()
            while len(heard) < len(data):
                part = visitor.recv(65536)
                assert part
                heard += part
        # A second's worth may pass at once where Go keeps the limit.
        assert time.monotonic() - begun >= (1.9 if keeper_is_go else 2.85)
        assert heard == data
