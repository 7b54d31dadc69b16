"""frpd.client.snapshot: copies of what a client knows, and nothing secret in them."""

from __future__ import annotations

from frpd.client.snapshot import take_connections, take_snapshot
from frpd.config.proxies import HttpProxyConfig
from frpd.config.secret import Secret
from frpd.config.visitors import StcpVisitorConfig, XtcpVisitorConfig
from tests.helpers.ports import free_port
from tests.helpers.steps import outcome
from tests.helpers.world import World
from tests.unit.client.home import Home


def test_before_the_first_session_everything_is_new(world: World) -> None:
    home = Home(world, start=False)
    snapshot = outcome(take_snapshot(home.service, world.loop))
    (proxy,) = snapshot.proxies
    assert (proxy.name, proxy.proxy_type, proxy.phase, proxy.error) == ("web", "tcp", "new", "")
    assert (proxy.since, proxy.retry_in_seconds, proxy.wanted_port) == (None, None, 6000)
    assert proxy.local_addr == f"127.0.0.1:{home.local.port}"
    session = snapshot.session
    assert session.address == f"127.0.0.1:{home.door.port}"
    assert (session.is_connected, session.since, session.logins) == (False, None, 0)


def test_a_running_proxy_and_its_session_say_since_when(world: World) -> None:
    home = Home(world)
    home.running(run_id="me")
    world.advance(7.0)
    snapshot = outcome(take_snapshot(home.service, world.loop))
    (proxy,) = snapshot.proxies
    assert (proxy.phase, proxy.remote_addr) == ("running", ":6000")
    assert proxy.since is not None
    assert round(snapshot.taken_at - proxy.since) == 7
    session = snapshot.session
    assert (session.is_connected, session.run_id, session.logins) == (True, "me", 1)
    assert session.since is not None
    assert round(snapshot.taken_at - session.since) == 7


def test_a_lost_session_says_why_and_when_the_next_comes(world: World) -> None:
    home = Home(world)
    session = home.running()
    session.wire.close()
    world.until(lambda: not home.service.session_facts().is_connected)
    snapshot = outcome(take_snapshot(home.service, world.loop))
    assert snapshot.proxies[0].phase == "closed"
    assert snapshot.session.last_error
    assert (snapshot.session.is_connected, snapshot.session.since) == (False, None)


def test_a_refused_proxy_says_why_and_when_it_is_asked_for_again(world: World) -> None:
    home = Home(world)
    session = home.session().accept()
    session.refuse_proxy("port not allowed")
    (proxy,) = outcome(take_snapshot(home.service, world.loop)).proxies
    assert (proxy.phase, proxy.error) == ("start error", "port not allowed")
    assert proxy.retry_in_seconds == 30.0


def test_what_runs_is_listed_and_counted(world: World) -> None:
    home = Home(world)
    session = home.running()
    work = session.start_work(glued=b"12345")
    local = home.local.next()
    local.write(b"123")
    world.until(lambda: bytes(local.received) == b"12345" and bytes(work.payload) == b"123")
    world.advance(4.0)
    (one,) = outcome(take_connections(home.service, world.loop, limit=9)).listed
    assert (one.proxy, one.source, one.age_seconds) == ("web", "9.9.9.9:99", 4.0)
    assert (one.bytes_in, one.bytes_out) == (5, 3)
    assert outcome(take_connections(home.service, world.loop, limit=9, proxy="other")).total == 0
    (proxy,) = outcome(take_snapshot(home.service, world.loop)).proxies
    assert (proxy.bytes_in, proxy.bytes_out) == (5, 3)
    assert (proxy.connections_open, proxy.connections_total) == (1, 1)


def test_visitors_are_listed_also_those_without_a_port(world: World) -> None:
    port = free_port()
    visitors = [
        StcpVisitorConfig(name="b", section="b", server_name="s", bind_port=port),
        XtcpVisitorConfig(
            name="a", section="a", server_name="s", sk=Secret("hidden"), bind_port=-1
        ),
    ]
    home = Home(world, visitors=visitors)
    home.running()
    world.settle()
    snapshot = outcome(take_snapshot(home.service, world.loop))
    portless, served = snapshot.visitors
    assert (portless.name, portless.visitor_type, portless.phase) == ("a", "xtcp", "running")
    assert (served.phase, served.bind_addr) == ("running", f"127.0.0.1:{port}")
    assert "hidden" not in repr(snapshot)


def test_a_proxy_with_a_plugin_has_no_local_address(world: World) -> None:
    config = HttpProxyConfig(
        name="w", section="w", custom_domains=("a.example",), plugin="unix_domain_socket"
    )
    home = Home(world, proxies=[config], start=False)
    (proxy,) = outcome(take_snapshot(home.service, world.loop)).proxies
    assert (proxy.local_addr, proxy.plugin, proxy.wanted_port) == ("", "unix_domain_socket", 0)
