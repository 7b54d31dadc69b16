"""Who serves a proxy, and why nobody can."""

from __future__ import annotations

import pytest

from frpd.client.plugins import PLUGINS
from frpd.client.plugins.base import GuestServer
from frpd.client.proxies import PROXIES
from frpd.client.proxies.general import GeneralProxy
from frpd.client.servers import make_server
from frpd.config.fields import PLUGINS as KNOWN_PLUGINS
from frpd.config.params import Params
from frpd.config.proxies import PROXIES as CONFIGURED
from frpd.config.proxies import (
    HttpProxyConfig,
    ProxyConfig,
    TcpProxyConfig,
    UdpProxyConfig,
)
from frpd.errors import ProxyError
from tests.helpers.world import World
from tests.unit.client.conftest import world
from tests.unit.client.plugins.stage import context_of

__all__ = ["world"]


def tcp(plugin: str = "", **params: str) -> ProxyConfig:
    return TcpProxyConfig(name="a", section="a", plugin=plugin, plugin_params=Params(params))


def test_a_plugin_serves_in_place_of_the_type(world: World) -> None:
    context = context_of(world)
    assert isinstance(make_server(context, tcp()), GeneralProxy)
    assert isinstance(make_server(context, tcp("socks5")), GuestServer)
    assert isinstance(make_server(context, tcp("http_proxy")), GuestServer)
    http = HttpProxyConfig(name="a", section="a", plugin="http_proxy")
    assert isinstance(make_server(context, http), GuestServer)


def test_whatever_a_file_may_ask_for_is_served() -> None:
    assert set(PROXIES) == set(CONFIGURED)
    assert set(PLUGINS) == set(KNOWN_PLUGINS)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (tcp("nix"), "plugin [nix] is not registered"),
        (tcp("https2http"), "plugin_local_addr is required"),
        (tcp("unix_domain_socket"), "plugin_unix_path not found"),
        (
            UdpProxyConfig(name="a", section="a", plugin="socks5"),
            "plugin [socks5] cannot serve a proxy of type [udp]",
        ),
    ],
)
def test_why_nobody_can(world: World, config: ProxyConfig, reason: str) -> None:
    with pytest.raises(ProxyError) as failure:
        make_server(context_of(world), config)
    assert str(failure.value) == reason
