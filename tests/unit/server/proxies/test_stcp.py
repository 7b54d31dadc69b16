"""The stcp proxy itself: no port, a secret, and whose visitors may come."""

from __future__ import annotations

from typing import Any

import pytest

from frpd.auth.token import privilege_key
from frpd.server.proxies.stcp import StcpProxy
from tests.helpers.peers import ScriptedClient
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.house import House


def owned(house: House, login: dict[str, Any] | None = None, **fields: Any) -> StcpProxy:
    client = house.client(**(login or {}))
    assert client.new_proxy("vault", 0, "stcp", **({"sk": "key"} | fields)).error == ""
    proxy = house.service.proxies["vault"]
    assert isinstance(proxy, StcpProxy)
    return proxy


def test_it_has_no_port(world: World) -> None:
    house = House(world, max_ports_per_client=1)
    client = house.client()
    answer = client.new_proxy("vault", 6000, "stcp", sk="key")
    assert (answer.remote_addr, answer.error) == ("", "")
    assert house.service.proxies["vault"].ports_used == 0
    house.proxy(client, "web")


def test_a_name_is_taken_once_in_frp_s_words(world: World) -> None:
    house = House(world)
    one, other = house.client(), house.client()
    assert one.new_proxy("vault", 0, "stcp", sk="key").error == ""
    again = other.new_proxy("vault", 0, "stcp", sk="key").error
    assert again == "custom listener for [vault] is repeated"
    assert other.new_proxy("vault", free_port()).error == "proxy name [vault] is already in use"


def test_the_name_is_free_when_its_owner_has_gone(world: World) -> None:
    house = House(world)
    owner = house.client()
    assert owner.new_proxy("vault", 0, "stcp", sk="key").error == ""
    owner.close()
    world.until(lambda: not house.service.proxies)
    assert house.client().new_proxy("vault", 0, "stcp", sk="key").error == ""


def test_only_the_sk_signs(world: World) -> None:
    proxy = owned(House(world))
    assert proxy.is_signed(privilege_key("key", 7), 7)
    for wrong in (privilege_key("key", 8), privilege_key("Key", 7), "", "\xe9", "\udcff"):
        assert not proxy.is_signed(wrong, 7)


USERS = [
    ("", [], {""}),
    ("bob", [], {"bob"}),
    ("bob", ["ann", "carl"], {"ann", "carl"}),
    ("bob", ["*"], {"", "ann", "bob", "carl"}),
]


@pytest.mark.parametrize(("owner", "allowed", "admitted"), USERS)
def test_allow_users_says_whose_visitors_may_come(
    world: World, owner: str, allowed: list[str], admitted: set[str]
) -> None:
    proxy = owned(House(world), {"user": owner}, allow_users=allowed)
    assert {user for user in ("", "ann", "bob", "carl") if proxy.admits(user)} == admitted


@pytest.mark.parametrize(
    ("version", "admits"), [("0.21.0", True), ("0.49.0", True), ("0.50.0", False), ("x", False)]
)
def test_an_owner_older_than_allow_users_trusts_the_sk_alone(
    world: World, version: str, admits: bool
) -> None:
    login = {"user": "bob", "version": version} if version != "x" else {"user": "bob"}
    assert owned(House(world), login).admits("ann") is admits


def test_the_sk_is_stretched_once_and_an_empty_one_never(world: World) -> None:
    house = House(world)
    proxy = owned(house)
    made = proxy.stretched(world.pool)
    world.until(lambda: made.value)
    assert proxy.stretched(world.pool) is made
    client = house.client()
    assert client.new_proxy("open", 0, "stcp").error == ""
    empty = house.service.proxies["open"]
    assert isinstance(empty, StcpProxy)
    assert not empty.has_secret
    assert empty.stretched(world.pool).value is None


def test_a_stretch_that_failed_is_tried_again(world: World) -> None:
    proxy = owned(House(world))
    proxy.stretched(world.pool)._failed(MemoryError())
    made = proxy.stretched(world.pool)
    world.until(lambda: made.value)


def test_close_lets_nobody_in_any_more(world: World) -> None:
    house = House(world)
    proxy = owned(house)
    proxy.close()
    proxy.close()
    visitor = ScriptedClient(world, house.port, mux=True)
    assert visitor.login().error == ""
    talker = visitor.visit("vault", "key")
    talker.until_end()
