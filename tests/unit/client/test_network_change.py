"""Service and ControlSession after a change of this machine's network: probe, leave, come back."""

from __future__ import annotations

import pytest

from frpd.client import control as module
from frpd.client.control import PROBE_SECONDS
from frpd.net.address import SockAddr
from frpd.proto.message.types import Ping, Pong
from tests.helpers.world import World
from tests.unit.client.home import Door, Home

both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])
# A session of this age comes back at once when it is lost.
STABLE = 6.0


def lose_addresses(monkeypatch: pytest.MonkeyPatch) -> list[SockAddr]:
    """Let no address be one of this machine; return the list of those asked for."""
    asked: list[SockAddr] = []

    def lost(address: SockAddr) -> bool:
        asked.append(address)
        return False

    monkeypatch.setattr(module, "has_address", lost)
    return asked


@both_kinds
def test_a_server_that_answers_the_probe_keeps_its_session_and_visitors(
    world: World, mux: bool
) -> None:
    home = Home(world, mux=mux)
    session = home.running()
    work = session.start_work()
    service = home.local.next()
    home.service.network_changed()
    session.control.receive(Ping)
    session.control.send(Pong())
    world.pass_time(PROBE_SECONDS * 2)
    assert session.control.stream.end == ""
    work.write(b"still here")
    world.until(lambda: service.received == b"still here")


@both_kinds
def test_a_server_that_does_not_answer_the_probe_is_left_and_dialled_at_once(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    home = Home(world, mux=mux)
    session = home.running()
    world.pass_time(STABLE)
    home.service.network_changed()
    session.control.receive(Ping)
    world.advance(PROBE_SECONDS - 0.1)
    assert session.wire.end == ""
    world.advance(0.2)
    assert session.wire.end
    assert "session with the server lost: no answer since the network has changed" in caplog.text
    assert home.session().login.run_id == "abc"


@both_kinds
def test_a_session_whose_address_is_gone_is_left_without_a_probe(
    world: World,
    mux: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    home = Home(world, mux=mux)
    session = home.running()
    asked = lose_addresses(monkeypatch)
    peer = session.wire.sock.getpeername()
    home.service.network_changed()
    home.session()
    assert asked == [peer]
    assert "127.0.0.1 is no longer an address of this machine" in caplog.text


def test_bytes_of_other_streams_count_while_the_answer_is_stuck_behind_them(world: World) -> None:
    home = Home(world, mux=True)
    session = home.running()
    work = session.start_work()
    home.service.network_changed()
    for _ in range(4):
        world.advance(PROBE_SECONDS - 1)
        work.write(b"a window update or the like")
        world.settle()
    assert session.wire.end == ""
    world.advance(PROBE_SECONDS - 0.1)
    assert session.wire.end == ""
    world.advance(0.2)
    assert session.wire.end


@both_kinds
def test_another_change_gives_the_server_its_time_again(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    session = home.running()
    home.service.network_changed()
    world.advance(PROBE_SECONDS - 0.5)
    home.service.network_changed()
    world.advance(PROBE_SECONDS - 0.5)
    assert session.wire.end == ""
    world.advance(0.6)
    assert session.wire.end


@both_kinds
def test_a_probe_leaves_the_heartbeats_alone(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    session = home.running()
    world.pass_time(20)
    home.service.network_changed()
    session.control.receive(Ping)
    session.control.send(Pong())
    world.pass_time(9.5)
    assert session.control.take_all(Ping) == []
    world.pass_time(1)
    session.control.receive(Ping)


def test_a_waiting_client_tries_at_once(world: World) -> None:
    home = Home(world, login_fail_exit=False, start=False)
    home.door.close()
    home.service.start()
    world.settle()  # refused; the next attempt is a second away
    again = Door(world, home.door.port)
    home.service.network_changed()
    world.until(lambda: again.wires, "a connection before its time")


@both_kinds
def test_an_attempt_from_before_the_change_is_begun_anew_when_it_gets_nowhere(
    world: World, mux: bool
) -> None:
    home = Home(world, mux=mux)
    stuck = home.session()
    home.service.network_changed()
    world.advance(PROBE_SECONDS - 0.1)
    assert stuck.wire.end == ""
    world.advance(0.2)
    assert stuck.wire.end
    home.running()
    assert home.fatal == []


@both_kinds
def test_an_attempt_that_succeeds_after_the_change_is_left_alone(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    session = home.session()
    home.service.network_changed()
    world.advance(1)
    session.accept().accept_proxies()
    world.pass_time(PROBE_SECONDS)
    assert session.wire.end == ""
    assert home.door.wires == []


@both_kinds
def test_a_closed_client_does_not_care(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    session = home.running()
    home.service.network_changed()
    home.service.close()
    home.service.network_changed()
    world.until(lambda: session.wire.end)
    world.pass_time(PROBE_SECONDS * 2)
    assert home.door.connections == 1
