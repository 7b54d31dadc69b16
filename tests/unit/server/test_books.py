"""frpd.server.books: what a server remembers of those who came and went."""

from __future__ import annotations

from frpd.proto.message.types import CloseProxy
from frpd.server.books import SAMPLE_SECONDS
from tests.helpers.world import World
from tests.unit.server.house import House


def test_a_client_and_its_proxy_are_in_the_books_and_stay_there(world: World) -> None:
    house = House(world)
    books = house.service.books
    client = house.client(run_id="me", user="ann", hostname="laptop")
    house.proxy(client)
    (record,) = books.clients.records()
    assert (record.run_id, record.user, record.hostname) == ("me", "ann", "laptop")
    assert (record.address, record.is_online) == ("127.0.0.1", True)
    assert books.owner("web") == "me"
    assert set(books.requests) == {"web"}
    client.close()
    world.until(lambda: not house.service.controls)
    assert not next(books.clients.records()).is_online
    assert not next(books.statistics.figures(0.0)).is_online
    assert books.requests == {}
    assert books.owner("web") == "me"
    assert books.owner("nobody's") == ""


def test_a_proxy_that_registers_again_goes_on_with_its_counters(world: World) -> None:
    house = House(world)
    client = house.client()
    house.proxy(client)
    counters = house.service.proxies["web"].counters
    client.control.send(CloseProxy(proxy_name="web"))
    world.until(lambda: not house.service.proxies)
    house.proxy(client)
    assert house.service.proxies["web"].counters is counters


def test_running_relays_are_sampled_every_minute(world: World) -> None:
    house = House(world)
    client = house.client()
    visitor = house.visit(house.proxy(client))
    work = house.serve(client)
    visitor.write(b"12345")
    work.stream.write(b"123")
    world.until(lambda: bytes(work.payload) == b"12345" and bytes(visitor.received) == b"123")
    (figures,) = house.service.books.statistics.figures(0.0)
    assert (figures.bytes_in, figures.bytes_out, figures.connections_open) == (0, 0, 1)
    world.advance(SAMPLE_SECONDS)
    (figures,) = house.service.books.statistics.figures(0.0)
    assert (figures.bytes_in, figures.bytes_out) == (5, 3)
    visitor.close()
    work.stream.close()
    world.until(lambda: not house.service.relays)
    assert list(house.service.books.sample()) == []
    (figures,) = house.service.books.statistics.figures(0.0)
    assert (figures.bytes_in, figures.bytes_out, figures.connections_open) == (5, 3, 0)


def test_a_refused_proxy_is_not_in_the_books(world: World) -> None:
    house = House(world, allow_ports="6000-6001")
    assert house.client().new_proxy("web", 7000).error
    assert list(house.service.books.statistics.figures(0.0)) == []
    assert house.service.books.requests == {}


def test_a_relay_that_ends_between_the_steps_of_a_sample_counts_once(world: World) -> None:
    house = House(world)
    client = house.client()
    port = house.proxy(client)
    visitors, works = [], []
    for _ in range(2):
        visitors.append(house.visit(port))
        works.append(house.serve(client))
        visitors[-1].write(b"12345")
    world.until(lambda: all(bytes(work.payload) == b"12345" for work in works))
    steps = house.service.books.sample()
    next(steps)
    next(steps)
    for visitor in visitors:
        visitor.reset()
    world.until(lambda: not house.service.relays)
    list(steps)
    list(house.service.books.sample())
    (figures,) = house.service.books.statistics.figures(0.0)
    assert figures.bytes_in == 10


def test_an_older_sample_that_ends_later_counts_nothing_twice(world: World) -> None:
    house = House(world)
    client = house.client()
    visitor = house.visit(house.proxy(client))
    work = house.serve(client)
    visitor.write(b"12345")
    world.until(lambda: bytes(work.payload) == b"12345")
    older = house.service.books.sample()
    next(older)
    visitor.write(b"67")
    world.until(lambda: bytes(work.payload) == b"1234567")
    list(house.service.books.sample())
    list(older)
    list(house.service.books.sample())
    (figures,) = house.service.books.statistics.figures(0.0)
    assert figures.bytes_in == 7
