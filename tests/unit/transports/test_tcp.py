"""TcpTransport: one TCP connection for each call."""

from __future__ import annotations

import socket

from frpd.errors import TransportError
from frpd.net.connector import Connector
from frpd.net.endpoint import Endpoint
from frpd.net.resolver import Resolver
from frpd.net.stream import SocketStream
from frpd.transports.tcp import TcpTransport
from tests.helpers.ports import free_port
from tests.helpers.world import World


def transport(world: World, port: int, keepalive: int = 1234) -> TcpTransport:
    connector = Connector(world.loop, Resolver(world.pool))
    return TcpTransport(
        connector, "127.0.0.1", port, timeout_seconds=5, keepalive_seconds=keepalive
    )


def fail(error: TransportError) -> None:
    raise AssertionError(error)


def test_it_connects_with_the_keepalive_that_was_asked_for(world: World) -> None:
    made: list[Endpoint] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport(world, server.getsockname()[1]).dial(made.append, fail)
        world.until(lambda: made)
    [stream] = made
    assert isinstance(stream, SocketStream)
    sock = stream._sock
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 1234
    stream.close()


def test_a_refusal_is_told_in_go_s_words(world: World) -> None:
    port = free_port()
    errors: list[TransportError] = []
    transport(world, port).dial(lambda _: None, errors.append)
    world.until(lambda: errors)
    assert str(errors[0]) == f"dial tcp 127.0.0.1:{port}: connect: connection refused"


def test_a_cancelled_attempt_tells_nobody_and_leaves_nothing(world: World) -> None:
    census = world.census()
    with socket.create_server(("127.0.0.1", 0)) as server:
        attempt = transport(world, server.getsockname()[1]).dial(
            lambda _: fail(TransportError("connected")), fail
        )
        attempt.cancel()
        attempt.cancel()
        world.settle()
    assert census.is_back()
    assert census.timers_are_back()
