"""Whoever has not shown who he is has one deadline for all he sends, on every port."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from frpd.proto.message.codec import encode_message
from frpd.proto.proxy_protocol import encode
from frpd.proto.websocket.handshake import ClientHandshake
from tests.helpers.kcp import KcpPeer
from tests.helpers.peers import MuxPeer, Wire, login_message
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.house import House
from tests.unit.server.vhost.hellos import client_hello

SECONDS = 5.0
LOGIN = encode_message(login_message())
YAMUX = bytes((0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0))
UPGRADE = ClientHandshake("frps", None, b"k" * 16).request()
FRAME = bytes((0x82, 0xFE, 0x01, 0x00, 0, 0, 0, 0)) + LOGIN[:100]
GET = b"GET / HTTP/1.1\r\nHost: " + b"a" * 99
CONNECT = b"CONNECT a.example.com:22 HTTP/1.1\r\nHost: " + b"a" * 99
HELLO = client_hello("a.example.com")


def open_house(world: World, **keys: Any) -> House:
    http, https, connect, kcp = (free_port() for _ in range(4))
    return House(
        world,
        login_timeout_seconds=SECONDS,
        vhost_http_port=http,
        vhost_https_port=https,
        tcpmux_httpconnect_port=connect,
        kcp_bind_port=kcp,
        vhost_http_head_timeout=SECONDS,
        vhost_https_hello_timeout=SECONDS,
        **keys,
    )


def drips_away(world: World, wire: Wire, data: bytes, already: float = 0.0) -> None:
    """Have a byte sent every second, and see the end come when it has to, and not before."""
    world.settle()
    passed = already
    for at in range(100):
        with contextlib.suppress(OSError):
            wire.write(data[at : at + 1])
        world.settle()
        if passed + 1.0 > SECONDS:
            break
        assert not wire.end, passed
        world.advance(1.0)
        passed += 1.0
    world.advance(1.0)
    world.until(lambda: wire.end)


@pytest.mark.parametrize("data", [b"", LOGIN, YAMUX, UPGRADE, b"\x17" + HELLO, HELLO])
def test_clients_by_tcp(world: World, data: bytes) -> None:
    house = open_house(world)
    wire = house.connect()
    drips_away(world, wire, data)
    assert house.service._door.pending == 0
    assert not wire.heard_bytes


@pytest.mark.parametrize(
    ("port", "data"),
    [
        ("vhost_http_port", b""),
        ("vhost_http_port", GET),
        ("vhost_https_port", b""),
        ("vhost_https_port", HELLO),
        ("tcpmux_httpconnect_port", b""),
        ("tcpmux_httpconnect_port", CONNECT),
    ],
)
def test_visitors_of_the_hosts(world: World, port: str, data: bytes) -> None:
    house = open_house(world)
    wire = Wire.to(world, getattr(house.service.config, port))
    drips_away(world, wire, data)
    wire.close()
    house.until_empty()


@pytest.mark.parametrize("data", [b"", LOGIN[:40]])
def test_clients_within_websocket(world: World, data: bytes) -> None:
    house = open_house(world)
    wire = house.connect()
    wire.write(UPGRADE)
    world.until(lambda: b"101" in wire.received)
    drips_away(world, wire, FRAME if data else b"")
    assert house.service._door.pending == 0


@pytest.mark.parametrize("data", [b"", LOGIN])
def test_clients_within_tls(world: World, data: bytes) -> None:
    house = open_house(world)
    wire = house.connect()
    seal = shake_hands(world, wire)
    world.settle()
    for at in range(int(SECONDS)):
        wire.write(seal(data[at : at + 1]))
        world.settle()
        assert not wire.end
        world.advance(1.0)
    world.advance(0.5)
    world.until(lambda: wire.end)
    assert house.service._door.pending == 0


def shake_hands(world: World, wire: Wire) -> Callable[[bytes], bytes]:
    """Go through a handshake of TLS; return what makes records."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    side = context.wrap_bio(incoming, outgoing)

    def is_done() -> bool:
        incoming.write(bytes(wire.received))
        wire.received.clear()
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            wire.write(outgoing.read())
        return True

    world.until(is_done)

    def seal(data: bytes) -> bytes:
        if data:
            side.write(data)
        return outgoing.read()

    return seal


@pytest.mark.parametrize("data", [b"", LOGIN])
def test_clients_within_a_stream(world: World, data: bytes) -> None:
    house = open_house(world)
    wire = house.connect()
    stream = MuxPeer(world, wire, is_client=True).open()
    world.settle()
    for at in range(int(SECONDS)):
        stream.write(data[at : at + 1])
        world.settle()
        assert not wire.end
        world.advance(1.0)
    world.advance(0.5)
    world.until(lambda: wire.end)
    assert house.service._door.pending == 0


@pytest.mark.parametrize("data", [LOGIN[:1], LOGIN, YAMUX])
def test_clients_by_kcp(world: World, data: bytes) -> None:
    house = open_house(world)
    entrance = house.service._kcp.entrance
    assert entrance is not None
    peer = KcpPeer(world, house.service.config.kcp_bind_port)
    peer.write(data[:1])
    world.until(lambda: entrance.conversations)
    for at in range(1, int(SECONDS)):
        if data[at : at + 1]:
            peer.write(data[at : at + 1])
        world.pass_time(1.0)
        assert entrance.conversations
    world.pass_time(2.0)
    assert (entrance.conversations, house.service._door.pending) == (0, 0)


def test_balancers_and_who_comes_by_them(world: World) -> None:
    house = open_house(world, accept_proxy_protocol=("127.0.0.0/8",))
    header = encode("v1", ("203.0.113.9", 4000), ("198.51.100.1", 443))
    drips_away(world, house.connect(), header)
    there = house.connect()
    there.write(header)
    drips_away(world, there, LOGIN)
    assert house.service._door.pending == 0
