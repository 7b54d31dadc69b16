"""A visitor's way to its work connection, seen from both ends of the server."""

from __future__ import annotations

import pytest

from frpd.proto.native import FEATURES, offer
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House

__all__ = ["world"]

both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


@both_kinds
def test_bytes_travel_both_ways_and_are_counted(world: World, mux: bool) -> None:
    house = House(world)
    client = house.client(mux=mux)
    port = house.proxy(client)
    visitor = house.visit(port)
    work = house.serve(client)
    visitor.write(b"question")
    world.until(lambda: work.payload == b"question")
    work.write(b"the answer")
    world.until(lambda: visitor.received == b"the answer")
    counters = house.service.proxies["web"].counters
    assert (counters.connections_open, counters.connections_total) == (1, 1)
    visitor.close()
    work.until_end()
    work.stream.close()
    world.until(lambda: not house.service.relays)
    assert (counters.bytes_in, counters.bytes_out, counters.connections_open) == (8, 10, 0)
    client.close()
    house.until_empty()


def test_a_late_answer_reaches_the_visitor_of_an_frpd_client(world: World) -> None:
    house = House(world)
    client = house.client(frpd=offer(FEATURES))
    port = house.proxy(client)
    visitor = house.visit(port)
    work = house.serve(client)
    visitor.write(b"question")
    visitor.shutdown()
    work.until_end("eof")
    work.write(b"late answer")
    work.stream.close()
    world.until(lambda: visitor.end)
    assert visitor.received == b"late answer"
    assert visitor.end == "eof"
    visitor.close()
    client.close()
    house.until_empty()


def test_the_end_of_a_go_client_s_work_connection_ends_its_visitor(world: World) -> None:
    house = House(world)
    client = house.client()
    port = house.proxy(client)
    visitor = house.visit(port)
    work = house.serve(client)
    work.write(b"goodbye")
    work.stream.close()
    world.until(lambda: visitor.end)
    assert visitor.received == b"goodbye"
    world.advance(1.1)  # a visitor that says nothing more does not keep the relay
    assert not house.service.relays
    visitor.close()
    client.close()
    house.until_empty()


def test_a_visitor_that_resets_takes_its_work_connection_with_it(world: World) -> None:
    house = House(world)
    client = house.client()
    port = house.proxy(client)
    visitor = house.visit(port)
    work = house.serve(client)
    visitor.reset()
    work.until_end("reset")
    client.close()
    house.until_empty()


def test_a_stalled_visitor_stops_nobody_else(world: World) -> None:
    house = House(world)
    client = house.client()
    port = house.proxy(client)
    stalled = house.visit(port)
    stalled.reads = False
    first = house.serve(client)
    other = house.visit(port)
    second = house.serve(client)
    assert client.mux is not None
    session = client.mux.session
    total = 0
    for _ in range(200):  # more than the kernel and one window hold
        taken = session.send_data(first.stream.stream_id, bytes(65536))  # type: ignore[attr-defined]
        total += taken
        world.turn()
    assert total < 200 * 65536
    second.write(b"quick")
    world.until(lambda: other.received == b"quick")
    stalled.reads = True
    world.until(lambda: stalled.heard_bytes == total)
