"""Visitors of the socks5 plugin: what they may reach, and what they hear instead."""

from __future__ import annotations

import errno
import socket

import pytest

from frpd.client.plugins.socks5 import HANDSHAKE_SECONDS, host_text, packed, reply_to
from frpd.errors import TransportError
from frpd.net.connector import DialError
from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.socks5 import Command, Host, Reply, encode_packet
from frpd.proto.wrappers import wrapper_stack
from tests.helpers.peers import TOKEN
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.client.conftest import world
from tests.unit.client.home import Home
from tests.unit.client.plugins.stage import FRPD, Stage

__all__ = ["world"]

HELLO = b"\x05\x01\x00"
HELLO_USER = b"\x05\x02\x00\x02"
LOGIN = b"\x01\x05alice\x06secret"
GRANTED = bytes.fromhex("05000001000000000000")
ALICE = {"user": "alice", "passwd": "secret"}
LOOPBACK = b"\x7f\x00\x00\x01"
answers = pytest.mark.parametrize("answer", [{}, FRPD], ids=["go", "frpd"])
both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


def connect(port: int, host: Host = LOOPBACK) -> bytes:
    return encode_packet(Command.CONNECT, host, port)


def refusal(reply: Reply) -> bytes:
    return bytes((5, reply)) + GRANTED[2:]


@answers
@both_kinds
def test_a_visitor_reaches_whom_it_names(
    world: World, mux: bool, answer: dict[str, object]
) -> None:
    stage = Stage(world, "socks5", mux=mux, answer=answer)
    visitor = stage.visit(HELLO)
    stage.hears(visitor, b"\x05\x00")
    visitor.write(connect(stage.port))
    stage.hears(visitor, GRANTED)
    service = stage.home.local.next()
    visitor.write(b"question")
    world.until(lambda: service.received == b"question")
    service.write(b"answer")
    stage.hears(visitor, b"answer")
    assert stage.server.counters.connections_open == 1
    service.close()
    visitor.until_end("eof")
    visitor.stream.close()
    world.until(lambda: not stage.home.service.relays)
    counters = stage.server.counters
    assert (counters.connections_open, counters.connections_total) == (0, 1)
    assert (counters.bytes_in, counters.bytes_out) == (8, 6)
    stage.leaves_nothing()


def test_everything_may_come_at_once(world: World) -> None:
    stage = Stage(world, "socks5", ALICE)
    visitor = stage.visit(HELLO_USER + LOGIN + connect(stage.port) + b"question")
    service = stage.home.local.next()
    world.until(lambda: service.received == b"question")
    stage.hears(visitor, b"\x05\x02\x01\x00" + GRANTED)


def test_names_are_looked_up_here(world: World) -> None:
    stage = Stage(world, "socks5")
    visitor = stage.visit(HELLO + connect(stage.port, "localhost"))
    stage.home.local.next()
    stage.hears(visitor, b"\x05\x00" + GRANTED)


def test_a_work_connection_may_be_encrypted_and_compressed(world: World) -> None:
    home = Home(world, proxy={"plugin": "socks5", "use_encryption": True, "use_compression": True})
    session = home.running()
    theirs = wrapper_stack(key=derive_key(TOKEN), compress=True, iv=b"s" * IV_BYTES)
    data = HELLO + connect(home.local.port) + b"question"
    for codec in theirs:
        data = codec.encode(data)
    work = session.start_work(glued=data)
    service = home.local.next()
    world.until(lambda: service.received == b"question")
    world.until(lambda: work.payload)


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (HELLO, b"\x05\xff"),
        (HELLO_USER + b"\x01\x05alice\x05wrong", b"\x05\x02\x01\x01"),
        (HELLO_USER + b"\x01\x03eve\x06secret", b"\x05\x02\x01\x01"),
    ],
    ids=["none", "password", "user"],
)
@answers
def test_without_the_login_nobody_gets_further(
    world: World, answer: dict[str, object], said: bytes, heard: bytes
) -> None:
    stage = Stage(world, "socks5", ALICE, answer=answer)
    visitor = stage.visit(said + connect(stage.port))
    stage.hears(visitor, heard)
    visitor.until_end("eof")
    assert not stage.home.local.connections
    world.advance(2.0)
    stage.leaves_nothing()


def test_a_password_alone_is_a_demand_as_well(world: World) -> None:
    stage = Stage(world, "socks5", {"passwd": "secret"})
    stage.hears(stage.visit(HELLO), b"\x05\xff")


@pytest.mark.parametrize(
    ("request_bytes", "reply"),
    [
        (encode_packet(Command.BIND, LOOPBACK, 1), Reply.COMMAND_NOT_SUPPORTED),
        (b"\x05\x09" + encode_packet(Command.BIND, LOOPBACK, 1)[2:], Reply.COMMAND_NOT_SUPPORTED),
        (b"\x05\x01\x00\x07", Reply.ADDRESS_NOT_SUPPORTED),
        (connect(1, "no\u0000name\n"), Reply.HOST_UNREACHABLE),
    ],
    ids=["bind", "unknown", "address", "name"],
)
def test_what_cannot_be_done_gets_the_reply_for_it(
    world: World, request_bytes: bytes, reply: Reply
) -> None:
    stage = Stage(world, "socks5")
    visitor = stage.visit(HELLO + request_bytes)
    stage.hears(visitor, b"\x05\x00" + refusal(reply))
    visitor.until_end("eof")


def test_a_refused_connection_is_told_and_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    port = free_port()
    stage = Stage(world, "socks5")
    visitor = stage.visit(HELLO + connect(port))
    stage.hears(visitor, b"\x05\x00" + refusal(Reply.CONNECTION_REFUSED))
    visitor.until_end("eof")
    [line] = [r.getMessage() for r in caplog.records if "refused:" in r.getMessage()]
    why = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert line == f"socks5 request of 127.0.0.1:99 refused: {why}"


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (DialError("", errno.ECONNREFUSED), Reply.CONNECTION_REFUSED),
        (DialError("", errno.ENETUNREACH), Reply.NETWORK_UNREACHABLE),
        (DialError("", errno.EHOSTUNREACH), Reply.HOST_UNREACHABLE),
        (DialError("", errno.ETIMEDOUT), Reply.HOST_UNREACHABLE),
        (DialError("", errno.EPERM), Reply.NOT_ALLOWED),
        (DialError("", errno.EMFILE), Reply.GENERAL_FAILURE),
        (DialError(""), Reply.GENERAL_FAILURE),
        (TransportError("lookup"), Reply.HOST_UNREACHABLE),
    ],
)
def test_each_reason_has_its_reply(error: TransportError, reply: Reply) -> None:
    assert reply_to(error) is reply


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\x04\x01\x00\x50"])
def test_other_languages_are_cut(world: World, said: bytes) -> None:
    stage = Stage(world, "socks5")
    visitor = stage.visit(said)
    visitor.until_end("reset")
    assert not visitor.payload


@pytest.mark.parametrize("said", [b"", HELLO, HELLO + b"\x05\x01"])
def test_a_handshake_has_its_time(world: World, said: bytes) -> None:
    stage = Stage(world, "socks5")
    visitor = stage.visit(said)
    world.pass_time(HANDSHAKE_SECONDS - 2)
    assert not visitor.stream.end
    world.pass_time(3)
    visitor.until_end()
    stage.leaves_nothing()


def test_a_tunnel_has_all_the_time_there_is(world: World) -> None:
    stage = Stage(world, "socks5", mux=False)
    visitor = stage.visit(HELLO + connect(stage.port))
    service = stage.home.local.next()
    stage.hears(visitor, b"\x05\x00" + GRANTED)
    world.pass_time(2 * HANDSHAKE_SECONDS)
    service.write(b"late")
    stage.hears(visitor, b"late")


@answers
def test_a_visitor_that_leaves_in_the_middle_is_forgotten(
    world: World, answer: dict[str, object]
) -> None:
    stage = Stage(world, "socks5", answer=answer)
    visitor = stage.visit(HELLO)
    stage.hears(visitor, b"\x05\x00")
    visitor.stream.close()
    visitor.until_end()
    assert stage.server.counters.connections_open == 0
    stage.leaves_nothing()


@pytest.mark.parametrize("said", [b"", HELLO_USER, HELLO_USER + LOGIN + b"\x05\x01"])
def test_after_a_change_nobody_gets_in_under_the_old_login(world: World, said: bytes) -> None:
    stage = Stage(world, "socks5", ALICE)
    visitor = stage.visit(said)
    world.settle()
    stage.server.retire()
    visitor.until_end()
    assert stage.server.counters.connections_open == 0
    assert stage.home.local.connections == 0


def test_after_a_change_what_was_asked_for_is_done(world: World) -> None:
    stage = Stage(world, "socks5")
    asked = stage.visit(HELLO + connect(stage.port))
    refused = stage.visit(HELLO + encode_packet(Command.BIND, LOOPBACK, 1))
    world.until(lambda: stage.home.local.connections and refused.payload)
    stage.server.retire()
    stage.hears(refused, b"\x05\x00" + refusal(Reply.COMMAND_NOT_SUPPORTED))
    stage.hears(asked, b"\x05\x00" + GRANTED)
    stage.home.local.next().write(b"answer")
    stage.hears(asked, b"answer")


def test_closing_drops_guests_wherever_they_are(world: World) -> None:
    stage = Stage(world, "socks5", mux=False)
    full = world.stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(4):  # a full backlog lets further connects hang
        filler = world.stack.enter_context(socket.socket())
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
    waiting, dialing = stage.visit(HELLO), stage.visit(HELLO + connect(full.getsockname()[1]))
    stage.hears(waiting, b"\x05\x00")
    stage.hears(dialing, b"\x05\x00")
    stage.server.close()
    stage.server.close()
    waiting.until_end("reset")
    dialing.until_end("reset")
    assert stage.server.counters.connections_open == 0


@pytest.mark.parametrize(
    ("host", "text"),
    [
        (LOOPBACK, "127.0.0.1"),
        (bytes(15) + b"\x01", "::1"),
        ("web.test", "web.test"),
        (b"b\xc3\xbccher.test".decode("ascii", "surrogateescape"), "b\u00fccher.test"),
        (b"\xff.test".decode("ascii", "surrogateescape"), "\ufffd.test"),
    ],
)
def test_hosts_are_given_to_the_resolver_as_text(host: Host, text: str) -> None:
    assert host_text(host) == text


def test_addresses_are_told_as_bytes() -> None:
    assert (packed("127.0.0.1"), packed("::1")) == (LOOPBACK, bytes(15) + b"\x01")
