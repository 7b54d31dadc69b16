"""quic_bind_port: clients over QUIC against the whole service, and what is left of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from frpd.errors import ConfigError
from frpd.proto.message.codec import MessageDecoder, encode_message
from frpd.proto.message.types import LoginResp, NewWorkConn
from frpd.server.fittings import load_fittings
from frpd.server.snapshot import take_snapshot
from frpd.transports.quic_session import QuicSession
from frpd.transports.quic_stream import QuicStream
from tests.helpers.peers import TOKEN, login_message
from tests.helpers.ports import free_port
from tests.helpers.quic import fail, knock
from tests.helpers.steps import outcome
from tests.unit.server.house import House
from tests.unit.transports.links import Reader

if TYPE_CHECKING:
    from frpd.proto.message.types import Login
    from tests.helpers.world import World


class Client:
    """An frpc over QUIC, up to its login."""

    def __init__(self, house: House, port: int) -> None:
        self.house = house
        self.world = house.world
        self.session: QuicSession
        self.session, self.lost, _ = knock(self.world, port)
        self.until(lambda: self.session.is_ready)
        self.control = self.stream()
        self.heard = Reader(self.control)

    def stream(self) -> QuicStream:
        opened: list[QuicStream] = []
        self.session.open_stream(opened.append, fail)
        return opened[0]

    def until(self, fact: object) -> None:
        """As World's, while time passes slowly."""
        assert callable(fact)

        def ticks() -> object:
            self.world.clock.advance(0.001)
            return fact()

        self.world.until(ticks)

    def login(self, **fields: Any) -> LoginResp:
        login: Login = login_message(TOKEN, **fields)
        self.control.write(encode_message(login))
        decoder = MessageDecoder()
        found: list[LoginResp] = []

        def answered() -> bool:
            decoder.receive_data(bytes(self.heard.got))
            self.heard.got.clear()
            message = decoder.next_message()
            if isinstance(message, LoginResp):
                found.append(message)
            return bool(found)

        self.until(answered)
        return found[0]


def open_house(world: World, **keys: Any) -> tuple[House, int]:
    port = free_port()
    return House(world, quic_bind_port=port, **keys), port


def test_a_client_logs_in_is_shown_and_leaves_nothing(world: World) -> None:
    house, port = open_house(world)
    client = Client(house, port)
    assert client.login().error == ""
    [row] = outcome(take_snapshot(house.service, world.loop)).clients
    assert row.session is not None
    assert (row.session.layers, row.session.is_mux) == (("quic",), True)
    client.session.close()
    client.until(lambda: not house.service.controls)
    entrance = house.service._quic.entrance
    assert entrance is not None
    client.until(lambda: not entrance.connections)
    assert house.service._door.pending == 0


def test_who_is_refused_hears_why_before_the_connection_ends(world: World) -> None:
    house, port = open_house(world)
    client = Client(house, port)
    assert client.login(privilege_key="wrong").error
    client.until(lambda: client.lost)
    assert client.lost == ["closed by the peer"]
    assert house.service.controls == {}


def test_a_client_may_not_bring_work_before_its_login(world: World) -> None:
    house, port = open_house(world)
    client = Client(house, port)
    client.control.write(encode_message(NewWorkConn(run_id="abc")))
    client.until(lambda: client.lost)
    assert house.service._door.pending == 0


def test_a_client_that_vanishes_leaves_nothing(world: World) -> None:
    house, port = open_house(world)
    client = Client(house, port)
    client.login()
    client.session._wire.release()
    world.pass_time(45)
    world.until(lambda: not house.service.controls)


def test_the_port_can_move_while_clients_are_there(world: World) -> None:
    house, port = open_house(world)
    client = Client(house, port)
    client.login()
    moved = free_port()
    house.reload(quic_bind_port=moved)
    assert Client(house, moved).login().error == ""
    assert len(house.service.controls) == 2
    assert client.lost == []


def test_without_the_library_one_sentence_says_what_is_missing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, _ = open_house(world)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"quic_bind_port: .*pip install 'frpd\[quic\]'"):
        load_fittings(world.loop, house.service.config)
