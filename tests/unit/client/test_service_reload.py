"""The client's Service given other proxies and visitors while it runs."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from frpd.client.proxy_table import Phase
from frpd.client.reload import SetupChanges
from frpd.client.retired import LOOK_SECONDS
from frpd.config.client import ClientSetup
from frpd.config.proxies import ProxyConfig, TcpProxyConfig, UdpProxyConfig
from frpd.config.secret import Secret
from frpd.config.visitors import StcpVisitorConfig, VisitorConfig
from frpd.errors import LimitError
from frpd.proto.message.types import CloseProxy, NewProxy, NewProxyResp, NewVisitorConnResp
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.client.home import Door, Home, Session
from tests.unit.client.visitors.guest import Guest, asked

both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


def proxy(home: Home, name: str, remote_port: int = 6000, **fields: Any) -> TcpProxyConfig:
    settings: dict[str, Any] = {"local_port": home.local.port} | fields
    return TcpProxyConfig(name=name, section=name, remote_port=remote_port, **settings)


def reload(
    home: Home,
    proxies: Sequence[ProxyConfig] = (),
    visitors: Sequence[VisitorConfig] = (),
    **common: Any,
) -> SetupChanges:
    setup = ClientSetup(
        common=replace(home.service.config, **common),
        proxies=tuple(proxies),
        visitors=tuple(visitors),
    )
    return home.service.reload(setup)


def start_home(world: World, *names: str, mux: bool = True) -> tuple[Home, Session]:
    """Return a client whose proxies of these names run."""
    home = Home(world, mux=mux, proxies=(), start=False)
    reload(home, [proxy(home, name) for name in names])
    home.service.start()
    return home, home.running()


@both_kinds
def test_relays_of_unchanged_proxies_live_of_changed_ones_drain_of_removed_ones_are_cut(
    world: World, mux: bool
) -> None:
    home, session = start_home(world, "same", "moved", "gone", mux=mux)
    works, services = {}, {}
    for name in ("same", "moved", "gone"):
        works[name] = session.start_work(name, glued=name.encode())
        services[name] = home.local.next()
        world.until(lambda name=name: services[name].received == name.encode())  # type: ignore[misc]
    changes = reload(home, [proxy(home, "moved", 7000), proxy(home, "same")])
    assert changes.proxies.removed == ("gone",)
    assert changes.proxies.changed == ("moved",)
    world.until(lambda: works["gone"].stream.end, "the visitor of a removed proxy is cut")
    world.until(lambda: services["gone"].end == "reset")
    closed = session.control.take_all(CloseProxy)
    assert [message.proxy_name for message in closed] == ["gone", "moved"]
    [request] = session.accept_proxies()
    assert (request.proxy_name, request.remote_port) == ("moved", 7000)
    for name in ("same", "moved"):
        services[name].write(b"more")
        world.until(lambda name=name: works[name].payload == b"more")  # type: ignore[misc]
        works[name].stream.write(b"!")
        world.until(lambda name=name: services[name].received.endswith(b"!"))  # type: ignore[misc]


def test_visitors_come_to_the_new_settings(world: World) -> None:
    home, session = start_home(world, "web")
    other = Door(world)
    reload(home, [proxy(home, "web", local_port=other.port)])
    session.accept_proxies()
    session.start_work("web", glued=b"hello")
    service = other.next()
    world.until(lambda: service.received == b"hello")
    assert home.local.connections == 0


def test_a_visitor_who_is_being_connected_is_not_dropped_by_a_change(world: World) -> None:
    home, session = start_home(world, "web")
    work = session.start_work("web", glued=b"hello")
    world.until(lambda: home.service.table.entries["web"].server.counters.connections_open)  # type: ignore[union-attr]
    reload(home, [proxy(home, "web", 7000)])
    service = home.local.next()
    world.until(lambda: service.received == b"hello")
    work.stream.close()
    service.close()
    world.until(lambda: not home.service.relays)
    timers = world.loop.timer_count
    world.advance(LOOK_SECONDS)
    assert world.loop.timer_count == timers - 1, "nobody looks after it any more"


def test_removing_cuts_what_an_earlier_change_left_draining(world: World) -> None:
    home, session = start_home(world, "web")
    work = session.start_work("web", glued=b"hello")
    service = home.local.next()
    world.until(lambda: service.received)
    reload(home, [proxy(home, "web", 7000)])
    session.accept_proxies()
    assert not work.stream.end
    reload(home)
    world.until(lambda: work.stream.end)
    assert not home.service.relays


def test_equal_settings_say_nothing_to_the_server(world: World) -> None:
    home, session = start_home(world, "a", "b")
    changes = reload(home, [proxy(home, "b"), proxy(home, "a")])
    assert changes.proxies.unchanged == ("b", "a")
    assert session.control.take_all(CloseProxy) == []
    assert session.control.take_all(NewProxy) == []


def test_a_udp_proxy_that_is_changed_is_closed_at_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    home, session = start_home(world, "web")
    web = proxy(home, "web")
    dns = UdpProxyConfig(name="dns", section="dns", local_port=53, remote_port=6001)
    reload(home, [web, dns])
    session.accept_proxies()
    reload(home, [web, replace(dns, local_port=54)])
    assert "closed: " in caplog.text
    session.accept_proxies()
    assert home.service.table.entries["dns"].phase is Phase.RUNNING


@both_kinds
def test_a_reload_during_the_login_counts_for_it(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    session = home.session()
    reload(home, [proxy(home, "other", 7000)])
    session.accept()
    [request] = session.accept_proxies()
    assert request.proxy_name == "other"
    world.settle()
    assert session.control.count(NewProxy) == 0


def test_a_reload_without_a_session_counts_for_the_next_one(world: World) -> None:
    home, session = start_home(world, "web")
    world.advance(10)
    session.wire.close()
    world.until(lambda: home.service.table.entries["web"].phase is Phase.CLOSED)
    reload(home, [proxy(home, "web", 7000), proxy(home, "new", 7001)])
    again = home.session().accept()
    ports = [request.remote_port for request in again.accept_proxies(2)]
    assert ports == [7000, 7001]


def test_what_the_server_refuses_is_asked_for_again(world: World) -> None:
    home, session = start_home(world, "web")
    reload(home, [proxy(home, "web", 7000)])
    session.refuse_proxy("port not allowed")
    entry = home.service.table.entries["web"]
    assert (entry.phase, entry.error) == (Phase.START_ERROR, "port not allowed")
    world.pass_time(31, step=5)
    session.accept_proxies()
    assert entry.phase is Phase.RUNNING


def test_a_late_answer_confuses_nobody(world: World) -> None:
    home = Home(world)
    session = home.session().accept()
    first = session.control.receive(NewProxy)
    reload(home, [proxy(home, "web", 7000)])
    session.control.receive(CloseProxy)
    session.control.receive(NewProxy)
    session.control.send(NewProxyResp(first.proxy_name, ":6000"))
    world.settle()
    entry = home.service.table.entries["web"]
    assert entry.phase is Phase.WAIT_START
    session.control.send(NewProxyResp("web", ":7000"))
    world.until(lambda: entry.phase is Phase.RUNNING)
    assert entry.remote_addr == ":7000"


def test_the_user_stays_the_one_who_logged_in(world: World) -> None:
    home, session = start_home(world, "web")
    renamed = replace(proxy(home, "web"), name="new.web")
    assert reload(home, [renamed], user="new").proxies.unchanged == ("web",)
    assert session.control.take_all(CloseProxy) == []


def test_a_client_that_stops_takes_no_other_settings(world: World) -> None:
    home, _ = start_home(world, "web")
    home.service.shut_down(lambda: None)
    with pytest.raises(LimitError, match="frpc is stopping"):
        reload(home)


@both_kinds
def test_closing_while_relays_drain_frees_everything(world: World, mux: bool) -> None:
    home, session = start_home(world, "web", mux=mux)
    work = session.start_work("web", glued=b"hello")
    service = home.local.next()
    world.until(lambda: service.received)
    reload(home, [proxy(home, "web", 7000)])
    home.service.close()
    world.until(lambda: service.end)
    service.close()
    if not mux:
        world.until(lambda: work.stream.end)
        work.stream.close()
    session.wire.close()
    world.until(home.empty.is_back, "nothing is left")
    assert home.empty.timers_are_back()


# Visitors.


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_a_changed_visitor_moves_and_its_users_stay(world: World) -> None:
    unused_port = free_port()
    guest = Guest(world, mux=False)
    session = guest.enter()
    user = guest.user()
    talker, _ = asked(session)
    talker.send(NewVisitorConnResp("vault"))
    talker.started = True
    world.until(lambda: guest.service.relays)
    config = guest.visitor.config
    assert isinstance(config, StcpVisitorConfig)
    reload(guest, visitors=[replace(config, bind_port=unused_port)])
    assert guest.refuses()
    assert listens(unused_port)
    user.write(b"still")
    world.until(lambda: talker.payload == b"still")
    reload(guest)
    world.until(lambda: user.end, "its users are cut when it is removed")
    assert not listens(unused_port)


def test_a_visitor_whose_key_changes_takes_users_at_the_same_port(world: World) -> None:
    guest = Guest(world)
    guest.enter()
    config = guest.visitor.config
    reload(guest, visitors=[replace(config, sk=Secret("other"))])
    assert guest.visitor.config.sk == Secret("other")
    assert guest.visitor.phase is Phase.RUNNING
    assert listens(guest.port)


def test_an_unchanged_visitor_keeps_its_listener(world: World) -> None:
    guest = Guest(world)
    guest.enter()
    before = guest.visitor
    other = replace(before.config, name="more", section="more", bind_port=-1)
    changes = reload(guest, visitors=[other, before.config])
    assert changes.visitors.added == ("more",)
    assert guest.service.visitors.entries["vault_v"].visitor is before
    assert listens(guest.port)
