"""xtcp through real NATs with Go frpc at one end and ours at the other, by our frps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.nat_lab import need_nat_lab
from tests.helpers.programs import BIN
from tests.helpers.xtcp_lab import finds_its_way

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.peers_go import GoPeer

QUIC_SINCE = (0, 49)
NATS = "cone", "cone"


@pytest.mark.full
@pytest.mark.timeout(200)
@pytest.mark.parametrize("protocol", ["kcp", "quic"])
@pytest.mark.parametrize("go_end", ["owner", "visitor"])
def test_ssh_through_two_ordinary_nats(
    tmp_path: Path, peer: GoPeer, go_end: str, protocol: str
) -> None:
    need_nat_lab()
    if protocol == "quic":
        pytest.importorskip("aioquic")
        if peer.number < QUIC_SINCE:
            pytest.skip("it knows KCP only")
    folders = (peer.folder, BIN) if go_end == "owner" else (BIN, peer.folder)
    said = f"tunnel opened: {protocol}" if (go_end, protocol) == ("owner", "quic") else ""
    finds_its_way(tmp_path, NATS, {"protocol": protocol}, folders, said)
