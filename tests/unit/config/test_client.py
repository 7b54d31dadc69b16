"""ClientConfig: what follows from several keys."""

from __future__ import annotations

import pytest

from frpd.config.client import ClientConfig


@pytest.mark.parametrize(
    ("protocol", "tcp_mux", "shares"),
    [("tcp", True, True), ("tcp", False, False), ("quic", False, True)],
)
def test_quic_shares_a_connection_whatever_tcp_mux_says(
    protocol: str, tcp_mux: bool, shares: bool
) -> None:
    assert ClientConfig(protocol=protocol, tcp_mux=tcp_mux).shares_connection is shares
