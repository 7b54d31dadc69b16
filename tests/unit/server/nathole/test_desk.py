"""NatHoleDesk: what the service holds of hole punching."""

from __future__ import annotations

import socket

import pytest

from frpd.config.server import ServerConfig
from frpd.net.listener import ListenError
from frpd.net.socket_store import SocketStore
from frpd.proto.message.types import Pong
from frpd.server.entrances import still_wanted
from frpd.server.nathole.late_desk import bind_hole_port
from tests.helpers.ports import free_port
from tests.helpers.socket_keeper import SocketKeeper
from tests.helpers.world import World
from tests.unit.server.nathole.cast import EASY, EASY_TOO, Caller, Cast


def test_there_is_no_port_unless_it_is_named() -> None:
    assert bind_hole_port(ServerConfig(), SocketStore()) == []


def test_the_port_is_bound_where_clients_come() -> None:
    config = ServerConfig(bind_addr="127.0.0.1", bind_udp_port=free_port())
    (sock,) = bind_hole_port(config, SocketStore())
    with sock:
        assert sock.type == socket.SOCK_DGRAM
        assert sock.getsockname() == ("127.0.0.1", config.bind_udp_port)
        with pytest.raises(ListenError, match="address already in use"):
            bind_hole_port(config, SocketStore())


def test_the_port_outlives_a_restart() -> None:
    config = ServerConfig(bind_addr="127.0.0.1", bind_udp_port=free_port())
    keeper = SocketKeeper()
    (sock,) = bind_hole_port(config, SocketStore(keeper.tell))
    assert keeper.names == [f"udp/127.0.0.1/{config.bind_udp_port}"]
    sock.close()  # with the process; the manager's copy keeps the address
    store = SocketStore(keeper.tell, keeper.pass_on())
    store.sift(still_wanted(config, []))
    (again,) = bind_hole_port(config, store)
    with again:
        assert again.getsockname() == ("127.0.0.1", config.bind_udp_port)
    keeper.close()


def test_what_is_no_word_about_holes_is_left_alone(world: World) -> None:
    cast = Cast(world)
    control = cast.house.service.controls[cast.owner.run_id]
    cast.house.service._nat_holes.receive(control, Pong())
    assert cast.holes == 0


def test_a_reload_changes_how_long_successes_are_remembered(world: World) -> None:
    cast = Cast(world, nat_hole_analysis_data_reserve_hours=1)
    cast.proxy()
    cast.meet(EASY, EASY_TOO)
    scores = cast.house.service._nat_holes.desk._scores
    assert (len(scores), scores.reserve_seconds) == (1, 3600)
    cast.house.reload(nat_hole_analysis_data_reserve_hours=2)
    assert (len(scores), scores.reserve_seconds) == (1, 7200)


def test_the_port_is_free_once_the_service_stops(world: World) -> None:
    cast = Cast(world)
    caller = Caller(cast)
    caller.ask(name="none")
    assert caller.hears().error
    cast.house.service.shut_down(lambda: None)
    with socket.socket(type=socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", cast.udp_port))
    cast.house.service._nat_holes.desk._send(b"late", ("127.0.0.1", cast.udp_port), [])
