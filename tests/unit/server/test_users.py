"""Users: each has what is its own, and nobody else does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from frpd.config.ports import PortSet
from frpd.config.secret import Secret
from frpd.config.users import UserConfig
from frpd.proto.message.types import CloseProxy, LoginResp, StartWorkConn
from tests.helpers.peers import TOKEN, ScriptedClient
from tests.helpers.ports import free_port, free_ports
from tests.helpers.seal import quick_stretch
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House
from tests.unit.server.test_login import SealedClient

__all__ = ["world"]

ALICE = UserConfig(
    name="alice",
    token=Secret("of alice"),
    allow_names=("alice.*",),
    allow_domains=("*.alice.example", "www.example"),
)
BOB = UserConfig(name="bob", token=Secret("of bob"), allow_names=("bob.*", "shared"))
GUEST = UserConfig(name="guest", allow_names=("guest.*",))
both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


def house_of(world: World, *users: UserConfig, **keys: Any) -> House:
    return House(world, users=users or (ALICE, BOB, GUEST), **keys)


def come(
    house: House, user: str, token: str = "", *, mux: bool = True, **fields: Any
) -> ScriptedClient:
    """Return a client that has logged in."""
    client, answer = knock(house, user, token or f"of {user}", mux=mux, **fields)
    assert answer.error == ""
    return client


def knock(
    house: House, user: str, token: str, *, mux: bool = True, **fields: Any
) -> tuple[ScriptedClient, LoginResp]:
    client = ScriptedClient(house.world, house.port, mux=mux, token=token)
    return client, client.login(user=user, **fields)


# Who comes in.


@both_kinds
def test_a_user_comes_in_with_its_own_token(world: World, mux: bool) -> None:
    house = house_of(world)
    client = come(house, "alice", mux=mux)
    assert house.service.controls[client.run_id].keys.user == "alice"
    assert client.new_proxy("alice.web", free_port()).error == ""
    come(house, "guest", TOKEN)
    come(house, "", TOKEN)


@pytest.mark.parametrize(
    ("user", "token"),
    [
        ("alice", TOKEN),
        ("alice", "of bob"),
        ("guest", "of alice"),
        ("", "of alice"),
        ("mallory", TOKEN),
        ("", TOKEN),
    ],
)
def test_all_who_may_not_come_in_get_the_same_answer(world: World, user: str, token: str) -> None:
    house = house_of(world, users_only=True)
    _, answer = knock(house, user, token)
    assert replace(answer, error="") == LoginResp(version=answer.version)
    assert answer.error == "authorization failed"


def test_a_user_comes_from_where_it_may_and_the_log_says_why_not(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    house = house_of(world, replace(ALICE, deny_cidrs=("127.0.0.0/8",)))
    assert knock(house, "alice", "of alice")[1].error == "authorization failed"
    assert "login refused: authorization failed (user 'alice' may not come from" in caplog.text
    assert "of alice" not in caplog.text


@both_kinds
def test_a_sealed_session_is_under_the_users_token(world: World, mux: bool) -> None:
    house = house_of(world)
    client = SealedClient(house, mux=mux, user="alice", privilege_key="")
    client.read_answer(quick_stretch("of alice"))
    client.prove()
    world.until(lambda: client.run_id in house.service.controls)
    assert house.service.controls[client.run_id].keys.user == "alice"


@pytest.mark.parametrize("user", ["alice", "mallory"])
def test_a_sealed_stranger_cannot_tell_whether_there_is_such_a_user(
    world: World, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    house = house_of(world, users_only=True)
    client = SealedClient(house, user=user, privilege_key="")
    answer = client.read_answer(b"x" * 32)
    assert (answer.error, len(client.stream.received)) == ("", len(client.stream.received))
    client.stream.write(client.control.start())
    world.until(lambda: client.wire.end)
    assert house.service.controls == {}
    assert ("there is no user 'mallory'" in caplog.text) == (user == "mallory")


def test_a_user_has_so_many_clients_and_one_that_comes_back_is_no_other(world: World) -> None:
    house = house_of(world, replace(ALICE, max_clients=1))
    first = come(house, "alice")
    _, answer = knock(house, "alice", "of alice")
    assert answer.error == "user [alice] has 1 clients already"
    assert knock(house, "alice", "wrong")[1].error == "authorization failed"
    come(house, "alice", run_id=first.run_id)


def test_a_sealed_client_too_many_hears_it_when_it_has_proved_itself(world: World) -> None:
    house = house_of(world, replace(ALICE, max_clients=1))
    come(house, "alice")
    client = SealedClient(house, user="alice", privilege_key="")
    assert client.read_answer(quick_stretch("of alice")).error == ""
    client.prove()
    answer = client.receive()
    assert isinstance(answer, LoginResp)
    assert answer.error == "user [alice] has 1 clients already"
    assert len(house.service.controls) == 1


# What is somebody's already.


@pytest.mark.parametrize(
    ("resident", "comer"),
    [("alice", "bob"), ("alice", "guest"), ("guest", ""), ("", "alice"), ("guest", "bob")],
)
def test_a_run_id_is_not_to_be_had_by_another_user(world: World, resident: str, comer: str) -> None:
    house = house_of(world)
    tokens = {"alice": "of alice", "bob": "of bob"}
    first = come(house, resident, tokens.get(resident, TOKEN))
    _, answer = knock(house, comer, tokens.get(comer, TOKEN), run_id=first.run_id)
    assert answer.error == f"run id [{first.run_id}] belongs to another user"
    assert first.wire.end == ""
    assert house.service.controls[first.run_id].user == resident


def test_a_sealed_client_does_not_take_a_run_id_of_another_user(world: World) -> None:
    house = house_of(world)
    first = come(house, "bob")
    client = SealedClient(house, user="alice", privilege_key="", run_id=first.run_id)
    client.read_answer(quick_stretch("of alice"))
    client.prove()
    answer = client.receive()
    assert isinstance(answer, LoginResp)
    assert "belongs to another user" in answer.error
    assert first.wire.end == ""


def test_without_sections_the_user_of_a_run_id_may_change(world: World) -> None:
    house = House(world)
    first = house.client(user="x")
    house.client(user="y", run_id=first.run_id)
    world.until(lambda: first.wire.end)


def test_a_client_brings_no_work_connection_for_another_user(world: World) -> None:
    house = house_of(world, authenticate_new_work_conns=True)
    alice, bob = come(house, "alice", mux=False), come(house, "bob")
    stock = house.service.controls[alice.run_id].work_conns
    bob.work(alice.run_id).until_end()
    stranger = ScriptedClient(world, house.port, mux=False, token="of bob")
    work = stranger.work(alice.run_id)
    assert "token in NewWorkConn" in work.receive(StartWorkConn).error
    assert stock.ready == 0


def test_a_client_closes_no_proxy_of_another(world: World) -> None:
    house = house_of(world)
    alice, bob = come(house, "alice"), come(house, "bob")
    assert alice.new_proxy("alice.web", free_port()).error == ""
    bob.control.send(CloseProxy(proxy_name="alice.web"))
    world.settle()
    assert "alice.web" in house.service.proxies


# Names.


@pytest.mark.parametrize(
    ("user", "name", "error"),
    [
        ("alice", "alice.web", ""),
        ("alice", "shared", "proxy name [shared] belongs to another user"),
        ("alice", "web", "proxy name [web] is none of those of user [alice]"),
        ("bob", "shared", ""),
        ("bob", "alice.x", "proxy name [alice.x] belongs to another user"),
        ("guest", "bob.x", "proxy name [bob.x] belongs to another user"),
        ("", "guest.x", "proxy name [guest.x] belongs to another user"),
        ("", "web", ""),
        ("carol", "carol.web", ""),
        ("carol", "bob.web", "proxy name [bob.web] belongs to another user"),
    ],
)
def test_a_name_is_for_its_user(world: World, user: str, name: str, error: str) -> None:
    house = house_of(world)
    token = f"of {user}" if user in ("alice", "bob") else TOKEN
    assert come(house, user, token).new_proxy(name, free_port()).error == error


def test_a_refusal_says_no_more_than_the_server_wants(world: World) -> None:
    house = house_of(world, detailed_errors_to_client=False)
    answer = come(house, "alice").new_proxy("bob.x", free_port())
    assert answer.error == "new proxy [bob.x] error"


# Domains.

ANOTHERS = "belongs to another user"


@pytest.mark.parametrize("kind", ["http", "https", "tcpmux"])
@pytest.mark.parametrize(
    ("user", "names", "error"),
    [
        ("alice", "a.alice.example,WWW.Example.", ""),
        ("alice", "*.alice.example", ""),
        ("alice", "other.example", "is none of those of user [alice]"),
        ("alice", "subdomain carol", "domain [carol.sub.example] " + ANOTHERS),
        ("carol", "subdomain carol", ""),
        ("bob", "other.example", ""),
        ("bob", "free.example,x.alice.example", ANOTHERS),
        ("bob", "alice.example", ANOTHERS),
        ("", "WWW.example.", ANOTHERS),
        ("", "*.example", "has some below that are another user's"),
        ("", "*", "has some below that are another user's"),
        ("", "*.www.example", ""),
        ("", "example", ""),
    ],
)
def test_a_domain_is_for_its_user(
    world: World, kind: str, user: str, names: str, error: str
) -> None:
    first = free_ports(3)
    carol = UserConfig(name="carol", allow_names=("carol.*",), allow_domains=("carol.sub.example",))
    house = house_of(
        world,
        ALICE,
        BOB,
        carol,
        subdomain_host="sub.example",
        vhost_http_port=first,
        vhost_https_port=first + 1,
        tcpmux_httpconnect_port=first + 2,
    )
    client = come(house, user, f"of {user}" if user in ("alice", "bob") else TOKEN)
    subdomain = names.removeprefix("subdomain ")
    answer = client.new_proxy(
        f"{user}.web" if user else "web",
        0,
        kind,
        custom_domains=names.split(",") if subdomain == names else [],
        subdomain=subdomain if subdomain != names else "",
        multiplexer="httpconnect",
    )
    assert error in answer.error
    assert bool(error) == bool(answer.error)


# Amounts.


def test_a_user_has_the_ports_that_both_sections_allow(world: World) -> None:
    low = free_ports(3)
    high, other = low + 1, low + 2
    user = replace(ALICE, allow_ports=PortSet(((low, low), (other, other))))
    house = house_of(world, user, allow_ports=f"{low}-{high}")
    alice, stranger = come(house, "alice"), come(house, "", TOKEN)
    assert alice.new_proxy("alice.a", other).error == "port not allowed"
    assert alice.new_proxy("alice.b", high).error == "port not allowed"
    assert alice.new_proxy("alice.c", 0).remote_addr == f":{low}"
    assert alice.new_proxy("alice.d", 0).error == "no available port"
    assert stranger.new_proxy("d", low).error == "port already used"
    assert stranger.new_proxy("e", high).error == ""
    house.reload(allow_ports=PortSet(((high, high),)))
    assert alice.new_proxy("alice.e", 0).error == "no available port"


def test_a_user_has_so_many_ports_a_client_and_so_many_proxies_in_all(world: World) -> None:
    house = house_of(world, replace(ALICE, max_ports_per_client=1, max_proxies=2))
    first, second = come(house, "alice"), come(house, "alice")
    assert first.new_proxy("alice.a", free_port()).error == ""
    assert first.new_proxy("alice.b", free_port()).error == "exceed the max_ports_per_client"
    assert second.new_proxy("alice.c", free_port()).error == ""
    second.control.send(CloseProxy(proxy_name="alice.c"))
    assert second.new_proxy("alice.c", free_port()).error == ""
    third = come(house, "alice")
    error = "exceed the max_proxies of user [alice]"
    assert third.new_proxy("alice.d", free_port()).error == error
    assert come(house, "", TOKEN).new_proxy("d", free_port()).error == ""


def test_a_user_has_so_many_visitors_at_all_its_clients(world: World) -> None:
    house = house_of(world, replace(ALICE, max_connections=1))
    clients = come(house, "alice"), come(house, "alice")
    ports = [house.proxy(client, f"alice.{number}") for number, client in enumerate(clients)]
    visitor = house.visit(ports[0])
    house.serve(clients[0])
    refused = house.visit(ports[1])
    world.until(lambda: refused.end)
    assert visitor.end == ""
    house.reload(users=(replace(ALICE, max_connections=2),))
    house.visit(ports[1])
    house.serve(clients[1])


# Groups.


def test_a_group_is_of_one_user(world: World) -> None:
    house = house_of(world)
    alice, second = come(house, "alice"), come(house, "alice")
    bob, stranger = come(house, "bob"), come(house, "", TOKEN)
    port = free_port()
    group = {"group": "g", "group_key": "k"}
    assert alice.new_proxy("alice.a", port, **group).error == ""
    assert second.new_proxy("alice.b", port, **group).error == ""
    error = "group [g] belongs to another user"
    assert bob.new_proxy("bob.a", port, **group).error == error
    assert stranger.new_proxy("a", port, **group).error == error


# Other sections.


def test_a_reload_leaves_who_is_there_and_tells_what_is_not_its_own_any_more(
    world: World,
) -> None:
    house = House(world)
    old, other = house.client(user="alice"), house.client(user="x")
    ports = [free_port() for _ in range(3)]
    assert old.new_proxy("alice.web", ports[0]).error == ""
    assert other.new_proxy("x.web", ports[1]).error == ""
    assert house.reload(users=(ALICE,)) == (
        "not their user's now, and left as they are: alice.web",
    )
    assert house.reload(users=(ALICE, BOB)) == (
        "not their user's now, and left as they are: alice.web",
    )
    assert house.reload(users=(ALICE, BOB)) == ()
    assert {"alice.web", "x.web"} <= set(house.service.proxies)
    # It has not proved the user's own token.
    assert "belongs to another user" in old.new_proxy("alice.ssh", ports[2]).error
    new = come(house, "alice")
    assert new.new_proxy("alice.ssh", ports[2]).error == ""
    house.reload(users=())
    assert new.new_proxy("anything", free_port()).error == ""
    _, answer = knock(house, "alice", TOKEN, run_id=new.run_id)
    assert "belongs to another user" in answer.error


def test_a_new_token_is_for_new_logins(world: World) -> None:
    house = house_of(world, authenticate_heartbeats=True)
    old = come(house, "alice")
    house.reload(users=(replace(ALICE, token=Secret("changed")),))
    assert knock(house, "alice", "of alice")[1].error == "authorization failed"
    come(house, "alice", "changed")
    assert old.new_proxy("alice.web", free_port()).error == ""
    assert old.wire.end == ""
