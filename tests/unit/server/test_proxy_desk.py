"""ProxyDesk: the order of NewProxy's refusals, names, ports and quotas."""

from __future__ import annotations

import re
import socket

import pytest

from frpd.proto.message.types import CloseProxy
from frpd.server.proxy_desk import MAX_NAME_BYTES
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House

__all__ = ["world"]


@pytest.mark.parametrize("kind", ["nope", "udp2", "TCP"])
def test_an_unknown_type_is_named_in_the_refusal(world: World, kind: str) -> None:
    house = House(world)
    client = house.client()
    answer = client.new_proxy("t5", 6000, kind)
    assert (answer.proxy_name, answer.error) == ("t5", f"proxy [t5] type [{kind}] error")
    assert answer.remote_addr == ""


def test_an_empty_type_means_tcp(world: World) -> None:
    house = House(world)
    assert house.client().new_proxy("p", free_port(), "").error == ""


def test_a_port_outside_of_allow_ports_is_not_allowed(world: World) -> None:
    house = House(world, allow_ports="6000-6001")
    client = house.client()
    for port in (5999, 6002, 70_000, -1):
        assert client.new_proxy("p", port).error == "port not allowed"


def test_a_port_of_another_proxy_is_already_used(world: World) -> None:
    house = House(world)
    port = house.proxy(house.client(), "first")
    assert house.client().new_proxy("second", port).error == "port already used"


def test_a_port_of_another_program_is_unavailable_and_its_holder_is_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert house.client().new_proxy("p", port).error == "port unavailable"
        world.until(lambda: "is held by" in caplog.text)
    assert f"127.0.0.1:{port}" in caplog.text


def test_the_servers_own_port_is_unavailable(world: World) -> None:
    house = House(world)
    assert house.client().new_proxy("p", house.port).error == "port unavailable"


def test_no_port_is_left_for_0_when_all_allowed_ones_are_taken(world: World) -> None:
    port = free_port()
    house = House(world, allow_ports=f"{port}")
    client = house.client()
    assert client.new_proxy("a", 0).remote_addr == f":{port}"
    assert client.new_proxy("b", 0).error == "no available port"


def test_a_name_in_use_is_refused_before_its_port_is_looked_at(world: World) -> None:
    house = House(world)
    client = house.client()
    house.proxy(client, "web")
    text = "proxy name [web] is already in use"
    assert house.client().new_proxy("web", free_port()).error == text
    assert client.new_proxy("web", 70_000).error == text


def test_a_client_has_no_more_ports_than_its_quota(world: World) -> None:
    house = House(world, max_ports_per_client=2)
    client = house.client()
    house.proxy(client, "a")
    house.proxy(client, "b")
    text = "exceed the max_ports_per_client"
    assert client.new_proxy("c", free_port()).error == text
    assert client.new_proxy("a", free_port()).error == text  # before the name
    assert client.new_proxy("d", 0, "nope").error == "proxy [d] type [nope] error"
    client.control.send(CloseProxy("a"))
    house.proxy(client, "c")
    house.proxy(house.client(), "of another client")


def test_a_refused_proxy_leaves_nothing_behind(world: World) -> None:
    house = House(world)
    client = house.client()
    assert client.new_proxy("p", house.port).error == "port unavailable"
    assert house.service.proxies == {}
    assert house.service.controls[client.run_id].proxies == {}
    house.proxy(client, "p")


def test_port_0_is_the_same_again_after_a_reconnect(world: World) -> None:
    house = House(world)
    first = house.client(run_id="me")
    address = first.new_proxy("p", 0).remote_addr
    assert re.fullmatch(r":\d+", address)
    first.close()
    world.until(lambda: not house.service.controls)
    assert house.client(run_id="me").new_proxy("p", 0).remote_addr == address


@pytest.mark.parametrize(
    ("limit", "mode", "at_once"),
    [("10KB", "server", 1024), ("10KB", "client", 4096), ("10KB", "", 4096), ("?", "server", 4096)],
)
def test_a_limit_is_kept_where_it_says_so(
    world: World, limit: str, mode: str, at_once: int
) -> None:
    house = House(world)
    client = house.client()
    port = house.proxy(client, bandwidth_limit=limit, bandwidth_limit_mode=mode)
    visitor = house.visit(port)
    work = house.serve(client)
    visitor.write(bytes(4096))
    world.settle()
    assert len(work.payload) == at_once
    world.pass_time(1.0, 0.02)
    world.until(lambda: len(work.payload) == 4096)


def test_a_name_may_be_so_long(world: World) -> None:
    client = House(world).client()
    assert client.new_proxy("n" * MAX_NAME_BYTES, free_port()).error == ""
    for name in ("n" * (MAX_NAME_BYTES + 1), "\u00e4" * (MAX_NAME_BYTES // 2 + 1)):
        error = client.new_proxy(name, free_port()).error
        assert error == f"proxy name is longer than {MAX_NAME_BYTES} bytes"
