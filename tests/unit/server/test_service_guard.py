"""Who may knock: what clients are turned away for, at every door, and who is not."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from frpd.config.penalties import NetBlockSize, PenaltyRules
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import NewWorkConn, Ping
from frpd.proto.proxy_protocol import encode
from frpd.server.guard.clients import ACCESS, PENALTY, RATE
from frpd.server.guard.penalties import Offence
from tests.helpers.kcp import KcpPeer
from tests.helpers.peers import MuxPeer, ScriptedClient, Wire, login_message
from tests.helpers.ports import free_port
from tests.helpers.quic import knock
from tests.helpers.world import World
from tests.unit.server.house import House
from tests.unit.server.test_login import SealedClient

HERE, BAD, GOOD = "127.0.0.1", "127.0.0.2", "127.0.0.3"
NOBODY = ("192.0.2.0/24",)
RULES = PenaltyRules.parse("authfail:20")


def open_house(world: World, **keys: Any) -> House:
    """Return a server that holds things against loopback addresses too."""
    defaults: dict[str, Any] = {
        "per_source_penalties": RULES,
        "per_source_penalty_exempt_list": NOBODY,
    }
    return House(world, **(defaults | keys))


def wire_from(world: World, port: int, host: str) -> Wire:
    sock = socket.socket()
    sock.bind((host, 0))
    sock.settimeout(10)
    sock.connect((HERE, port))
    return Wire(world, sock)


def dial_from(host: str) -> Callable[[World, int], Wire]:
    return lambda world, port: wire_from(world, port, host)


def client_from(house: House, host: str, *, mux: bool = True, token: str = "") -> ScriptedClient:
    chosen = {"token": token} if token else {}
    return ScriptedClient(house.world, house.port, mux=mux, dial=dial_from(host), **chosen)


def offences(house: House, host: str) -> list[Offence]:
    """Return the last offence of an address, if it has any."""
    known = house.service._guard.penalties.rows(house.world.loop.now())
    return [one.last for one in known if one.source == host]


def refused(house: House) -> dict[str, int]:
    return {why: count for why, count in house.service._guard.refused.items() if count}


def fail_to_log_in(house: House, host: str) -> None:
    assert client_from(house, host, token="wrong").login().error
    house.world.settle()


def is_reset(house: House, host: str) -> bool:
    """Return whether who comes from there is dropped without a word."""
    wire = wire_from(house.world, house.port, host)
    house.world.settle()
    assert not wire.received
    return wire.end == "reset"


def test_who_has_failed_to_log_in_is_dropped_and_others_are_not(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    house = open_house(world)
    fail_to_log_in(house, BAD)
    told = len(caplog.records)
    assert [is_reset(house, BAD) for _ in range(3)] == [True] * 3
    assert refused(house) == {PENALTY: 3}
    assert house.service._door.pending == 0
    assert len(caplog.records) == told
    assert "penalty: 127.0.0.2 refused for 20 s (authfail)" in caplog.messages
    assert client_from(house, GOOD).login().error == ""
    world.advance(20.0)
    assert client_from(house, BAD).login().error == ""


def test_by_default_nothing_is_held_against_this_machine(world: World) -> None:
    house = House(world)
    for _ in range(5):
        fail_to_log_in(house, BAD)
    assert not is_reset(house, BAD)


def test_a_refused_connection_takes_no_place_of_those_who_wait(world: World) -> None:
    house = open_house(world)
    fail_to_log_in(house, BAD)
    pace = house.service._door.pace
    free = pace._free
    assert is_reset(house, BAD)
    assert pace._free >= free


@pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])
def test_where_a_client_is_logged_in_others_may_fail(world: World, mux: bool) -> None:
    house = open_house(world)
    good = client_from(house, BAD, mux=mux)
    assert good.login().error == ""
    fail_to_log_in(house, BAD)
    assert offences(house, BAD) == [Offence.AUTHFAIL]
    assert client_from(house, BAD, mux=mux).login().error == ""
    port = house.proxy(good)
    visitor = house.visit(port)
    work = house.serve(good)
    work.write(b"hello")
    world.until(lambda: visitor.received == b"hello")
    for control in list(house.service.controls.values()):
        control.close("over")
    assert is_reset(house, BAD)


def test_a_penalty_cuts_nobody_who_is_there(world: World) -> None:
    house = open_house(world)
    early = client_from(house, BAD)
    world.settle()
    fail_to_log_in(house, BAD)
    assert early.login().error == ""


def leave(wire: Wire) -> None:
    wire.close()


def say(*data: bytes) -> Callable[[Wire], None]:
    def speak(wire: Wire) -> None:
        for piece in data:
            wire.write(piece)

    return speak


def leave_after(*data: bytes) -> Callable[[Wire], None]:
    def speak_and_leave(wire: Wire) -> None:
        say(*data)(wire)
        wire._world.settle()
        wire.close()

    return speak_and_leave


def open_mux(data: bytes) -> Callable[[Wire], None]:
    def act(wire: Wire) -> None:
        MuxPeer(wire._world, wire, is_client=True).open().write(data)

    return act


WINDOW_UPDATE = bytes((0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0))
HELLO = bytes((22, 3, 1, 0, 4)) + b"nope"
LOGIN = encode_message(login_message("wrong"))


@pytest.mark.parametrize(
    ("act", "offence"),
    [
        (leave, Offence.NOAUTH),
        (leave_after(LOGIN[:20]), Offence.PROTOCOL),
        (leave_after(WINDOW_UPDATE), Offence.NOAUTH),
        (leave_after(HELLO[:6]), Offence.NOAUTH),
        (leave_after(b"GET /~!frp HTTP/1.1\r\n"), Offence.NOAUTH),
        (say(encode_message(NewWorkConn(run_id="0" * 16))), Offence.NOAUTH),
        (say(b"\x16garbage is no message"), Offence.PROTOCOL),
        (say(b"Gnonsense"), Offence.PROTOCOL),
        (say(HELLO), Offence.PROTOCOL),
        (say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Offence.PROTOCOL),
        (say(encode_message(Ping())), Offence.PROTOCOL),
        (say(WINDOW_UPDATE, b"\xff" * 12), Offence.PROTOCOL),
        (open_mux(b"nonsense" * 9), Offence.PROTOCOL),
        (open_mux(encode_message(NewWorkConn())), Offence.PROTOCOL),
        (say(LOGIN), Offence.AUTHFAIL),
        (open_mux(LOGIN), Offence.AUTHFAIL),
    ],
)
def test_what_is_an_offence(world: World, act: Callable[[Wire], None], offence: Offence) -> None:
    house = open_house(world)
    act(wire_from(world, house.port, BAD))
    world.settle()
    assert offences(house, BAD) == [offence]
    assert offences(house, HERE) == []


@pytest.mark.parametrize(
    "data", [b"", LOGIN[:1], LOGIN[:20], WINDOW_UPDATE, HELLO[:6], b"GET /~!frp HTTP/1.1\r\nHost"]
)
def test_who_is_not_through_in_time_has_offended_however_he_drips(
    world: World, data: bytes
) -> None:
    house = open_house(world)
    wire = wire_from(world, house.port, BAD)
    world.settle()
    for at in range(len(data)):
        wire.write(data[at : at + 1])
        world.pass_time(9.9 / len(data))
        assert not wire.end
    world.pass_time(11.0 if not data else 0.5)
    world.until(lambda: wire.end)
    assert offences(house, BAD) == [Offence.GRACE_EXCEEDED]


def test_a_sealed_client_that_cannot_prove_itself_has_offended(world: World) -> None:
    house = open_house(world)
    client = SealedClient(house)
    client.read_answer()
    client.wire.close()
    world.settle()
    assert offences(house, HERE) == [Offence.AUTHFAIL]


def test_who_is_pushed_out_has_not_offended(world: World) -> None:
    house = open_house(world, max_pending_per_source=1)
    first, second = (wire_from(world, house.port, BAD) for _ in range(2))
    world.until(lambda: first.end)
    assert not second.end
    assert offences(house, BAD) == []


def test_waiting_connections_are_counted_by_source(world: World) -> None:
    size = NetBlockSize(31, 64)
    house = open_house(world, max_pending_per_source=1, per_source_net_block_size=size)
    first, _ = (wire_from(world, house.port, host) for host in (BAD, GOOD))
    world.until(lambda: first.end)


def test_no_tls_where_it_is_demanded_is_a_small_offence(world: World) -> None:
    house = open_house(world, tls_only=True)
    wire = wire_from(world, house.port, BAD)
    wire.write(LOGIN)
    world.until(lambda: wire.end)
    assert offences(house, BAD) == [Offence.NOAUTH]


# The lists.


def test_clients_come_only_from_where_they_may_and_a_reload_counts(world: World) -> None:
    house = open_house(world, deny_cidrs=(BAD,))
    assert is_reset(house, BAD)
    assert client_from(house, GOOD).login().error == ""
    assert offences(house, BAD) == [Offence.REFUSECONNECTION]
    there = client_from(house, GOOD)
    assert there.login().error == ""
    house.reload(deny_cidrs=(), allow_cidrs=(BAD,))
    assert is_reset(house, GOOD)
    assert not there.wire.end
    assert client_from(house, BAD).login().error == ""
    assert refused(house) == {ACCESS: 2}


def test_visitors_on_a_shared_port_are_not_asked(world: World) -> None:
    port = free_port()
    house = open_house(world, bind_port=port, vhost_http_port=port, deny_cidrs=("127.0.0.0/8",))
    visitor = wire_from(world, port, BAD)
    visitor.write(b"GET / HTTP/1.1\r\nHost: nowhere\r\n\r\n")
    world.until(lambda: b"404" in visitor.received)
    clients = []
    for data in (LOGIN, HELLO, WINDOW_UPDATE):
        clients.append(wire_from(world, port, GOOD))
        clients[-1].write(data)
        world.settle()
    assert [(client.end, len(client.received)) for client in clients] == [("reset", 0)] * 3
    assert refused(house) == {ACCESS: 2, PENALTY: 1}
    assert house.service._door.pending == 0


def test_who_only_looks_at_a_shared_port_may_be_a_visitor(world: World) -> None:
    port = free_port()
    house = open_house(world, bind_port=port, vhost_http_port=port)
    wire_from(world, port, BAD).close()
    world.pass_time(12.0)
    assert offences(house, BAD) == []


def test_behind_a_balancer_the_address_in_its_header_counts(world: World) -> None:
    house = open_house(world, accept_proxy_protocol=("127.0.0.0/8",), deny_cidrs=("203.0.113.9",))
    barred = wire_from(world, house.port, BAD)
    barred.write(encode("v1", ("203.0.113.9", 4000), ("198.51.100.1", 443)))
    world.until(lambda: barred.end)
    wrong = wire_from(world, house.port, BAD)
    wrong.write(encode("v1", ("203.0.113.8", 4000), ("198.51.100.1", 443)) + LOGIN)
    world.until(lambda: wrong.end)
    assert offences(house, "203.0.113.9") == [Offence.REFUSECONNECTION]
    assert offences(house, "203.0.113.8") == [Offence.AUTHFAIL]
    again = wire_from(world, house.port, BAD)
    again.write(encode("v1", ("203.0.113.8", 4000), ("198.51.100.1", 443)))
    world.until(lambda: again.end)
    assert offences(house, BAD) == []
    assert refused(house) == {ACCESS: 1, PENALTY: 1}


# The rate.


def test_too_many_connections_of_one_source_are_dropped_on_all_ports(world: World) -> None:
    http = free_port()
    house = open_house(world, vhost_http_port=http, max_connection_rate_per_source=2.0)
    client = house.client()
    proxy = house.proxy(client)
    ports = (house.port, http, proxy)
    for index, port in enumerate(ports):
        host = f"127.0.1.{index}"
        wires = [wire_from(world, port, host) for _ in range(3)]
        world.settle()
        assert sorted(wire.end for wire in wires) == ["", "", "reset"]
        assert offences(house, host) == [Offence.REFUSECONNECTION]
    assert refused(house) == {RATE: 3}
    mixed = [wire_from(world, port, "127.0.1.9") for port in ports]
    world.settle()
    assert sorted(wire.end for wire in mixed) == ["", "", "reset"]
    assert refused(house) == {RATE: 4}


# Datagrams.


def test_over_kcp_nothing_is_held_against_an_address_that_may_be_forged(world: World) -> None:
    house = open_house(world, kcp_bind_port=free_port())
    peer = KcpPeer(world, house.service.config.kcp_bind_port)
    peer.is_deaf = True
    peer.write(b"Gnonsense")
    world.settle()
    world.pass_time(12.0)
    assert offences(house, HERE) == []


def test_over_kcp_who_receives_at_his_address_is_held_to_it(world: World) -> None:
    house = open_house(world, kcp_bind_port=free_port())
    port = house.service.config.kcp_bind_port
    client = ScriptedClient(world, port, mux=True, token="wrong", dial=KcpPeer)
    assert client.login().error
    world.pass_time(2.0)
    assert offences(house, HERE) == [Offence.AUTHFAIL]
    later = KcpPeer(world, port)
    later.write(LOGIN)
    world.settle()
    assert not later.heard
    assert refused(house) == {PENALTY: 1}


def test_over_kcp_a_barred_address_hears_nothing_and_is_not_accused(world: World) -> None:
    house = open_house(world, kcp_bind_port=free_port(), deny_cidrs=(HERE,))
    peer = KcpPeer(world, house.service.config.kcp_bind_port)
    peer.write(LOGIN)
    world.settle()
    assert not peer.heard
    assert offences(house, HERE) == []
    assert refused(house) == {ACCESS: 1}


def test_over_quic_a_barred_address_gets_no_retry_and_is_not_accused(world: World) -> None:
    house = open_house(world, quic_bind_port=free_port(), deny_cidrs=(HERE,))
    session, _, _ = knock(world, house.service.config.quic_bind_port)
    world.settle()
    assert not session.is_ready
    assert house.service._door.pending == 0
    assert offences(house, HERE) == []
    assert refused(house)[ACCESS] >= 1


def test_over_quic_who_stalls_has_offended(world: World) -> None:
    house = open_house(world, quic_bind_port=free_port())
    session, _, _ = knock(world, house.service.config.quic_bind_port)
    world.until(lambda: session.is_ready)
    world.settle()
    world.pass_time(11.0)
    assert offences(house, HERE) == [Offence.GRACE_EXCEEDED]
