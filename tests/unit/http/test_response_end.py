"""Answers over a multiplexed connection, spliced: exactly what belongs to them is passed on."""

from __future__ import annotations

from contextlib import suppress

import pytest

from frpd.errors import ConnectionLost
from frpd.http.response_end import ResponseEnd
from frpd.net.endpoint import Outcome
from frpd.proto.http.head import DEFAULT_LIMITS, ResponseHead, parse_request
from tests.helpers.endpoint import ScriptedEndpoint
from tests.helpers.peers import Talker
from tests.helpers.world import World
from tests.unit.http.test_message_end import pattern
from tests.unit.server.conftest import world
from tests.unit.server.vhost.web import GET, OK, Web

__all__ = ["world"]

KIB = 1024
MIB = 1024 * KIB


def pour(web: Web, work: Talker, data: bytes) -> None:
    """Send as a service does, in large pieces and never more than is read."""
    for start in range(0, len(data), 64 * KIB):
        work.write(data[start : start + 64 * KIB])
        web.world.turn(4)


@pytest.mark.parametrize("size", [2 * MIB - 1, 2 * MIB, 2 * MIB + 1])
def test_spliced_answers_end_exactly(world: World, size: int) -> None:
    web = Web(world)
    visitor = web.visit(GET)
    work = web.work()
    body = pattern(size)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    for _ in range(2):
        pour(web, work, head + body)
        web.gets(visitor, head + body)
        visitor.write(GET)
        world.settle()
    assert web.house.service._pipes.bytes_in_use
    work.write(OK)
    web.gets(visitor, OK)
    web.leaves_nothing()


def test_what_comes_behind_a_spliced_answer_goes_nowhere(world: World) -> None:
    web = Web(world)
    visitor = web.visit(GET)
    work = web.work()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MIB
    body = pattern(MIB)
    pour(web, work, head + body + OK * 100)
    web.gets(visitor, head + body)
    work.until_end()
    visitor.write(GET)
    again = web.work()
    again.write(OK)
    web.gets(visitor, OK)
    web.leaves_nothing()


def test_large_and_small_chunks_alternate(world: World) -> None:
    web = Web(world)
    visitor = web.visit(GET)
    work = web.work()
    large = b"%x\r\n%b\r\n" % (MIB, pattern(MIB))
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer += (large + b"3\r\nabc\r\n") * 3 + b"0\r\n\r\n"
    pour(web, work, answer)
    web.gets(visitor, answer)
    assert web.house.service._pipes.bytes_in_use
    visitor.write(GET)
    world.settle()
    work.write(OK)
    web.gets(visitor, OK)
    web.leaves_nothing()


def test_a_visitor_that_does_not_read_holds_the_service_back(world: World) -> None:
    web = Web(world)
    visitor = web.visit()
    visitor.reads = False
    visitor.write(GET)
    work = web.work()
    work.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
    sent = 0
    with suppress(AssertionError):  # more than the window
        for _ in range(64 * MIB // (16 * KIB)):
            work.write(bytes(16 * KIB))
            sent += 16 * KIB
            world.turn(2)
    assert sent < 32 * MIB
    web.leaves_nothing()


# Alone


def answer_to(world: World, keep: bool = True) -> tuple[ScriptedEndpoint, ResponseEnd]:
    inner = ScriptedEndpoint(world.loop)

    def on_head(_head: ResponseHead, _ends: bool) -> bool:
        return keep

    return inner, ResponseEnd(world.loop, inner, parse_request(GET), DEFAULT_LIMITS, on_head)


def test_a_whole_answer_is_one_read(world: World) -> None:
    inner, end = answer_to(world)
    inner.say(OK)
    world.turn(2)
    assert end.read(1000) == OK
    assert (end.over, end.is_reusable, end.given, end.heard) == (True, True, len(OK), len(OK))
    assert end.read(1000) is Outcome.EOF


def test_a_visitor_that_is_closed_is_told(world: World) -> None:
    inner, end = answer_to(world, keep=False)
    inner.say(OK)
    world.turn(2)
    assert b"Connection: close\r\n" in bytes(end.read(1000))  # type: ignore[arg-type] # bytes


def test_no_answer_is_a_loss(world: World) -> None:
    inner, end = answer_to(world)
    inner.say(b"HTTP/1.1 ")
    world.turn(2)
    assert end.read(1000) is Outcome.EMPTY
    inner.end()
    world.turn(2)
    with pytest.raises(ConnectionLost):
        end.read(1000)
    assert (end.head, end.error, end.heard) == (None, None, 9)
