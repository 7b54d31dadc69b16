"""xtcp as Go frp has it since 0.49: Go's owner, visitor or server, and ours as the rest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.helpers.stage import Stage
from tests.helpers.stun_server import StunServer
from tests.helpers.visitors import exchange, visit
from tests.helpers.xtcp import KINDS, XtcpTrio, need_aioquic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers.peers_go import GoPeer

DATA = os.urandom(200_000) + b"a" * 100_000
BY_STUN_SINCE = (0, 49)
# Which of the three programs are Go's.
CASTS: list[tuple[str, ...]] = [
    ("frps",),
    ("owner",),
    ("visitor",),
    ("owner", "frps"),
    ("visitor", "frps"),
]


@pytest.fixture(scope="session", params=CASTS, ids="_".join)
def trio(
    request: pytest.FixtureRequest,
    peer: GoPeer,
    echo_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[XtcpTrio]:
    """Three programs, some of them Go's, and a STUN server."""
    if peer.number < BY_STUN_SINCE:
        pytest.skip("its way is an early one: test_xtcp_early")
    stage = Stage(tmp_path_factory.mktemp("xtcp"))
    common = {role: {"tls_enable": False} for role in request.param if role != "frps"}
    with StunServer() as stun:
        yield XtcpTrio(
            stage,
            echo_port,
            stun.where,
            kinds=KINDS,
            folders=dict.fromkeys(request.param, peer.folder),
            common=common,
        )
    stage.close()


@pytest.mark.parametrize("kind", KINDS)
def test_users_share_a_tunnel(trio: XtcpTrio, kind: str) -> None:
    need_aioquic(kind)
    with visit(trio.ports[kind]) as first, visit(trio.ports[kind]) as second:
        assert exchange(first, DATA) == DATA
        assert exchange(second, b"ping") == b"ping"
    made = "establishing nat hole connection successful"
    trio.owner.wait_for(made)
