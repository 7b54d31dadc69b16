"""Towards a client with direct-stream the server opens the streams, and asks for none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from frpd.errors import LimitError, TransportError
from frpd.proto.message.types import ReqWorkConn, StartWorkConn
from frpd.proto.native import DIRECT_STREAM, HALF_CLOSE, offer
from frpd.server.direct_streams import DirectStreams
from frpd.server.work_conns import Waiting
from frpd.transports.mux import OnStream
from frpd.transports.mux_stream import MuxStream
from frpd.transports.work import WorkStream
from tests.helpers.peers import ScriptedClient, Talker
from tests.helpers.world import World
from tests.unit.server.house import House
from tests.unit.transports.links import Links

OFFER = offer({DIRECT_STREAM, HALF_CLOSE})


def next_work(client: ScriptedClient) -> Talker:
    """Return the next stream that the server opened to a client."""
    mux = client.mux
    assert mux is not None
    client.world.until(lambda: mux.accepted, "a stream of the server's")
    return Talker(client.world, mux.accepted.pop(0))


def test_a_visitor_s_stream_comes_with_start_work_conn_and_without_a_request(
    world: World,
) -> None:
    house = House(world, max_pool_count=5)
    client = house.client(frpd=OFFER, pool_count=5)
    port = house.proxy(client)
    visitor = house.visit(port)
    visitor.write(b"question")
    work = next_work(client)
    start = work.receive(StartWorkConn)
    assert (start.proxy_name, start.src_port) == ("web", visitor.address[1])
    world.until(lambda: work.payload == b"question")
    work.write(b"the answer")
    world.until(lambda: visitor.received == b"the answer")
    assert client.control.take_all(ReqWorkConn) == []
    visitor.close()
    work.until_end()
    work.stream.close()
    client.close()
    house.until_empty()


def test_without_mux_there_is_no_direct_stream(world: World) -> None:
    house = House(world)
    client = house.client(mux=False, frpd=OFFER)
    assert DIRECT_STREAM not in house.service.controls[client.run_id].features


def test_a_work_connection_that_nobody_asked_for_is_closed(world: World) -> None:
    house = House(world)
    client = house.client(frpd=OFFER)
    client.work().until_end()
    assert house.service.controls[client.run_id].work_conns.ready == 0


def test_the_end_of_the_client_refuses_its_visitors(world: World) -> None:
    house = House(world)
    client = house.client(frpd=OFFER)
    visitor = house.visit(house.proxy(client))
    next_work(client).receive(StartWorkConn)
    client.close()
    world.until(lambda: visitor.end)
    visitor.close()
    house.until_empty()


class Play:
    """Streams that are opened when the play says so."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.opens: list[tuple[OnStream, Callable[[TransportError], None]]] = []
        self.got: list[WorkStream] = []
        self.errors: list[str] = []
        self.source = DirectStreams(world.loop, self._open, wait_seconds=5.0)

    def _open(self, on_open: OnStream, on_failed: Callable[[TransportError], None]) -> None:
        self.opens.append((on_open, on_failed))

    def visitor(self) -> Waiting:
        return self.source.acquire(self.got.append, lambda error: self.errors.append(str(error)))

    def stream(self) -> MuxStream:
        return Links(self.world).open()[0]


@pytest.fixture
def play(world: World) -> Play:
    return Play(world)


def test_a_stream_that_opens_later_serves_the_visitor_that_waits(play: Play) -> None:
    play.visitor()
    assert (play.source.ready, play.source.waiting) == (0, 1)
    stream = play.stream()
    play.opens[0][0](stream)
    assert [work.endpoint for work in play.got] == [stream]
    assert play.source.waiting == 0
    play.world.advance(10)
    assert play.errors == []


def test_a_visitor_waits_no_longer_than_allowed_and_its_late_stream_is_reset(play: Play) -> None:
    play.visitor()
    play.world.advance(2)
    play.visitor()
    play.world.advance(3.1)
    assert play.errors == ["timeout trying to get work connection"]
    stream = play.stream()
    play.opens[0][0](stream)
    assert play.got == []
    with pytest.raises(TransportError, match="reset here"):
        stream.write(b"x")
    play.world.advance(2)
    assert len(play.errors) == 2


def test_a_stream_for_a_visitor_that_went_away_is_reset(play: Play) -> None:
    play.visitor().cancel()
    stream = play.stream()
    play.opens[0][0](stream)
    assert play.got == []
    with pytest.raises(TransportError, match="reset here"):
        stream.write(b"x")


def test_an_open_that_fails_refuses_the_visitor(play: Play) -> None:
    play.visitor()
    play.opens[0][1](TransportError("no streams"))
    assert play.errors == ["no streams"]


def test_whoever_waits_at_the_end_is_refused_once(play: Play) -> None:
    play.visitor()
    play.source.close()
    play.source.close()
    play.opens[0][1](TransportError("the connection is closed"))
    assert play.errors == ["the client has gone"]


def test_too_many_waiting_visitors_are_refused(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frpd.server.direct_streams.MAX_WAITING", 1)
    play.visitor()
    with pytest.raises(LimitError):
        play.visitor()
