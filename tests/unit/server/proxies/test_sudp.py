"""The sudp proxy itself: what a stcp proxy is, under a name of its own."""

from __future__ import annotations

import pytest

from frpd.server.proxies.sudp import SudpProxy
from tests.helpers.world import World
from tests.unit.server.house import House


def test_it_has_a_secret_and_no_port(world: World) -> None:
    house = House(world, max_ports_per_client=1)
    client = house.client()
    answer = client.new_proxy("dns", 6000, "sudp", sk="key")
    assert (answer.remote_addr, answer.error) == ("", "")
    proxy = house.service.proxies["dns"]
    assert isinstance(proxy, SudpProxy)
    assert (proxy.proxy_type, proxy.ports_used) == ("sudp", 0)


@pytest.mark.parametrize("kinds", [("sudp", "sudp"), ("stcp", "sudp"), ("sudp", "stcp")])
def test_secret_proxies_share_their_names(world: World, kinds: tuple[str, str]) -> None:
    house = House(world)
    client = house.client()
    assert client.new_proxy("vault", 0, kinds[0], sk="key").error == ""
    again = client.new_proxy("vault", 0, kinds[1], sk="key").error
    assert again == "custom listener for [vault] is repeated"
