from __future__ import annotations

import pytest

from frpd.config.flags import client_from_flags, server_from_flags
from frpd.config.proxies import HttpProxyConfig, TcpProxyConfig
from frpd.config.visitors import StcpVisitorConfig
from frpd.errors import ConfigError


def test_server_flags_are_ini_keys_with_either_spelling() -> None:
    config = server_from_flags(
        {"bind_addr": "127.0.0.1", "bind-port": "17000", "token": "123", "auth_timeout": "60"}
    ).value
    assert (config.bind_addr, config.bind_port, config.authentication_timeout) == (
        "127.0.0.1", 17000, 60,
    )  # fmt: skip
    assert config.token.matches("123")


def test_server_without_flags_binds_proxies_everywhere_and_the_dashboard_with_the_rest() -> None:
    config = server_from_flags({"bind_addr": "127.0.0.1"}).value
    assert config.proxy_bind_addr == "0.0.0.0"
    assert config.dashboard_addr == "127.0.0.1"


def test_bad_flag_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigError) as caught:
        server_from_flags({"bind_port": "70000"})
    assert str(caught.value) == (
        "bind_port: '70000' cannot be used; accepted: a whole number from 0 to 65535"
    )
    with pytest.raises(ConfigError, match="log_max_days: 'x' cannot be used"):
        server_from_flags({"log_max_days": "x"})
    with pytest.raises(ConfigError, match="bind_prot: unknown key"):
        server_from_flags({"bind_prot": "1"})


def test_flag_for_a_protection_that_is_incomplete_is_an_error() -> None:
    with pytest.raises(ConfigError, match="oidc_issuer: missing; authentication_method = oidc"):
        server_from_flags({"authentication_method": "oidc"})


def test_quick_tcp_proxy() -> None:
    setup = client_from_flags(
        {"server_addr": "127.0.0.1:17000", "token": "123", "user": "test"},
        "tcp",
        {"proxy_name": "tcp_test", "local_port": "22", "remote_port": "6000", "ue": "true"},
    ).value
    assert (setup.common.server_addr, setup.common.server_port) == ("127.0.0.1", 17000)
    (proxy,) = setup.proxies
    assert isinstance(proxy, TcpProxyConfig)
    assert (proxy.name, proxy.section) == ("test.tcp_test", "tcp_test")
    assert (proxy.local_ip, proxy.local_port, proxy.remote_port) == ("127.0.0.1", 22, 6000)
    assert proxy.use_encryption


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ("", "127.0.0.1", 7000), ("h", "h", 7000), ("h:1", "h", 1), ("[::1]:1", "::1", 1),
        ("[::1]", "::1", 7000), ("::1", "::1", 7000),
    ],
)  # fmt: skip
def test_server_addr_with_or_without_port(given: str, host: str, port: int) -> None:
    flags = {"server_addr": given} if given else {}
    common = client_from_flags(flags, "tcp", {"local_port": "1"}).value.common
    assert (common.server_addr, common.server_port) == (host, port)


def test_host_and_port_apart() -> None:
    apart = {"server_addr": "h", "server_port": "1"}
    common = client_from_flags(apart, "tcp", {"local_port": "1"}).value.common
    assert (common.server_addr, common.server_port) == ("h", 1)


def test_bad_server_addr() -> None:
    with pytest.raises(ConfigError, match="invalid server_addr"):
        client_from_flags({"server_addr": ":7000"}, "tcp", {"local_port": "1"})


def test_quick_http_proxy_and_visitor() -> None:
    http = {"proxy-name": "web", "local_port": "80", "custom_domain": "A.test,b.test", "sd": "s"}
    (proxy,) = client_from_flags({}, "http", http).value.proxies
    assert isinstance(proxy, HttpProxyConfig)
    assert (proxy.name, proxy.custom_domains, proxy.subdomain) == ("web", ("a.test", "b.test"), "s")
    flags = {"proxy_name": "v", "role": "visitor", "server_name": "p", "sk": "k", "bind_port": "9"}
    setup = client_from_flags({"user": "u"}, "stcp", flags).value
    assert setup.proxies == ()
    (visitor,) = setup.visitors
    assert isinstance(visitor, StcpVisitorConfig)
    assert visitor.server_name == "u.p"


def test_values_of_flags_are_taken_as_they_are() -> None:
    flags = {"token": '"%(user)s"', "user": "u"}
    common = client_from_flags(flags, "tcp", {"local_port": "1"}).value.common
    assert common.token.reveal() == '"%(user)s"'


def test_unknown_proxy_type() -> None:
    with pytest.raises(ConfigError, match="'tpc' is no proxy type; accepted: tcp, udp"):
        client_from_flags({}, "tpc", {})


def test_metadatas_are_keys_of_their_own() -> None:
    typed = {"local_port": "1", "metadatas": "team-name=shop,site=a=b"}
    loaded = client_from_flags({}, "tcp", typed)
    (proxy,) = loaded.value.proxies
    assert dict(proxy.metas) == {"team-name": "shop", "site": "a=b"}
    with pytest.raises(ConfigError, match="metadatas: 'shop' cannot be used; accepted: name=value"):
        client_from_flags({}, "tcp", {"local_port": "1", "metadatas": "shop"})


def test_what_a_flag_asks_for_in_vain_is_said() -> None:
    typed = {"local_port": "1", "annotations": "a=b"}
    told = client_from_flags({"client-id": "me"}, "tcp", typed).warnings
    assert [line.partition(":")[0] for line in told] == ["client_id", "annotations"]
    assert all(line.endswith("has no effect") for line in told)
    assert client_from_flags({}, "tcp", {"local_port": "1"}).warnings == ()


SERVER_DEFAULTS = [
    ("bind_addr", "0.0.0.0"),
    ("bind_port", 7000),
    ("bind_udp_port", 0),
    ("kcp_bind_port", 0),
    ("quic_bind_port", 0),
    ("proxy_bind_addr", "0.0.0.0"),
    ("vhost_http_port", 0),
    ("vhost_https_port", 0),
    ("vhost_http_timeout", 60),
    ("dashboard_addr", "0.0.0.0"),
    ("dashboard_port", 0),
    ("dashboard_user", "admin"),
    ("dashboard_tls_mode", False),
    ("dashboard_tls_cert_file", ""),
    ("dashboard_tls_key_file", ""),
    ("enable_prometheus", False),
    ("log_file", "console"),
    ("log_level", "info"),
    ("log_max_days", 3),
    ("disable_log_color", False),
    ("authentication_timeout", 900),
    ("subdomain_host", ""),
    ("max_ports_per_client", 0),
    ("tls_only", False),
]
CLIENT_DEFAULTS = [
    ("server_addr", "127.0.0.1"),
    ("server_port", 7000),
    ("user", ""),
    ("protocol", "tcp"),
    ("log_level", "info"),
    ("log_file", "console"),
    ("log_max_days", 3),
    ("disable_log_color", False),
    ("tls_enable", False),
    ("dns_server", ""),
    ("tls_server_name", ""),
]


@pytest.mark.parametrize(("attribute", "value"), SERVER_DEFAULTS)
def test_a_flag_of_frps_that_was_not_typed_has_frp_s_default(attribute: str, value: object) -> None:
    config = server_from_flags({}).value
    assert getattr(config, attribute) == value
    assert config.token.reveal() == ""
    assert config.dashboard_pwd.reveal() == "admin"
    assert not config.allow_ports


@pytest.mark.parametrize(("attribute", "value"), CLIENT_DEFAULTS)
def test_a_flag_of_frpc_that_was_not_typed_has_frp_s_default(attribute: str, value: object) -> None:
    common = client_from_flags({}, "tcp", {"local_port": "1"}).value.common
    assert getattr(common, attribute) == value


def test_a_proxy_s_flags_that_were_not_typed_have_frp_s_defaults() -> None:
    (proxy,) = client_from_flags({}, "tcp", {"local_port": "1"}).value.proxies
    assert isinstance(proxy, TcpProxyConfig)
    assert (proxy.name, proxy.local_ip, proxy.remote_port) == ("", "127.0.0.1", 0)
    assert (proxy.use_encryption, proxy.use_compression) == (False, False)
    assert (proxy.bandwidth_limit.text, proxy.bandwidth_limit_mode) == ("", "client")
