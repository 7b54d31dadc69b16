from __future__ import annotations

import pytest

from frpd.config.flags import client_from_flags, server_from_flags
from frpd.config.proxies import HttpProxyConfig, TcpProxyConfig
from frpd.config.visitors import StcpVisitorConfig
from frpd.errors import ConfigError


def test_server_flags_are_ini_keys_with_either_spelling() -> None:
    config = server_from_flags(
        {"bind_addr": "127.0.0.1", "bind-port": "17000", "token": "123", "auth_timeout": "60"}
    )
    assert (config.bind_addr, config.bind_port, config.authentication_timeout) == (
        "127.0.0.1", 17000, 60,
    )  # fmt: skip
    assert config.token.matches("123")


def test_server_without_flags_binds_proxies_everywhere_and_the_dashboard_with_the_rest() -> None:
    config = server_from_flags({"bind_addr": "127.0.0.1"})
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


def test_flag_for_a_protection_that_is_missing_is_an_error() -> None:
    with pytest.raises(ConfigError, match="authentication_method = oidc is not supported yet"):
        server_from_flags({"authentication_method": "oidc"})


def test_quick_tcp_proxy() -> None:
    setup = client_from_flags(
        {"server_addr": "127.0.0.1:17000", "token": "123", "user": "test"},
        "tcp",
        {"proxy_name": "tcp_test", "local_port": "22", "remote_port": "6000", "ue": "true"},
    )
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
    common = client_from_flags(flags, "tcp", {"local_port": "1"}).common
    assert (common.server_addr, common.server_port) == (host, port)


def test_host_and_port_apart() -> None:
    common = client_from_flags({"server_addr": "h", "server_port": "1"}, "tcp", {"local_port": "1"})
    assert (common.common.server_addr, common.common.server_port) == ("h", 1)


def test_bad_server_addr() -> None:
    with pytest.raises(ConfigError, match="invalid server_addr"):
        client_from_flags({"server_addr": ":7000"}, "tcp", {"local_port": "1"})


def test_quick_http_proxy_and_visitor() -> None:
    http = {"proxy-name": "web", "local_port": "80", "custom_domain": "A.test,b.test", "sd": "s"}
    (proxy,) = client_from_flags({}, "http", http).proxies
    assert isinstance(proxy, HttpProxyConfig)
    assert (proxy.name, proxy.custom_domains, proxy.subdomain) == ("web", ("a.test", "b.test"), "s")
    flags = {"proxy_name": "v", "role": "visitor", "server_name": "p", "sk": "k", "bind_port": "9"}
    setup = client_from_flags({"user": "u"}, "stcp", flags)
    assert setup.proxies == ()
    (visitor,) = setup.visitors
    assert isinstance(visitor, StcpVisitorConfig)
    assert visitor.server_name == "u.p"


def test_values_of_flags_are_taken_as_they_are() -> None:
    common = client_from_flags({"token": '"%(user)s"', "user": "u"}, "tcp", {"local_port": "1"})
    assert common.common.token.reveal() == '"%(user)s"'


def test_unknown_proxy_type() -> None:
    with pytest.raises(ConfigError, match="'tpc' is no proxy type; accepted: tcp, udp"):
        client_from_flags({}, "tpc", {})
