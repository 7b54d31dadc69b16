"""Service.reload: what is new is for those who come, and who is here goes on."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from frpd.auth.token import privilege_key
from frpd.clock import unix_now
from frpd.config.secret import Secret
from frpd.errors import FrpError, LimitError
from frpd.net.listener import ListenError
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import Ping, Pong, StartWorkConn
from tests.helpers.authority import Authority
from tests.helpers.peers import TOKEN, ScriptedClient, Wire
from tests.helpers.ports import free_port
from tests.helpers.seal import quick_stretch
from tests.helpers.world import World
from tests.unit.server.house import House
from tests.unit.server.test_login import SealedClient
from tests.unit.server.vhost.hellos import client_hello
from tests.unit.server.vhost.web import GET, OK, Web, passed_on

both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


def login(house: House, token: str = TOKEN, **fields: Any) -> tuple[ScriptedClient, str]:
    """Return a client that has asked to be let in, and the error that it got."""
    client = ScriptedClient(house.world, house.port, mux=True, token=token)
    return client, client.login(**fields).error


def signed(token: str) -> dict[str, Any]:
    now = unix_now()
    return {"privilege_key": privilege_key(token, now), "timestamp": now}


@both_kinds
def test_another_token_is_for_new_logins_only(world: World, mux: bool) -> None:
    house = House(world, authenticate_heartbeats=True, authenticate_new_work_conns=True)
    old = house.client(mux=mux)
    port = house.proxy(old, use_encryption=True)
    house.reload(token=Secret("new"))
    old.control.send(Ping(**signed(TOKEN)))
    assert old.control.receive(Pong).error == ""
    visitor = house.visit(port)
    work = old.work(**signed(TOKEN))
    assert work.receive(StartWorkConn).error == ""
    visitor.write(b"hello")
    world.until(lambda: work.payload, "the session's own cipher carries it")
    assert login(house)[1] == "authorization failed"
    new, error = login(house, "new")
    assert error == ""
    new.control.send(Ping(**signed(TOKEN)))
    assert "token in heartbeat" in new.control.receive(Pong).error


def test_keys_about_pings_are_for_new_logins_only(world: World) -> None:
    house = House(world)
    old = house.client()
    house.reload(authenticate_heartbeats=True)
    new = house.client()
    for client, error in ((old, ""), (new, "token in heartbeat doesn't match token")):
        client.control.send(Ping())
        assert client.control.receive(Pong).error.startswith(error)


@both_kinds
def test_a_sealed_session_lives_on_under_another_token(world: World, mux: bool) -> None:
    house = House(world)
    old = SealedClient(house, mux=mux).enter()
    house.reload(token=Secret("new"))
    world.settle()
    old.stream.write(old.control.encode(encode_message(Ping())))
    assert old.receive() == Pong()
    stranger = SealedClient(house, mux=mux, privilege_key="")
    stranger.read_answer(psk=quick_stretch("new"))
    stranger.prove()
    world.until(lambda: stranger.run_id in house.service.controls)
    assert old.run_id in house.service.controls


def test_who_waits_for_the_stretched_token_is_asked_for_the_one_in_force(world: World) -> None:
    house = House(world)
    first = house.service._keys.common.secret
    first.value = None
    first._job = object()  # type: ignore[assignment]
    late = SealedClient(house)
    world.settle()
    house.reload(token=Secret("new"))
    world.settle()
    first._done(quick_stretch(TOKEN))
    world.until(lambda: late.wire.end, "it is refused, since it has the old token")
    assert house.service.controls == {}


def test_ports_are_for_new_proxies_and_those_that_stay_are_named(world: World) -> None:
    house = House(world)
    client = house.client()
    port, other = house.proxy(client, "web"), free_port()
    assert house.reload(allow_ports=f"{other}") == (
        f"outside of allow_ports now, and left as they are: web ({port})",
    )
    assert client.new_proxy("mail", free_port()).error == "port not allowed"
    assert client.new_proxy("ssh", other).error == ""
    visitor = house.visit(port)
    house.serve(client)
    assert visitor.end == ""
    assert house.reload(allow_ports="") == ()
    assert client.new_proxy("mail", free_port()).error == ""


def test_limits_are_for_who_asks_next(world: World) -> None:
    house = House(world)
    client = house.client()
    house.proxy(client)
    house.reload(max_ports_per_client=1, detailed_errors_to_client=False)
    assert client.new_proxy("mail", free_port()).error == "new proxy [mail] error"
    house.reload(detailed_errors_to_client=True)
    error = client.new_proxy("mail", free_port()).error
    assert error == "exceed the max_ports_per_client"


def test_work_connections_in_stock_and_heartbeats_are_of_the_login(world: World) -> None:
    house = House(world)
    old = house.client(mux=False, pool_count=2)
    house.reload(max_pool_count=0, heartbeat_timeout=5, heartbeat_timeout_set=True)
    new = house.client(mux=False, pool_count=2)
    pools = [house.service.controls[one.run_id].work_conns.asked for one in (old, new)]
    assert pools == [2, 0]
    world.advance(6)
    world.until(lambda: new.wire.end)
    assert old.wire.end == ""


def test_a_login_has_the_time_that_is_set(world: World) -> None:
    house = House(world)
    house.reload(login_timeout_seconds=2.0)
    wire = house.connect()
    world.advance(2.1)
    world.until(lambda: wire.end)


def test_tls_only_is_for_new_connections(world: World) -> None:
    house = House(world)
    old = house.client()
    house.reload(tls_only=True)
    wire = Wire.to(world, house.port)
    wire.write(b"o" + bytes(20))
    world.until(lambda: wire.end)
    old.control.send(Ping())
    assert old.control.receive(Pong) == Pong()


def test_layers_change_with_their_files_only(world: World, tmp_path: Path) -> None:
    house = House(world)
    layers = house.service._reception.layers
    house.reload(tls_only=True)
    assert house.service._reception.layers is layers
    with pytest.raises(FrpError, match="tls_trusted_ca_file"):
        house.reload(tls_trusted_ca_file=str(tmp_path / "none.pem"))
    assert house.service.config.tls_trusted_ca_file == ""
    assert house.service._reception.layers is layers
    certificate, key = Authority(tmp_path).issue("127.0.0.1")
    house.reload(tls_cert_file=str(certificate), tls_key_file=str(key))
    of_files = house.service._reception.layers
    assert of_files is not layers
    house.reload()  # reads them again
    assert house.service._reception.layers is not of_files


def test_the_subdomain_host_is_for_new_proxies(world: World) -> None:
    web = Web(world)
    assert "subdomain is not supported" in web.add("sub", subdomain="x")
    web.house.reload(subdomain_host="example.net")
    assert web.add("sub", subdomain="x") == ""
    assert web.house.service.proxies["sub"].remote_addr == f"x.example.net:{web.port}"


def test_the_http_port_moves_under_visitors_and_proxies(world: World) -> None:
    web = Web(world)
    old, old_port = web.visit(GET), web.port
    work = web.work()
    web.port = free_port()
    web.house.reload(vhost_http_port=web.port)
    work.write(OK)
    web.gets(old, OK)
    assert web.house.service.proxies["web"].remote_addr == f"a.example.com:{web.port}"
    new = web.visit(GET)
    web.work().write(OK)
    web.gets(new, OK)
    old.write(GET)  # the connection that was there is served on
    web.hears(work, passed_on(GET) * 2)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", old_port), timeout=10)


def test_ports_of_virtual_hosts_come_and_go(world: World) -> None:
    house = House(world)
    client = house.client()
    names = {"custom_domains": ["a.example.com"]}
    assert "not support" in client.new_proxy("s", 0, "https", **names).error
    port = free_port()
    house.reload(vhost_https_port=port)
    assert client.new_proxy("s", 0, "https", **names).error == ""
    hello = client_hello("a.example.com")

    def visit() -> None:
        house.visit(port).write(hello)
        work = client.work()
        assert work.receive(StartWorkConn).proxy_name == "s"
        world.until(lambda: bytes(work.payload) == hello)

    visit()
    house.reload(vhost_https_port=0)
    assert house.service.proxies["s"].remote_addr == ""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)
    house.reload(vhost_https_port=port)
    visit()


def test_clients_and_visitors_may_come_to_share_a_port(world: World) -> None:
    house = House(world, bind_port=free_port())
    house.reload(vhost_http_port=house.port)
    client = house.client()
    assert client.new_proxy("web", 0, "http", custom_domains=["a.example.com"]).error == ""
    visitor = Wire.to(world, house.port)
    visitor.write(GET)
    client.work().receive(StartWorkConn)


def test_a_taken_port_changes_nothing_at_all(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    web = Web(world)
    before = web.house.service.config
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        with pytest.raises(ListenError, match="address already in use"):
            web.house.reload(
                vhost_http_port=free_port(), vhost_https_port=taken, token=Secret("new")
            )
        world.until(lambda: "is held by" in caplog.text)
    assert web.house.service.config is before
    assert login(web.house)[1] == ""
    web.visit(GET)
    web.work()


def test_without_a_worker_for_the_token_nothing_changes(world: World) -> None:
    house = House(world)
    before = house.service.config
    world.pool.close()
    with pytest.raises(LimitError):
        house.reload(token=Secret("new"), vhost_http_port=free_port())
    assert house.service.config is before
    assert len(house.service._entrances.addresses) == 1


def test_time_outs_and_the_page_of_the_http_host(world: World, tmp_path: Path) -> None:
    page = tmp_path / "404.html"
    page.write_bytes(b"<p>nobody lives here</p>")
    web = Web(world)
    old = web.visit(GET[:10])
    world.settle()
    web.house.reload(vhost_http_head_timeout=3.0, custom_404_page=str(page))
    new = web.visit(GET.replace(b"a.example.com", b"b.example.com"))
    assert b"nobody lives here" in web.gets_page(new, 404)
    world.advance(3.1)
    web.gets_page(old, 408, closed=True)


def test_keys_that_need_a_restart_keep_what_they_were(world: World) -> None:
    house = House(world)
    house.reload(window_budget_bytes=1, bind_addr="127.0.0.2", udp_packet_size=700)
    config = house.service.config
    assert (config.bind_addr, config.udp_packet_size) == ("127.0.0.1", 700)
    assert config.window_budget_bytes != 1


def test_a_server_that_stops_takes_no_other_configuration(world: World) -> None:
    house = House(world)
    house.service.shut_down(lambda: None)
    with pytest.raises(FrpError, match="frps is stopping"):
        house.reload(max_pool_count=9)


def test_many_reloads_leave_nothing_behind(world: World) -> None:
    house = House(world, vhost_http_port=free_port())
    for _ in range(5):
        house.reload(vhost_http_port=free_port(), token=Secret("another"))
        house.reload(vhost_http_port=0, vhost_https_port=free_port(), token=Secret(TOKEN))
        house.reload(vhost_http_port=house.service.config.vhost_https_port)
        house.reload(vhost_https_port=0)
    world.until(lambda: not house.service._keys.common.secret.is_pending)
    house.until_empty()
