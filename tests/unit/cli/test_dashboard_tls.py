"""frpd.cli.dashboard_tls: when there is HTTPS, and whose key an error names."""

from __future__ import annotations

from pathlib import Path

import pytest

from frpd.cli.dashboard_tls import dashboard_tls
from frpd.config.server import ServerConfig
from frpd.errors import ConfigError
from tests.helpers.authority import Authority


def with_files(certificate: str, key: str) -> ServerConfig:
    return ServerConfig(
        dashboard_port=1,
        dashboard_tls_mode=True,
        dashboard_tls_cert_file=certificate,
        dashboard_tls_key_file=key,
    )


def test_without_port_or_mode_there_is_none() -> None:
    assert dashboard_tls(ServerConfig(dashboard_port=1), lambda: 0.0) is None
    assert dashboard_tls(ServerConfig(dashboard_tls_mode=True), lambda: 0.0) is None


def test_with_both_there_is_one(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("127.0.0.1")
    assert dashboard_tls(with_files(pair.cert, pair.key), lambda: 0.0) is not None


def test_a_certificate_that_cannot_be_used_names_the_dashboard_s_key(tmp_path: Path) -> None:
    config = with_files(str(tmp_path / "none.crt"), str(tmp_path / "none.key"))
    with pytest.raises(ConfigError) as refused:
        dashboard_tls(config, lambda: 0.0)
    assert refused.value.key == "dashboard_tls_cert_file"
