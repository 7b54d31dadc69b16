"""frpd.config.proxies: what follows from a proxy's settings."""

from __future__ import annotations

import pytest

from frpd.config.kinds import NO_LIMIT, Bandwidth
from frpd.config.proxies import TcpProxyConfig

LIMIT = Bandwidth("1KB", 1024)


@pytest.mark.parametrize(
    ("limit", "mode", "kept"),
    [(LIMIT, "client", 1024), (LIMIT, "server", 0), (NO_LIMIT, "client", 0)],
)
def test_frpc_keeps_a_limit_unless_frps_shall(limit: Bandwidth, mode: str, kept: int) -> None:
    config = TcpProxyConfig(name="a", section="a", bandwidth_limit=limit, bandwidth_limit_mode=mode)
    assert config.client_bytes_per_second == kept
