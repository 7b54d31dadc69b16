"""ClientConfig: what follows from several keys."""

from __future__ import annotations

import pytest

from frpd.config.client import ClientConfig


@pytest.mark.parametrize(
    ("protocol", "tls_enable", "has"),
    [
        ("tcp", False, False),
        ("tcp", True, True),
        ("kcp", False, False),
        ("wss", False, True),
        ("quic", False, True),
    ],
)
def test_some_carriers_have_tls_whatever_tls_enable_says(
    protocol: str, tls_enable: bool, has: bool
) -> None:
    assert ClientConfig(protocol=protocol, tls_enable=tls_enable).has_tls is has


@pytest.mark.parametrize(
    ("protocol", "tcp_mux", "shares"),
    [("tcp", True, True), ("tcp", False, False), ("quic", False, True)],
)
def test_quic_shares_a_connection_whatever_tcp_mux_says(
    protocol: str, tcp_mux: bool, shares: bool
) -> None:
    assert ClientConfig(protocol=protocol, tcp_mux=tcp_mux).shares_connection is shares
