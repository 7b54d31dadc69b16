"""OpenEntrances: ports come and go while those that stay notice nothing."""

from __future__ import annotations

import socket

import pytest

from frpd.net.listener import ListenError
from frpd.net.pace import Pace
from frpd.net.socket_store import SocketStore
from frpd.net.stream import SocketStream
from frpd.server.entrances import Entrance, Speech
from frpd.server.open_entrances import OpenEntrances
from tests.helpers.ports import free_port
from tests.helpers.world import World

HERE = "127.0.0.1"
FRP, HTTP, HTTPS = Speech.FRP, Speech.HTTP, Speech.HTTPS


class Hall:
    """Entrances, and what was spoken where visitors came to."""

    def __init__(self, world: World, pace: Pace | None = None) -> None:
        self.world = world
        self.came: list[Speech] = []
        pace_of = None if pace is None else (lambda _speech: pace)
        self.entrances = OpenEntrances(world.loop, self._welcome, SocketStore(), pace_of)
        world.owners.callback(self.entrances.close)

    def _welcome(self, stream: SocketStream, speech: Speech) -> None:
        self.came.append(speech)
        stream.abort()

    def become(self, *wanted: Entrance) -> None:
        self.entrances.change(wanted, self.entrances.bind_missing(wanted))

    def visit(self, port: int, host: str = HERE) -> Speech:
        """Connect; return what is spoken there."""
        with socket.create_connection((host, port), timeout=10):
            self.world.until(lambda: self.came)
        return self.came.pop()

    @property
    def ports(self) -> list[int]:
        return [address[1] for address in self.entrances.addresses]


@pytest.fixture
def hall(world: World) -> Hall:
    return Hall(world)


def test_what_is_new_opens_and_what_is_not_wanted_closes(
    hall: Hall, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    stays, old, new = free_port(), free_port(), free_port()
    clients = Entrance(HERE, stays, FRP)
    hall.become(clients, Entrance(HERE, old, HTTP))
    listener = hall.entrances._open[HERE, stays].listener
    caplog.clear()
    hall.become(clients, Entrance(HERE, new, HTTP))
    assert hall.ports == [stays, new]
    assert hall.entrances._open[HERE, stays].listener is listener
    assert (hall.visit(stays), hall.visit(new)) == (FRP, HTTP)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HERE, old), timeout=10)
    assert [record.getMessage() for record in caplog.records] == [
        f"http service listen on {HERE}:{new}",
        f"http service left {HERE}:{old}",
    ]


def test_who_has_connected_to_a_port_that_goes_is_served(hall: Hall) -> None:
    old, new = free_port(), free_port()
    hall.become(Entrance(HERE, old, HTTP))
    with socket.create_connection((HERE, old), timeout=10):
        hall.become(Entrance(HERE, new, HTTP))
    assert hall.came == [HTTP]


def test_a_port_that_cannot_be_had_leaves_everything_as_it_was(hall: Hall) -> None:
    old, new = free_port(), free_port()
    hall.become(Entrance(HERE, old, HTTP))
    with socket.create_server((HERE, 0)) as holder:
        taken = holder.getsockname()[1]
        wanted = [Entrance(HERE, new, HTTP), Entrance(HERE, taken, HTTPS)]
        with pytest.raises(ListenError, match="address already in use") as refused:
            hall.entrances.bind_missing(wanted)
        assert refused.value.port == taken
    assert hall.ports == [old]
    assert hall.visit(old) is HTTP
    hall.become(Entrance(HERE, new, HTTP))  # nothing stayed bound


def test_what_is_spoken_on_a_port_may_change(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    port, other = free_port(), free_port()
    hall.become(Entrance(HERE, port, FRP | HTTP), Entrance(HERE, other, HTTPS))
    caplog.clear()
    hall.become(Entrance(HERE, port, FRP | HTTPS), Entrance(HERE, other, HTTP))
    assert (hall.visit(port), hall.visit(other)) == (FRP | HTTPS, HTTP)
    assert [record.getMessage() for record in caplog.records] == [
        f"http service left {HERE}:{port}",
        f"https service listen on {HERE}:{port}",
        f"https service left {HERE}:{other}",
        f"http service listen on {HERE}:{other}",
    ]


@pytest.mark.parametrize(("old", "new"), [("0.0.0.0", HERE), (HERE, "0.0.0.0")])
def test_another_address_of_the_same_port_is_bound_before_the_old_one_goes(
    hall: Hall, old: str, new: str
) -> None:
    port = free_port()
    hall.become(Entrance(old, port, HTTP))
    wanted = [Entrance(new, port, HTTP)]
    socks = hall.entrances.bind_missing(wanted)
    assert hall.ports == [port]  # both are bound
    hall.entrances.change(wanted, socks)
    assert hall.visit(port) is HTTP
    assert socks[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0  # no longer


def test_a_port_that_stays_is_shared_with_nobody(hall: Hall) -> None:
    port = free_port()
    everywhere = Entrance("0.0.0.0", port, FRP)
    hall.become(everywhere)
    with pytest.raises(ListenError, match="address already in use"):
        hall.entrances.bind_missing([everywhere, Entrance(HERE, port, HTTP)])


def test_after_the_end_nobody_is_let_in(hall: Hall) -> None:
    port = free_port()
    hall.become(Entrance(HERE, port, HTTP))
    hall.entrances.close()
    hall.entrances.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HERE, port), timeout=10)


def test_a_crowd_of_strangers_keeps_clients_waiting_and_no_visitors(world: World) -> None:
    pace = Pace(world.loop.now, places=1)
    hall = Hall(world, pace)
    clients, web = Entrance(HERE, free_port(), FRP), Entrance(HERE, free_port(), HTTP)
    hall.become(clients, web)
    assert hall.visit(clients.port) is FRP
    assert pace.wait_seconds()
    assert [hall.visit(web.port) for _ in range(3)] == [HTTP] * 3
