"""A visitor whose member refuses goes to another one, as long as that is safe."""

from __future__ import annotations

import pytest

from frpd.proto.message.types import StartWorkConn
from frpd.proto.native import FEATURES, offer
from frpd.server.groups.roster import REFUSAL_SECONDS
from frpd.server.groups.visit import HOLD_SECONDS, PROMPT_SECONDS
from tests.helpers.peers import ScriptedClient, Talker, Wire
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House

__all__ = ["world"]

WRAPPERS = pytest.mark.parametrize("wraps", [False, True], ids=["plain", "wrapped"])


class Two:
    """A group with members a and b, of one client."""

    def __init__(self, world: World, *, go: bool = False, wraps: bool = False) -> None:
        self.world = world
        self.house = House(world)
        self.port = free_port()
        self.client = self.house.client(frpd=None if go else offer(FEATURES))
        for name in ("a", "b"):
            self.join(self.client, name, wraps=wraps)

    def join(self, client: ScriptedClient, name: str, *, wraps: bool = False) -> None:
        answer = client.new_proxy(name, self.port, group="g", use_encryption=wraps)
        assert answer.error == ""

    def prove(self) -> None:
        """Let both have served a visitor."""
        for _ in range(2):
            visitor = self.visit()
            _, work = self.work()
            work.write(b"hi")
            self.world.until(lambda visitor=visitor: visitor.received)  # type: ignore[misc]

    def visit(self) -> Wire:
        return self.house.visit(self.port)

    def work(self) -> tuple[str, Talker]:
        """Bring a work connection; return who is to serve on it."""
        talker = self.client.work()
        return talker.receive(StartWorkConn).proxy_name, talker

    def counters(self) -> list[tuple[int, int]]:
        proxies = self.house.service.proxies
        each = [proxies[name].counters for name in ("a", "b")]
        return [(one.connections_open, one.connections_total) for one in each]


@WRAPPERS
def test_a_reset_before_the_first_byte_is_a_refusal(world: World, wraps: bool) -> None:
    two = Two(world, wraps=wraps)
    visitor = two.visit()
    name, work = two.work()
    assert name == "a"
    work.stream.reset()
    name, work = two.work()
    assert name == "b"
    world.settle()
    world.clock.advance(HOLD_SECONDS)
    visitor.write(b"hello")
    world.until(lambda: len(work.payload) >= 5)
    assert wraps or work.payload == b"hello"
    assert two.counters() == [(0, 1), (1, 1)]


def test_so_is_the_end_of_a_go_client_s_work_connection(world: World) -> None:
    two = Two(world, go=True)
    visitor = two.visit()
    two.work()[1].stream.close()
    name, work = two.work()
    assert name == "b"
    work.write(b"welcome")
    world.until(lambda: visitor.received == b"welcome")


def test_the_end_alone_of_an_frpd_client_s_is_what_the_service_said(world: World) -> None:
    two = Two(world)
    visitor = two.visit()
    _, work = two.work()
    work.stream.close()
    world.until(lambda: visitor.end == "eof")
    visitor.write(b"a late word")
    world.until(lambda: work.payload == b"a late word")
    assert two.counters() == [(1, 1), (0, 0)]


def test_when_all_refuse_the_visitor_is_told_the_end(world: World) -> None:
    two = Two(world)
    visitor = two.visit()
    for _ in range(2):
        two.work()[1].stream.reset()
    world.until(lambda: visitor.end == "eof")
    assert two.counters() == [(0, 1), (0, 1)]
    assert not two.house.service.relays


def test_first_words_wait_where_nobody_knows_the_service(world: World) -> None:
    two = Two(world)
    visitor = two.visit()
    visitor.write(b"GET")
    _, work = two.work()
    world.settle()
    assert not work.payload
    work.stream.reset()
    name, work = two.work()
    assert name == "b"
    world.settle()
    assert not work.payload
    world.clock.advance(HOLD_SECONDS)
    world.until(lambda: work.payload == b"GET")


def test_but_only_once(world: World) -> None:
    two = Two(world)
    for hold in (HOLD_SECONDS, HOLD_SECONDS, 0.0, 0.0):
        visitor = two.visit()
        _, work = two.work()
        world.settle()
        world.clock.advance(hold)
        visitor.write(b"GET")
        world.until(lambda work=work: work.payload == b"GET")  # type: ignore[misc]


def test_a_visitor_that_leaves_meanwhile_is_noticed(world: World) -> None:
    two = Two(world)
    visitor = two.visit()
    _, work = two.work()
    visitor.close()
    world.settle()
    world.clock.advance(HOLD_SECONDS)
    work.until_end("eof")
    work.stream.close()
    world.until(lambda: not two.house.service.relays)


def test_what_a_visitor_has_said_is_never_said_twice(world: World) -> None:
    two = Two(world)
    two.prove()
    visitor = two.visit()
    visitor.write(b"transfer it all")
    _, work = two.work()
    world.until(lambda: work.payload == b"transfer it all")
    work.stream.reset()
    world.until(lambda: visitor.end)
    assert two.counters() == [(1, 2), (1, 1)]


def test_but_the_next_visitors_are_spared_that_member(world: World) -> None:
    two = Two(world)
    two.prove()
    visitor = two.visit()
    visitor.write(b"hello")
    _, work = two.work()
    world.until(lambda: work.payload)
    work.stream.reset()
    world.until(lambda: visitor.end)
    names = []
    for _ in range(3):
        two.visit()
        names.append(two.work()[0])
    assert names == ["b", "b", "b"]
    world.clock.advance(REFUSAL_SECONDS)
    two.visit()
    two.visit()
    assert {two.work()[0], two.work()[0]} == {"a", "b"}


def test_a_visitor_that_leaves_without_a_word_is_no_refusal(world: World) -> None:
    two = Two(world)
    two.prove()
    visitor = two.visit()
    _, work = two.work()
    visitor.reset()
    work.until_end("reset")
    world.until(lambda: len(two.house.service.relays) == 2)  # of those who proved them
    names = []
    for _ in range(2):
        two.visit()
        names.append(two.work()[0])
    assert names == ["b", "a"]


def test_the_service_may_speak_first(world: World) -> None:
    two = Two(world)
    visitor = two.visit()
    _, work = two.work()
    work.write(b"220 ready")
    world.until(lambda: visitor.received == b"220 ready")
    work.stream.reset()
    world.until(lambda: visitor.end == "reset")
    assert two.counters()[1] == (0, 0)


@pytest.mark.parametrize(
    ("ends", "seconds"), [("close", 0.0), ("reset", PROMPT_SECONDS + 0.1)], ids=["end", "late"]
)
def test_a_service_that_only_listens_is_not_ill(world: World, ends: str, seconds: float) -> None:
    two = Two(world)
    two.prove()
    visitor = two.visit()
    visitor.write(b"a line for the log")
    name, work = two.work()
    world.until(lambda: work.payload)
    visitor.shutdown()
    work.until_end("eof")
    world.clock.advance(seconds)
    getattr(work.stream, ends)()
    world.until(lambda: len(two.house.service.relays) == 2)
    names = []
    for _ in range(2):
        two.visit()
        names.append(two.work()[0])
    assert (name, names) == ("a", ["b", "a"])


def test_who_brings_no_work_connection_is_passed_over(world: World) -> None:
    two = Two(world)
    two.visit()
    world.settle()
    for _ in range(2):
        world.advance(11.0)  # user_conn_timeout is 10 s
    assert two.counters() == [(0, 1), (0, 1)]


def test_an_operator_may_cut_it_while_nobody_speaks(world: World) -> None:
    two = Two(world)
    visitor = two.visit()
    _, work = two.work()
    world.settle()
    assert [relay.progress().owner for relay in two.house.service.relays] == ["a"]
    assert two.house.service.cut_visitors("a") == 1
    world.until(lambda: visitor.end == "reset")
    work.until_end("reset")
    assert two.counters() == [(0, 1), (0, 0)]


def test_nothing_is_left(world: World) -> None:
    two = Two(world)
    silent = two.visit()
    two.work()
    refused = two.visit()
    two.work()[1].stream.reset()
    two.work()[1].stream.reset()
    world.until(lambda: refused.end)
    silent.close()
    refused.close()
    two.client.close()
    two.house.until_empty()
