"""Connection: from accept to identity, on real sockets, against the whole service."""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Callable

import pytest

from frpd.net.stream import SocketStream
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import (
    LoginResp,
    NewProxy,
    NewWorkConn,
    Ping,
    ReqWorkConn,
    StartWorkConn,
)
from frpd.proto.yamux.session import YamuxSession
from frpd.transports.link import OnStream, StreamLink
from frpd.transports.mux import MuxLink
from tests.helpers.compiled import needs_source
from tests.helpers.peers import MuxPeer, ScriptedClient, Talker, Wire, login_message
from tests.helpers.world import World
from tests.unit.server.house import House

both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        getattr(record, "prefix", "") + record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING
    ]


@both_kinds
@pytest.mark.parametrize("tcp_mux", [True, False])
def test_the_first_byte_decides_whatever_tcp_mux_says(
    world: World, mux: bool, tcp_mux: bool
) -> None:
    house = House(world, tcp_mux=tcp_mux)
    client = house.client(mux=mux)
    port = house.proxy(client)
    visitor = house.visit(port)
    work = house.serve(client)
    visitor.write(b"hello")
    world.until(lambda: work.payload == b"hello")
    client.close()
    visitor.close()
    work.stream.close()
    house.until_empty()


@both_kinds
@pytest.mark.parametrize("message", [Ping(), NewProxy(proxy_name="x"), LoginResp(), ReqWorkConn()])
def test_the_first_message_must_be_an_identity(
    world: World, mux: bool, message: Ping, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    client = ScriptedClient(world, house.port, mux=mux)
    client.control.send(message)
    world.until(lambda: client.wire.end)
    client.close()
    house.until_empty()
    [line] = warnings(caplog)
    assert f"unexpected {type(message).__name__}" in line


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"\x16\x03\x01\x00\x06\x07ohno!",
        b"\xff" * 100,
        b"o" + struct.pack(">q", 10_241),
        b"o" + struct.pack(">q", -5),
        b"o" + struct.pack(">q", 3) + b"[1]",
        b"o" + struct.pack(">q", 4) + b"nope",
        bytes([0, 9]) + bytes(10),
        bytes([0, 1, 0, 1]) + struct.pack(">II", 1, 0) + bytes([0, 7]) + bytes(10),
    ],
)
def test_garbage_ends_its_own_connection_with_one_line(
    world: World, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    wire = house.connect()
    wire.write(data)
    world.until(lambda: wire.end)
    wire.close()
    house.until_empty()
    assert len(warnings(caplog)) == 1
    assert "connection closed before login" in warnings(caplog)[0]


SILENT = [b"", b"o", b"o\0\0", bytes(1), bytes([0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]), bytes(12)]


@pytest.mark.parametrize("data", SILENT)
def test_silence_ends_at_the_deadline_with_one_line(
    world: World, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    wire = house.connect()
    wire.write(data)
    world.advance(9.9)
    assert wire.end == ""
    world.advance(0.2)
    assert wire.end
    wire.close()
    house.until_empty()
    assert [re.sub(r"^[\d.]+:\d+", "PEER", line) for line in warnings(caplog)] == [
        "PEER: connection closed before login: no login within 10 s"
    ]


@both_kinds
def test_the_deadline_is_for_the_whole_connection_however_slowly_bytes_come(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    client = ScriptedClient(world, house.port, mux=mux)
    world.settle()
    for byte in encode_message(login_message())[:9]:
        client.control.write(bytes([byte]))
        world.advance(1)
        assert client.wire.end == ""
    world.advance(1)
    world.until(lambda: client.wire.end)
    client.close()
    house.until_empty()
    assert len(warnings(caplog)) == 1


def test_a_connection_that_ends_before_its_first_byte_is_not_worth_a_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    wire = house.connect()
    world.settle()
    wire.close()
    house.until_empty()
    wire = house.connect()
    world.settle()
    wire.reset()
    house.until_empty()
    assert warnings(caplog) == []


@both_kinds
def test_a_client_that_goes_in_the_middle_of_its_login_leaves_nothing(
    world: World, mux: bool
) -> None:
    house = House(world)
    client = ScriptedClient(world, house.port, mux=mux)
    client.control.write(encode_message(login_message())[:20])
    world.settle()
    client.wire.reset()
    house.until_empty()


@both_kinds
def test_a_login_in_single_bytes_is_a_login(world: World, mux: bool) -> None:
    house = House(world)
    client = ScriptedClient(world, house.port, mux=mux)
    for byte in encode_message(login_message()):
        client.control.write(bytes([byte]))
        world.turn()
    assert client.control.receive(LoginResp).error == ""


@both_kinds
@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"privilege_key": "wrong"}, "authorization failed"),
        ({"timestamp": 1000}, "authorization timeout"),
        ({"version": "0.17.9"}, "Please upgrade your frpc version to at least 0.18.0"),
    ],
)
def test_a_refused_login_hears_why_and_the_connection_closes(
    world: World,
    mux: bool,
    fields: dict[str, object],
    text: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    house = House(world)
    client = ScriptedClient(world, house.port, mux=mux)
    answer = client.login(**fields)
    assert (answer.error, answer.run_id) == (text, "")
    world.until(lambda: client.wire.end)
    client.close()
    house.until_empty()
    assert len(warnings(caplog)) == 1
    assert f"login refused: {text}" in warnings(caplog)[0]


def test_before_login_a_second_stream_is_refused(world: World) -> None:
    house = House(world)
    mux = MuxPeer(world, house.connect(), is_client=True)
    first, second = mux.open(), mux.open()
    world.until(lambda: second.end)
    assert (first.end, second.end) == ("", "reset")
    control = Talker(world, first)
    control.send(login_message())
    assert control.receive(LoginResp).error == ""
    third = mux.open()
    world.settle()
    assert third.end == ""


def test_before_login_a_work_connection_on_mux_is_refused(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    owner = house.client(run_id="owner")
    thief = ScriptedClient(world, house.port, mux=True)
    thief.control.send(NewWorkConn(run_id="owner"))
    world.until(lambda: thief.wire.end)
    assert house.service.controls["owner"].work_conns.ready == 0
    assert "a work connection before login" in warnings(caplog)[0]
    owner.close()
    thief.close()
    house.until_empty()


def test_on_mux_a_work_connection_may_only_name_its_own_client(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    owner = house.client(run_id="owner")
    other = house.client(run_id="other")
    stolen = other.work("owner")
    stolen.until_end()
    assert house.service.controls["owner"].work_conns.ready == 0
    [line] = warnings(caplog)
    assert "[owner]" in line
    assert other.control.stream.end == ""  # only the stream goes
    own = other.work()
    world.settle()
    assert own.stream.end == ""
    assert house.service.controls["other"].work_conns.ready == 1
    owner.close()
    other.close()
    house.until_empty()


@both_kinds
def test_an_unknown_run_id_is_closed_without_an_answer(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    client = house.client(mux=mux)
    work = client.work("nobody")
    work.until_end()
    assert work.inbox == []
    assert "no client has run id [nobody]" in warnings(caplog)[0]
    work.stream.close()
    client.close()
    house.until_empty()


def test_a_second_login_on_one_mux_connection_is_refused(world: World) -> None:
    house = House(world)
    client = house.client()
    assert client.mux is not None
    second = Talker(world, client.mux.open())
    second.send(login_message())
    second.until_end("reset")
    assert list(house.service.controls) == [client.run_id]
    assert client.control.stream.end == ""


def test_after_login_a_silent_stream_goes_alone(world: World) -> None:
    house = House(world)
    client = house.client()
    assert client.mux is not None
    silent = client.mux.open()
    world.pass_time(11)
    assert silent.end == "reset"
    assert client.control.stream.end == ""


def test_a_client_that_leaves_fills_no_log_with_its_silent_streams(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    client = house.client()
    assert client.mux is not None
    for _ in range(50):
        client.mux.open()
    world.settle()
    client.close()
    world.until(lambda: not house.service.controls, "it is gone")
    assert "stream closed" not in caplog.text
    assert len(caplog.records) < 10


def test_a_crowd_that_says_nothing_pushes_out_only_itself(world: World) -> None:
    house = House(world, max_pending_per_source=5)
    crowd = [house.connect() for _ in range(12)]
    world.settle()
    assert house.service._door.pending == 5
    assert [bool(wire.end) for wire in crowd] == [True] * 7 + [False] * 5
    client = house.client()
    assert house.proxy(client)
    client.close()
    for wire in crowd:
        wire.close()
    house.until_empty()


def test_keepalive_of_zero_means_no_pings(world: World) -> None:
    house = House(world, tcp_mux_keepalive_interval=0)
    client = house.client()
    assert client.mux is not None
    client.mux.answers = False
    sent = client.wire.heard_bytes
    world.pass_time(100, step=5)
    assert client.wire.heard_bytes == sent
    assert house.service.controls


def test_work_connections_keep_what_came_behind_the_hello(world: World) -> None:
    house = House(world)
    client = house.client(mux=False)
    port = house.proxy(client)
    visitor = house.visit(port)
    world.settle()
    wire = house.connect()
    wire.write(encode_message(NewWorkConn(run_id=client.run_id)) + b"a service that speaks first")
    world.until(lambda: visitor.received == b"a service that speaks first")
    assert isinstance(Talker(world, wire).receive(StartWorkConn), StartWorkConn)


class OwnStreams(MuxLink):
    """A link that the service did not make itself, as of a bearer that has streams."""

    def let_streams_in(self, limit: int, *, rising_ids: bool) -> None:
        super().let_streams_in(limit, rising_ids=rising_ids)
        self.let_in = (limit, rising_ids)


@needs_source(MuxLink)
def test_a_bearer_with_streams_of_its_own_brings_its_link(world: World) -> None:
    house = House(world)
    near, far = world.sockets()
    made: list[OwnStreams] = []

    def make_link(on_stream: OnStream, on_closed: Callable[[str], None]) -> StreamLink:
        session = YamuxSession(is_client=False, now=world.loop.now(), keepalive_seconds=None)
        made.append(
            OwnStreams(world.loop, bearer, session, on_stream=on_stream, on_closed=on_closed)
        )
        return made[0]

    bearer = SocketStream(world.loop, near, ("203.0.113.5", 7))
    house.service._reception.welcome_link(bearer, make_link)
    peer = MuxPeer(world, Wire(world, far), is_client=True)
    control = Talker(world, peer.open())
    control.send(login_message(run_id="one"))
    assert control.receive(LoginResp).error == ""
    assert made[0].let_in == (65_536, False)
    connection = house.service.controls["one"].connection
    assert (connection.is_mux, connection.peer) == (True, "203.0.113.5:7")
    house.service.kick_client("one")
    world.until(lambda: peer.wire.end)
    near.close()
    far.close()
    world.until(lambda: not house.service.controls)


def test_a_link_of_its_own_that_says_nothing_is_dropped_at_the_deadline(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    near, far = world.sockets()
    bearer = SocketStream(world.loop, near, ("203.0.113.5", 7))

    def make_link(on_stream: OnStream, on_closed: Callable[[str], None]) -> StreamLink:
        session = YamuxSession(is_client=False, now=world.loop.now(), keepalive_seconds=None)
        return MuxLink(world.loop, bearer, session, on_stream=on_stream, on_closed=on_closed)

    house.service._reception.welcome_link(bearer, make_link)
    wire = Wire(world, far)
    world.advance(10.1)
    assert wire.end
    assert house.service._door.pending == 0
    assert len(warnings(caplog)) == 1
