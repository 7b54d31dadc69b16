"""LateDesk: no desk until there is something to do, and then one of the latest configuration."""

from __future__ import annotations

from frpd.config.server import ServerConfig
from frpd.net.socket_store import SocketStore
from frpd.server.nathole.late_desk import LateDesk, bind_hole_port
from tests.helpers.world import World
from tests.unit.server.house import House
from tests.unit.server.nathole.cast import EASY, EASY_TOO, Cast


def holes_of(house: House) -> LateDesk:
    return house.service._nat_holes


def test_a_server_without_holes_has_no_desk(world: World) -> None:
    house = House(world)
    assert holes_of(house)._desk is None
    holes_of(house).close()
    assert holes_of(house)._desk is None


def test_the_first_who_wants_one_gets_a_desk_of_the_latest_configuration(world: World) -> None:
    late = holes_of(House(world))
    late.use(ServerConfig(nat_hole_analysis_data_reserve_hours=3))
    assert late.desk is late.desk
    assert late.desk._scores.reserve_seconds == 3 * 3600


def test_a_port_wants_one_at_once_and_holes_are_punched_by_it(world: World) -> None:
    assert bind_hole_port(ServerConfig(), SocketStore()) == []
    cast = Cast(world)
    assert holes_of(cast.house)._desk is not None
    cast.proxy()
    cast.meet(EASY, EASY_TOO)
