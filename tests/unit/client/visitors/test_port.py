"""The port of a visitor: it comes and goes with the session, and is tried again."""

from __future__ import annotations

import socket

import pytest

from frpd.client.proxy_table import Phase
from frpd.client.visitors.port import RETRY_SECONDS
from frpd.net.listener import bind_tcp
from tests.helpers.world import World
from tests.unit.client.visitors.guest import Guest


def test_the_port_is_open_while_there_is_a_session(world: World) -> None:
    guest = Guest(world)
    assert guest.refuses()
    assert guest.visitor.phase is Phase.NEW
    session = guest.enter()
    assert not guest.refuses()
    session.wire.close()
    world.until(lambda: guest.visitor.phase is Phase.CLOSED)
    assert guest.refuses()
    world.advance(2.0)
    guest.enter()
    assert not guest.refuses()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_it_listens_on_bind_addr_only(world: World, address: str) -> None:
    guest = Guest(world, bind_addr=address)
    guest.enter()
    socket.create_connection((address, guest.port), timeout=5).close()
    assert guest.refuses() is (address != "127.0.0.1")


def test_a_negative_port_is_none(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    guest = Guest(world, bind_port=-1)
    watched = world.loop.watch_count
    guest.enter()
    assert "start visitor success" in caplog.text
    assert world.loop.watch_count <= watched + 2, "the server's connection and no more"
    guest.visitor.stop()


def test_a_port_that_is_taken_is_told_once_and_tried_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    guest = Guest(world)
    taken = bind_tcp("127.0.0.1", guest.port)
    guest.session().accept()
    world.until(lambda: guest.visitor.phase is Phase.START_ERROR)
    error = f"listen tcp 127.0.0.1:{guest.port}: bind: address already in use"
    assert guest.visitor.error == error
    world.until(lambda: f"127.0.0.1:{guest.port} is held by" in caplog.text)
    world.advance(RETRY_SECONDS)
    assert caplog.text.count("start error") == 1
    taken.close()
    world.advance(RETRY_SECONDS)
    world.until(lambda: guest.visitor.phase is Phase.RUNNING)
    assert guest.visitor.error == ""


def test_a_port_that_is_taken_is_not_tried_without_a_session(world: World) -> None:
    guest = Guest(world)
    taken = bind_tcp("127.0.0.1", guest.port)
    session = guest.session().accept()
    world.until(lambda: guest.visitor.phase is Phase.START_ERROR)
    session.wire.close()
    world.until(lambda: guest.visitor.phase is Phase.CLOSED)
    taken.close()
    guest.door.sock.setblocking(False)
    world.advance(RETRY_SECONDS)
    assert guest.refuses()
