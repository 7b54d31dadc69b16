"""TLS as a layer: alone, around and inside WebSocket, and under yamux."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from frpd.entropy import SystemEntropy
from frpd.net.certificates import CHECK_SECONDS, client_contexts, server_contexts
from frpd.net.endpoint import Endpoint
from frpd.net.stream import SocketStream
from frpd.proto.yamux.session import YamuxSession
from frpd.transports.layers import Layer
from frpd.transports.mux import MuxLink
from frpd.transports.mux_stream import MuxStream
from frpd.transports.tls import HEAD_BYTE, TlsClientLayer, TlsServerLayer
from frpd.transports.websocket import WebSocketClientLayer, WebSocketServerLayer
from tests.helpers.authority import Authority
from tests.helpers.duplex import Duplex
from tests.helpers.world import World
from tests.unit.transports.layered import climb, climbed
from tests.unit.transports.links import fail

PAYLOAD = os.urandom(1 << 20) * 8
Stack = tuple[list[Layer], list[Layer]]


def stack(world: World, name: str) -> Stack:
    """Return a client's and a server's layers; the name lists them from the outside in."""
    client: list[Layer] = []
    server: list[Layer] = []
    for layer in name.split():
        if layer == "tls":
            contexts = client_contexts("", "", "", now=world.clock.now)
            client.append(TlsClientLayer(contexts, "frp.test", head_byte=False))
            server.append(TlsServerLayer(server_contexts("", "", "", now=world.clock.now)))
        else:
            client.append(WebSocketClientLayer("frp.test", 7000, SystemEntropy()))
            server.append(WebSocketServerLayer())
    return client, server


STACKS = pytest.mark.parametrize("name", ["tls", "websocket", "websocket tls", "tls websocket"])


@STACKS
def test_megabytes_pass_both_ways(world: World, name: str) -> None:
    near, far = climbed(world, *stack(world, name))
    ends = [Duplex(near, PAYLOAD, shut=True), Duplex(far, PAYLOAD, shut=True)]
    world.until(lambda: all(end.end for end in ends))
    for end in ends:
        assert end.end == "eof"
        assert hashlib.sha256(end.got).digest() == hashlib.sha256(PAYLOAD).digest()
        end.endpoint.close()


@STACKS
def test_half_a_close_travels(world: World, name: str) -> None:
    near, far = climbed(world, *stack(world, name))
    client, server = Duplex(near, b"question", shut=True), Duplex(far)
    world.until(lambda: server.end)
    assert (server.got, server.end) == (b"question", "eof")
    server.send(b"answer")
    world.until(lambda: client.got == b"answer")
    far.close()
    world.until(lambda: client.end)
    assert client.end == "eof"
    near.close()


@STACKS
def test_an_abort_is_a_loss(world: World, name: str) -> None:
    near, far = climbed(world, *stack(world, name))
    client = Duplex(near)
    far.abort()
    world.until(lambda: client.end)
    assert client.end == "connection reset by peer"
    near.close()


@STACKS
def test_a_slow_reader_stops_the_writer(world: World, name: str) -> None:
    near, far = climbed(world, *stack(world, name), buffer_bytes=256 * 1024)
    reader, writer = Duplex(near, reads=False), Duplex(far, PAYLOAD, shut=True)
    world.until(lambda: writer.blocked)
    world.settle()
    assert not writer.is_sent
    reader.resume()
    world.until(lambda: reader.end)
    assert hashlib.sha256(reader.got).digest() == hashlib.sha256(PAYLOAD).digest()
    near.close()
    far.close()


@STACKS
def test_yamux_runs_on_it(world: World, name: str) -> None:
    accepted: list[MuxStream] = []
    opened: list[MuxStream] = []
    closed: list[str] = []
    near, far = (
        MuxLink(
            world.loop,
            carrier,
            YamuxSession(is_client=is_client, now=world.loop.now(), keepalive_seconds=30),
            on_stream=accepted.append,
            on_closed=closed.append,
        )
        for carrier, is_client in zip(
            climbed(world, *stack(world, name)), (True, False), strict=True
        )
    )
    near.open_stream(opened.append, fail)
    world.until(lambda: accepted)
    ends = [Duplex(opened[0], PAYLOAD, shut=True), Duplex(accepted[0], PAYLOAD, shut=True)]
    world.until(lambda: all(end.end for end in ends))
    for end in ends:
        assert end.end == "eof"
        assert hashlib.sha256(end.got).digest() == hashlib.sha256(PAYLOAD).digest()
    near.close()
    world.until(lambda: len(closed) == 2)
    assert sorted(closed) == ["closed by the peer", "closed here"]
    assert not far.splices


@STACKS
def test_nothing_is_left_behind(world: World, name: str) -> None:
    layers = stack(world, name)
    for end in climbed(world, *layers):
        end.close()
    world.settle()
    census = world.census()
    near, far = climbed(world, *layers)
    near.close()
    far.abort()
    world.until(census.is_back)


# The head byte.


@pytest.mark.parametrize("head_byte", [True, False])
def test_the_head_byte_comes_once_if_at_all(world: World, head_byte: bool) -> None:
    contexts = client_contexts("", "", "", now=world.clock.now)
    near, peer = world.pair()
    ready: list[Endpoint] = []
    TlsClientLayer(contexts, "frp.test", head_byte=head_byte).begin(near, ready.append, fail)
    far = SocketStream(world.loop, peer, ("near", 1))
    first = bytearray()

    def read_first() -> None:
        data = far.read(1)
        assert isinstance(data, bytes | bytearray | memoryview)
        first.extend(data)
        far.watch(None, None)

    far.watch(read_first, None)
    world.until(lambda: first)
    assert bytes(first) == (HEAD_BYTE if head_byte else b"\x16")
    if not head_byte:
        far.unread(bytes(first))
    served: list[Endpoint] = []
    TlsServerLayer(server_contexts("", "", "", now=world.clock.now)).begin(far, served.append, fail)
    world.until(lambda: ready and served)
    user = Duplex(served[0])
    ready[0].write(b"through")
    world.until(lambda: user.got == b"through")
    for end in (ready[0], served[0]):
        end.close()


@pytest.mark.parametrize(
    ("head_byte", "hint"),
    [
        (True, "a server before 0.25 needs tls_enable = false"),
        (False, "one before 0.38 needs disable_custom_tls_first_byte = false"),
    ],
)
def test_who_is_just_closed_on_learns_what_it_may_be(
    world: World, head_byte: bool, hint: str
) -> None:
    contexts = client_contexts("", "", "", now=world.clock.now)
    near, peer = world.pair()
    failed: list[str] = []
    TlsClientLayer(contexts, "frp.test", head_byte=head_byte).begin(
        near,
        lambda _: pytest.fail("connected"),
        lambda error: failed.append(str(error)),
    )
    world.settle()
    assert peer.recv(65536)
    peer.close()
    world.until(lambda: failed)
    [text] = failed
    assert text.startswith("TLS: the peer closed during the handshake; a server before 0.25 ")
    assert text.endswith(hint)


# Certificates.


def test_an_address_in_brackets_is_one_without(world: World, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    client = client_contexts("", "", authority.ca_file, now=world.clock.now)
    server = server_contexts(*authority.issue("::1"), "", now=world.clock.now)
    layers = [TlsClientLayer(client, "[::1]", head_byte=False)], [TlsServerLayer(server)]
    for end in climbed(world, *layers):
        end.close()


def test_a_wrong_ca_is_told_at_both_ends(world: World, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path / "other", "other")
    client_side = client_contexts("", "", other.ca_file, now=world.clock.now)
    server_side = server_contexts(*authority.issue("frp.test"), "", now=world.clock.now)
    client, server = climb(
        world,
        [TlsClientLayer(client_side, "frp.test", head_byte=False)],
        [TlsServerLayer(server_side)],
    )
    assert client.failed.startswith("TLS: the certificate of frp.test is refused: ")
    assert client.failed.endswith("; check tls_trusted_ca_file")
    assert server.failed == "TLS: the peer does not trust our certificate"


def test_new_certificates_serve_new_connections_and_old_ones_go_on(
    world: World, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    before, after = authority.issue("old.test"), authority.issue("new.test")
    server = TlsServerLayer(server_contexts(*before, "", now=world.clock.now))
    trusting = client_contexts("", "", authority.ca_file, now=world.clock.now)

    def dial(name: str) -> tuple[Endpoint, Endpoint]:
        return climbed(world, [TlsClientLayer(trusting, name, head_byte=False)], [server])

    near, far = dial("old.test")
    for new, old in zip(after, before, strict=True):
        shutil.copyfile(new, f"{old}.new")
        os.replace(f"{old}.new", old)
    world.clock.advance(CHECK_SECONDS)
    for end in dial("new.test"):
        end.close()
    user = Duplex(far)
    near.write(b"goes on")
    world.until(lambda: user.got == b"goes on")
    near.close()
    far.close()
