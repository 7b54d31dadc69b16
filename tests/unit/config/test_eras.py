"""Whole files of three eras, as frp users have them, and the facts a reader must get of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from frpd.config.fields import CLIENT, PROXY, PROXY_TYPES, SERVER, VISITOR, VISITOR_TYPES
from frpd.config.kinds import SEED, Field, Kind
from frpd.config.load_client import load_client
from frpd.config.load_server import load_server
from frpd.config.proxies import (
    HttpProxyConfig,
    StcpProxyConfig,
    SudpProxyConfig,
    TcpMuxProxyConfig,
    TcpProxyConfig,
    XtcpProxyConfig,
)
from frpd.config.visitors import StcpVisitorConfig, SudpVisitorConfig, XtcpVisitorConfig
from tests.unit.config.golden import DATA

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from frpd.config.client import ClientSetup
    from frpd.config.proxies import ProxyConfig

ERAS = DATA / "eras"
SEED_FILES = DATA / "seed"


def proxies_of(setup: ClientSetup) -> dict[str, ProxyConfig]:
    return {proxy.name: proxy for proxy in setup.proxies}


@pytest.mark.parametrize("dialect", ["old", "new"])
def test_seed_era_server(dialect: str) -> None:
    loaded = load_server(str(ERAS / "a.frps.ini"), dialect=dialect, environ={})
    config = loaded.value
    assert loaded.warnings == loaded.refusals == ()
    assert config.token.reveal() == "k9$Qz#77%x"
    assert config.dashboard_pwd.reveal() == "p#w;d=1"
    assert (config.bind_addr, config.proxy_bind_addr) == ("127.0.0.1", "127.0.0.1")
    assert str(config.allow_ports) == "17200-17299,17400,17402"
    assert config.subdomain_host == "apps.example.test"
    assert (config.heartbeat_timeout, config.heartbeat_timeout_set) == (90, True)


@pytest.mark.parametrize("dialect", ["old", "new"])
def test_seed_era_client(dialect: str) -> None:
    loaded = load_client(str(ERAS / "a.frpc.ini"), dialect=dialect, environ={})
    assert len(loaded.warnings) == 1
    assert "admin_passwd" in loaded.warnings[0]
    common = loaded.value.common
    assert common.token.reveal() == "k9$Qz#77%x"
    assert (common.pool_count, common.login_fail_exit, common.admin_port) == (3, False, 17160)
    proxies = proxies_of(loaded.value)
    names = ["ssh", "any.port", "game_0", "game_1", "game_2", "site", "site tls", "files"]
    names += ["pair1", "pair2", "vault"]
    assert list(proxies) == [f"alice.{name}" for name in names]
    ssh = proxies["alice.ssh"]
    assert isinstance(ssh, TcpProxyConfig)
    assert (ssh.local_port, ssh.remote_port, ssh.use_encryption, ssh.use_compression) == (
        22, 17201, True, True,
    )  # fmt: skip
    site = proxies["alice.site"]
    assert isinstance(site, HttpProxyConfig)
    assert (site.http_user, site.http_pwd.reveal()) == ("editor", "s3cr#t")
    assert dict(site.headers) == {"X-From-Where": "frp, edge #1"}
    assert site.custom_domains == ("www.example.test", "example.test")
    assert site.locations == ("/", "/pic")
    assert proxies["alice.files"].plugin_params["plugin_http_passwd"] == "b=c"
    assert proxies["alice.pair1"].group_key == proxies["alice.pair2"].group_key
    (visitor,) = loaded.value.visitors
    assert isinstance(visitor, StcpVisitorConfig)
    assert (visitor.name, visitor.server_name) == ("alice.vault_visitor", "alice.vault")
    vault = proxies["alice.vault"]
    assert isinstance(vault, StcpProxyConfig)
    assert visitor.sk.reveal() == vault.sk.reveal() == "open sesame"


def test_mapped_era_server() -> None:
    path = str(ERAS / "b.frps.ini")
    config = load_server(path, environ={"FRP_TOKEN": "s=1"}).value
    assert config.dashboard_pwd.reveal() == "quoted pass"
    assert config.enable_prometheus
    assert config.tls_only
    assert not config.dashboard_tls_mode
    assert not config.detailed_errors_to_client
    assert config.max_pool_count == 16
    assert config.token.reveal() == "s=1"
    assert config.tcp_mux_keepalive_interval == 45
    (plugin,) = config.plugins
    assert (plugin.name, plugin.ops) == ("user-manager", ("Login", "NewProxy", "CloseProxy"))


def test_mapped_era_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "confd").mkdir()
    text = "[tcp_1]\nuse_compression = on\n[not_started]\nlocal_port = 1\n"
    (tmp_path / "confd" / "more.ini").write_text(text)
    loaded = load_client(str(ERAS / "b.frpc.ini"), environ={"FRP_TOKEN": "s=1"})
    common = loaded.value.common
    assert (common.server_port, common.protocol, common.user) == (7001, "quic", "bob")
    assert common.token.reveal() == "s=1"
    assert dict(common.metas) == {"site": 'berlin "mitte"'}
    proxies = proxies_of(loaded.value)
    assert list(proxies) == ["bob.web", "bob.tcp_1", "bob.peer", "bob.backup", "bob.mux"]
    web = proxies["bob.web"]
    assert isinstance(web, HttpProxyConfig)
    assert web.headers["X-Path"] == "%(local_port)s"
    assert web.custom_domains == ("a.example.test", "b.example.test")
    assert web.bandwidth_limit.bytes_per_second == 1572864
    tcp_1 = proxies["bob.tcp_1"]
    assert isinstance(tcp_1, TcpProxyConfig)
    assert (tcp_1.local_port, tcp_1.remote_port, tcp_1.use_compression) == (9, 20009, True)
    peer = proxies["bob.peer"]
    assert isinstance(peer, XtcpProxyConfig)
    assert (peer.sk.reveal(), peer.allow_users) == ("p2p-key", ("carol", "dave"))
    mux = proxies["bob.mux"]
    assert isinstance(mux, TcpMuxProxyConfig)
    assert mux.multiplexer == "httpconnect"
    (visitor,) = loaded.value.visitors
    assert isinstance(visitor, XtcpVisitorConfig)
    assert (visitor.server_name, visitor.fallback_to) == ("erin.nas", "relay")
    assert loaded.refusals == ()


def test_legacy_era_server() -> None:
    loaded = load_server(str(ERAS / "c.frps.ini"), environ={})
    config = loaded.value
    assert (config.bind_addr, config.proxy_bind_addr, config.tcp_mux) == ("::", "0.0.0.0", False)
    assert (config.heartbeat_timeout, config.enforced_heartbeat_seconds) == (120, 120)
    assert config.authentication_method == "oidc"
    assert config.plugins[0].tls_verify
    assert loaded.refusals == ()


def test_legacy_era_client() -> None:
    setup = load_client(str(ERAS / "c.frpc.ini"), environ={}).value
    common = setup.common
    assert common.server_addr == "2001:db8::1"
    assert common.oidc_client_secret.reveal() == "s#c;r'et"
    assert common.http_proxy.reveal() == "socks5://10.0.0.2:1080"
    assert dict(common.oidc_additional) == {"resource": "frp"}
    assert (common.tls_enable, common.heartbeat_interval, common.heartbeat_timeout) == (
        False, 30, 120,
    )  # fmt: skip
    proxies = proxies_of(setup)
    plugin_params = proxies["https2http"].plugin_params
    assert plugin_params["plugin_header_X-From-Where"] == "frp"
    assert isinstance(proxies["dns"], SudpProxyConfig)
    (visitor,) = setup.visitors
    assert isinstance(visitor, SudpVisitorConfig)
    assert (visitor.name, visitor.server_name) == ("dns_visitor", "dns")


@pytest.mark.parametrize("dialect", ["old", "new"])
def test_full_seed_era_files_load_without_a_warning(dialect: str) -> None:
    server = load_server(str(SEED_FILES / "frps.ini"), dialect=dialect, environ={}, strict=True)
    assert server.value.dashboard_pwd.reveal() == "se#cret;pwd"
    client = load_client(str(SEED_FILES / "frpc.ini"), dialect=dialect, environ={}, strict=True)
    assert len(client.value.proxies) == 17
    assert len(client.value.visitors) == 2


def missing_keys(rows: Iterable[Field], text: str) -> list[str]:
    """Seed-era keys that do not occur in a text, leftovers that deserve a warning aside."""
    written = {line.split("=")[0].strip() for line in text.splitlines() if "=" in line}
    return [
        row.name
        for row in rows
        if row.since == SEED and not row.note and row.name not in written
        if row.kind is not Kind.MAP or not any(key.startswith(row.name) for key in written)
    ]


def test_full_seed_era_files_have_every_seed_key() -> None:
    server = (SEED_FILES / "frps.ini").read_text()
    client = (SEED_FILES / "frpc.ini").read_text()
    by_type = [*PROXY_TYPES.values(), *VISITOR_TYPES.values()]
    rows = [*CLIENT, *PROXY, *VISITOR, *(row for rows in by_type for row in rows)]
    assert missing_keys(SERVER, server) == []
    assert missing_keys([row for row in rows if row.name != "multiplexer"], client) == []
