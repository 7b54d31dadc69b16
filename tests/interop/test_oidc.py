"""Authentication by OIDC between our ends and Go's, with a provider that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.oidc_provider import AUDIENCE, CLIENT, SECRET, OidcProvider
from tests.helpers.ports import free_port
from tests.helpers.services import Service, says
from tests.helpers.visitors import read_to_end, visit

if TYPE_CHECKING:
    from tests.helpers.peers_go import GoPeer
    from tests.helpers.stage import Stage

SINCE = (0, 32)


@pytest.mark.parametrize("go_end", ["frps", "frpc"])
@pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])
def test_a_provider_s_token_lets_a_client_in(
    stage: Stage, peer: GoPeer, go_end: str, mux: bool
) -> None:
    if peer.number < SINCE:
        pytest.skip("this version has no OIDC")
    bind_port, remote = free_port(), free_port()
    provider = OidcProvider()
    frps, frpc = peer.folders(go_end)
    both = {
        "authentication_method": "oidc",
        "authenticate_heartbeats": "true",
        "authenticate_new_work_conns": "true",
        "oidc_audience": AUDIENCE,
        "tcp_mux": str(mux).lower(),
    }
    server = {"bind_addr": "127.0.0.1", "bind_port": bind_port, "oidc_issuer": provider.issuer}
    stage.frps(both | server, folder=frps)
    client = {
        "server_addr": "127.0.0.1",
        "server_port": bind_port,
        "heartbeat_interval": 1,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": SECRET,
        "oidc_token_endpoint_url": provider.token_url,
    }
    with Service(says(b"hello")) as service:
        proxy = {"type": "tcp", "local_port": service.port, "remote_port": remote}
        settings = both | client | peer.client_settings(go_end)
        stage.frpc(settings, {"web": proxy}, folder=frpc, wait_for=["web"])
        with visit(remote) as visitor:
            assert read_to_end(visitor)
    provider.close()
