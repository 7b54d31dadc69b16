"""Who may visit the proxies of a server: by address, in number, and how many new ones a second."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from frpd.config.check import MAX_PROXY_NETWORKS
from frpd.config.penalties import PenaltyRules
from frpd.config.server import ServerConfig
from frpd.errors import ProxyError
from frpd.log import get_logger
from frpd.metrics.access import Visit
from frpd.net.visitor_gate import Crowd, VisitorGate
from frpd.proto.message.types import CloseProxy, NewProxy, NewVisitorConnResp
from frpd.proto.message.types import StartWorkConn as Start
from frpd.server.visitor_gates import VisitorGates
from tests.helpers.peers import ScriptedClient, Wire
from tests.helpers.ports import free_port
from tests.helpers.world import World, world
from tests.unit.server.house import House
from tests.unit.server.nathole.cast import Caller, Cast
from tests.unit.server.proxies.test_udp import Scene
from tests.unit.server.vhost.test_connect_host import Front, connect
from tests.unit.server.vhost.web import CLOSE, GET, HOST, OK, Web, request

__all__ = ["world"]

ELSEWHERE: dict[str, Any] = {"allow_cidrs": ["192.0.2.0/24"]}
NOT_HERE: dict[str, Any] = {"deny_cidrs": ["127.0.0.0/8"]}
ONE: dict[str, Any] = {"max_connections": 1}
SLOW: dict[str, Any] = {"max_connection_rate": "0.1"}
GROUP: dict[str, Any] = {"group": "g", "group_key": "k"}
log = get_logger("frpd.test.gates").prefixed("web")


def gates_of(world: World, files: int = 2000, **keys: Any) -> VisitorGates:
    return VisitorGates(world.loop, ServerConfig(**keys), open_files=lambda: files)


def gate_of(gates: VisitorGates, client: Crowd | None = None, **fields: Any) -> VisitorGate:
    message = NewProxy(**({"proxy_name": "web", "proxy_type": "tcp"} | fields))
    return gates.gate(message, log, client or Crowd(), is_mux=fields.pop("is_mux", True))


def let_in(gate: VisitorGate) -> int:
    """Return how many visitors it takes."""
    count = 0
    while gate.refusal("127.0.0.1") is None:
        gate.enter()
        count += 1
    return count


# Limits that are not a proxy's own.


def test_visitors_leave_descriptors_to_others(world: World) -> None:
    gates = gates_of(world, files=1000, splice_budget_bytes=0)
    gates.ports_changed(50)
    assert let_in(gate_of(gates)) == 1000 - 250 - 50


def test_max_connections_holds_beside_that(world: World) -> None:
    gates = gates_of(world, max_connections=3)
    assert (let_in(gate_of(gates)), gates.limit) == (3, 3)
    gates.use(ServerConfig(max_connections=5))
    assert let_in(gate_of(gates, proxy_name="other")) == 2


def test_a_work_connection_of_its_own_costs_a_descriptor(world: World) -> None:
    gates = gates_of(world, files=1000, splice_budget_bytes=0)
    gate = gates.gate(NewProxy("web", "tcp"), log, Crowd(), is_mux=False)
    assert let_in(gate) == 750 / 2


def test_datagrams_count_for_their_proxy_alone(world: World) -> None:
    gates, client = gates_of(world, max_connections=1), Crowd(1)
    gate = gate_of(gates, client, proxy_type="udp", max_connections=7)
    assert let_in(gate) == 7
    assert (client.present, gates.total.present) == (0, 0)


def test_the_stricter_limit_of_a_proxy_holds_also_after_a_reload(world: World) -> None:
    gates = gates_of(world, max_connections_per_proxy=5)
    assert let_in(gate_of(gates, max_connections=3)) == 3
    assert let_in(gate_of(gates, proxy_name="b", max_connections=9)) == 5
    gates.use(ServerConfig(max_connections_per_proxy=0))
    assert let_in(gate_of(gates, proxy_name="c", max_connections=9)) == 9


def test_visitors_that_outlive_their_proxy_count_for_the_next_one_of_the_name(
    world: World,
) -> None:
    gates = gates_of(world)
    before = gate_of(gates, max_connections=2)
    assert let_in(before) == 2
    gates.forget("web")
    after = gate_of(gates, max_connections=3)
    assert let_in(after) == 1
    before.left()
    assert let_in(after) == 1


BAD: list[dict[str, Any]] = [
    {"allow_cidrs": ["all"]},
    {"deny_cidrs": ["10.0.0.1/8"]},
    {"allow_cidrs": ["192.0.2.1"] * (MAX_PROXY_NETWORKS + 1)},
    {"max_connection_rate": "many"},
    {"max_connection_rate": "nan"},
    {"max_connection_rate": "-1"},
    {"max_connection_rate": "inf"},
]


@pytest.mark.parametrize("fields", BAD)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    world: World, fields: dict[str, Any]
) -> None:
    with pytest.raises(ProxyError):
        gate_of(gates_of(world), **fields)
    house = House(world)
    client = house.client()
    assert client.new_proxy("web", free_port(), **fields).error
    house.proxy(client)


# Each type of proxy.


def refused(house: House) -> dict[str, dict[str, int]]:
    found = house.service.figures().refused_visitors
    return {name: dict(counts) for name, counts in found.items()}


def until_reset(world: World, wire: Wire) -> None:
    world.until(lambda: wire.end, "it is turned away")
    assert wire.end == "reset"


@pytest.mark.parametrize(("fields"), [ELSEWHERE, NOT_HERE, ELSEWHERE | NOT_HERE])
def test_tcp_visitors_from_elsewhere_are_reset_and_told_of(
    world: World, fields: dict[str, Any]
) -> None:
    told: list[Visit] = []
    house = House(world, told=told)
    port = house.proxy(house.client(), **fields)
    until_reset(world, house.visit(port))
    assert refused(house) == {"web": {"address": 1}}
    visit = told[0]
    assert (visit.ended, visit.by, visit.proxy) == ("refused", "server", "web")
    assert (visit.reason, visit.local) == ("not from this address", f"127.0.0.1:{port}")
    assert house.service.proxies["web"].counters.connections_total == 0


def test_the_next_tcp_visitor_is_taken_when_one_has_left(world: World) -> None:
    house = House(world)
    client = house.client()
    port = house.proxy(client, **ONE)
    first = house.visit(port)
    house.serve(client)
    until_reset(world, house.visit(port))
    assert house.service.figures().visitors == 1
    first.reset()
    world.until(lambda: not house.service.relays)
    second = house.visit(port)
    house.serve(client).write(b"hello")
    world.until(lambda: second.received)
    assert refused(house) == {"web": {"full": 1}}


def test_visitors_that_are_refused_otherwise_leave_their_place(world: World) -> None:
    house = House(world, user_conn_timeout=1)
    client = house.client()
    port = house.proxy(client, **ONE)
    first = house.visit(port)
    world.settle()
    world.advance(2.0)
    world.until(lambda: first.end)
    house.visit(port)
    house.serve(client)
    assert refused(house) == {}


def test_new_visitors_are_let_in_slowly(world: World) -> None:
    house = House(world)
    client = house.client()
    port = house.proxy(client, **SLOW)
    house.visit(port)
    house.serve(client)
    until_reset(world, house.visit(port))
    assert refused(house) == {"web": {"rate": 1}}


def test_all_proxies_of_a_client_share_its_limit_and_a_reload_changes_it(world: World) -> None:
    house = House(world, max_connections_per_client=1)
    client, other = house.client(), house.client()
    one, two = house.proxy(client, "one"), house.proxy(client, "two")
    house.visit(one)
    house.serve(client)
    until_reset(world, house.visit(two))
    house.visit(house.proxy(other, "three"))
    house.serve(other)
    house.reload(max_connections_per_client=2)
    house.visit(two)
    house.serve(client)
    assert refused(house) == {"two": {"full": 1}}


def test_a_client_may_have_so_many_proxies(world: World) -> None:
    house = House(world, max_proxies_per_client=1)
    client = house.client()
    house.proxy(client, "one")
    error = "exceed the max_proxies_per_client"
    assert client.new_proxy("two", free_port()).error == error
    client.control.send(CloseProxy("one"))
    world.settle()
    house.proxy(client, "two")


def test_http_requests_are_answered_and_the_connection_goes_on(world: World) -> None:
    told: list[Visit] = []
    web = Web(world, proxy=NOT_HERE, told=told)
    assert web.add("open", custom_domains=["open.example.com"]) == ""
    visitor = web.visit(GET)
    web.gets_page(visitor, 403)
    assert (told[0].ended, told[0].status, told[0].proxy) == ("refused", 403, "web")
    visitor.write(request(host="open.example.com"))
    web.work().write(OK)
    web.gets(visitor, OK)
    assert refused(web.house) == {"web": {"address": 1}}


def test_http_requests_under_way_count_and_not_lines_that_wait(world: World) -> None:
    web = Web(world, proxy=ONE)
    first, second = web.visit(GET), web.visit()
    work = web.work()
    second.write(GET)
    page = web.gets_page(second, 503)
    assert b"Retry-After: 5\r\n" in page
    work.write(OK)
    web.gets(first, OK)
    second.write(GET)
    web.work().write(OK)
    web.gets(second, OK)
    web.leaves_nothing()
    assert web.house.service.figures().visitors == 0


def test_http_requests_that_come_too_fast_are_told_when_to_come_again(world: World) -> None:
    web = Web(world, proxy=SLOW)
    visitor = web.visit(GET)
    web.work().write(OK)
    web.gets(visitor, OK)
    visitor.write(GET)
    assert b"Retry-After: 10\r\n" in web.gets_page(visitor, 429)


def test_who_is_refused_by_address_cannot_try_passwords(world: World) -> None:
    web = Web(world, proxy={"http_user": "ann", "http_pwd": "pwd", **NOT_HERE})
    web.gets_page(web.visit(GET), 403)


def test_idle_http_visitors_hold_a_place_of_the_server(world: World) -> None:
    web = Web(world, max_connections=1)
    first = web.visit(GET)
    web.work().write(OK)
    web.gets(first, OK)
    second = web.visit()
    assert b"Retry-After" in web.gets_page(second, 503, closed=True)
    assert refused(web.house) == {"": {"full": 1}}
    first.close()
    world.settle()
    third = web.visit(request("GET", "/", CLOSE.decode().strip()))
    web.work().write(OK)
    world.until(lambda: third.end)
    assert third.received.startswith(OK[:15])


def test_tcpmux_visitors_are_answered_instead_of_200(world: World) -> None:
    front = Front(world, NOT_HERE)
    front.add("slow", custom_domains=["slow.example.com"], **SLOW)
    far = front.visit(connect())
    world.until(lambda: far.end)
    assert far.received.startswith(b"HTTP/1.1 403 ")
    front.visit(connect("slow.example.com"))
    front.work()
    fast = front.visit(connect("slow.example.com"))
    world.until(lambda: fast.end)
    assert fast.received.startswith(b"HTTP/1.1 429 ")
    assert b"Retry-After: 10\r\n" in fast.received


def test_secret_visitors_hear_why(world: World) -> None:
    told: list[Visit] = []
    house = House(world, told=told)
    client, visiting = house.client(), house.client()
    for name, fields in (("far", NOT_HERE), ("small", ONE)):
        assert client.new_proxy(name, 0, "stcp", sk="k", **fields).error == ""
    answer = visiting.visit("far", "k").receive(NewVisitorConnResp)
    assert answer.error == "visitor connection of [far] refused: not from this address"
    assert [(one.proxy, one.ended, one.reason) for one in told] == [
        ("far", "refused", "not from this address")
    ]
    assert visiting.visit("small", "k").receive(NewVisitorConnResp).error == ""
    answer = visiting.visit("small", "k").receive(NewVisitorConnResp)
    assert answer.error == "visitor connection of [small] refused: too many visitors at a time"
    answer = visiting.visit("far", "guess").receive(NewVisitorConnResp)
    assert answer.error == "visitor connection of [far] auth failed"


def test_nobody_punches_a_hole_from_elsewhere(world: World) -> None:
    cast = Cast(world)
    cast.proxy(**NOT_HERE)
    assert cast.refusal().error == "xtcp visitor of [hole] refused: not from this address"
    assert cast.holes == 0


def test_nor_by_the_old_way(world: World) -> None:
    cast = Cast(world, owner={"version": "0.21.0"})
    cast.proxy(allow_users=["*"], **NOT_HERE)
    caller = Caller(cast)
    caller.ask()
    world.until(lambda: caller.inbox)
    assert cast.holes == 0


def test_datagrams_of_who_may_not_come_make_no_visitor(world: World) -> None:
    scene = Scene(world, proxy=ONE, udp_session_timeout=5.0)
    first, second = scene.visitor(), scene.visitor()
    first.sock.send(b"one")
    scene.until_heard(1)
    second.sock.send(b"two")
    world.until(lambda: scene.proxy.traffic.dropped_refused == 1)
    first.sock.send(b"three")
    assert [data for _, data in scene.until_heard(2)] == [b"one", b"three"]
    world.advance(6.0)
    second.sock.send(b"four")
    assert scene.until_heard(3)[-1][1] == b"four"


# Groups.


def members(house: House, *fields: dict[str, Any]) -> tuple[ScriptedClient, int]:
    client, port = house.client(), free_port()
    for name, own in zip("abc", fields, strict=False):
        assert client.new_proxy(name, port, **GROUP, **own).error == ""
    return client, port


def test_members_who_refuse_are_passed_over(world: World) -> None:
    house = House(world)
    client, port = members(house, NOT_HERE, {}, ONE)
    names = []
    for _ in range(4):
        house.visit(port)
        names.append(client.work().receive(Start).proxy_name)
    assert sorted(names) == ["b", "b", "b", "c"]
    assert refused(house) == {}


def test_when_all_refuse_the_mildest_reason_is_given(world: World) -> None:
    house = House(world)
    client, port = members(house, NOT_HERE, ONE)
    house.visit(port)
    house.serve(client)
    until_reset(world, house.visit(port))
    assert refused(house) == {"b": {"full": 1}}


def test_http_groups_pass_members_over_too(world: World) -> None:
    web = Web(world, proxy={"custom_domains": ["else.example.com"]})
    for name, fields in (("a", SLOW), ("b", NOT_HERE)):
        assert web.add(name, custom_domains=[HOST], **GROUP, **fields) == ""
    visitor = web.visit(GET)
    talker = web.client.work()
    assert talker.receive(Start).proxy_name == "a"
    talker.write(OK)
    web.gets(visitor, OK)
    visitor.write(GET)
    web.gets_page(visitor, 429)


def test_who_goes_to_another_member_counts_there(world: World) -> None:
    house = House(world)
    client, port = members(house, ONE, ONE)
    house.visit(port)
    work = client.work()
    assert work.receive(Start).proxy_name == "a"
    work.stream.reset()
    assert client.work().receive(Start).proxy_name == "b"
    house.visit(port)
    assert client.work().receive(Start).proxy_name == "a"
    until_reset(world, house.visit(port))


# Passwords.

GUARDED: dict[str, Any] = {"http_user": "ann", "http_pwd": "right"}
RULES: dict[str, Any] = {
    "per_source_penalties": PenaltyRules.parse("authfail:10 min:15"),
    "per_source_penalty_exempt_list": (),
}


def basic(password: str, header: str = "Authorization") -> str:
    return f"{header}: Basic {b64encode(f'ann:{password}'.encode()).decode()}"


def test_who_guesses_http_passwords_has_to_wait(world: World) -> None:
    told: list[Visit] = []
    web = Web(world, proxy=GUARDED, told=told, **RULES)
    assert web.add("other", custom_domains=["other.example.com"], **GUARDED) == ""
    visitor = web.visit()
    for _ in range(2):
        visitor.write(request("GET", "/", basic("wrong")))
        web.gets_page(visitor, 401)
    visitor.write(request("GET", "/", basic("right")))
    assert b"Retry-After: 20\r\n" in web.gets_page(visitor, 429)
    assert (told[-1].status, told[-1].reason) == (429, "too many wrong passwords")
    visitor.write(GET)
    web.gets_page(visitor, 401)
    visitor.write(request("GET", "/", basic("right"), host="other.example.com"))
    web.work().write(OK)
    web.gets(visitor, OK)
    world.advance(21.0)
    visitor.write(request("GET", "/", basic("right")))
    web.work().write(OK)
    web.gets(visitor, OK)


def test_who_guesses_tcpmux_passwords_has_to_wait(world: World) -> None:
    front = Front(world, GUARDED, **RULES)
    statuses = []
    for user in ("ann:wrong", "ann:wrong", "ann:right", ""):
        visitor = front.visit(connect(user=user))
        world.until(lambda visitor=visitor: visitor.end)  # type: ignore[misc]
        statuses.append(visitor.received.split()[1])
    assert statuses == [b"407", b"407", b"429", b"407"]


def test_penalties_may_be_off(world: World) -> None:
    web = Web(world, proxy=GUARDED, per_source_penalties=PenaltyRules.parse("no"))
    visitor = web.visit()
    for _ in range(9):
        visitor.write(request("GET", "/", basic("wrong")))
        web.gets_page(visitor, 401)
