"""udp proxies at the server: one work stream, visitors by address, nothing without a bound."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from frpd.errors import RemoteProtocolError
from frpd.metrics.access import Visit
from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.message.types import NewProxyResp, Ping, StartWorkConn
from frpd.proto.native import FEATURES
from frpd.proto.udp_binary import BinaryPackets
from frpd.proto.wrappers import StreamCodec, wrapper_stack
from frpd.server.proxies.udp import UdpProxy
from frpd.udp.go_packets import GoPackets
from frpd.udp.packet_channel import PacketFormat
from tests.helpers.peers import TOKEN, ScriptedClient, Talker
from tests.helpers.ports import free_port
from tests.helpers.udp import has_ipv6, udp_socket
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House

__all__ = ["world"]

FRPD = {"frpd": {"v": 1, "features": sorted(FEATURES)}}
needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


class Visitor:
    """A UDP socket that never waits."""

    def __init__(self, world: World, port: int, host: str = "127.0.0.1") -> None:
        self.sock = udp_socket("::1" if ":" in host else "127.0.0.1")
        self.sock.setblocking(False)
        self.sock.connect((host, port))
        self.heard: list[bytes] = []
        self.world = world
        self.name: str = self.sock.getsockname()[0]
        self.port: int = self.sock.getsockname()[1]
        world.peers.append(self)
        world.stack.callback(self.sock.close)

    def leave(self) -> None:
        self.world.peers.remove(self)
        self.sock.close()

    def pump(self) -> None:
        while True:
            try:
                self.heard.append(self.sock.recv(65536))
            except (BlockingIOError, ConnectionRefusedError):
                return


class Scene:
    """A server, a client with one udp proxy, and the client's end of the work stream."""

    def __init__(
        self,
        world: World,
        *,
        frpd: bool = True,
        mux: bool = True,
        proxy: dict[str, Any] | None = None,
        login: dict[str, Any] | None = None,
        work: bool = True,
        **keys: Any,
    ) -> None:
        self.world = world
        self.house = House(world, **keys)
        fields = (FRPD if frpd else {}) | (login or {})
        self.client: ScriptedClient = self.house.client(mux=mux, **fields)
        self.format: type[PacketFormat] = BinaryPackets if frpd else GoPackets
        self.port = free_port()
        answer = self.client.new_proxy("dns", self.port, "udp", **(proxy or {}))
        assert answer == NewProxyResp("dns", f":{self.port}")
        self.codecs: list[StreamCodec] = []
        self.found: list[tuple[bytes, bytes]] = []
        if work:
            self.begin()

    @property
    def proxy(self) -> UdpProxy:
        proxy = self.house.service.proxies["dns"]
        assert isinstance(proxy, UdpProxy)
        return proxy

    def begin(self) -> Talker:
        """Bring the work stream."""
        self.work = self.client.work()
        self.world.settle()
        self.world.advance(1.0)
        start = self.work.receive(StartWorkConn)
        assert start == StartWorkConn(proxy_name="dns")
        self.packets = self.format()
        return self.work

    def visitor(self, host: str = "127.0.0.1") -> Visitor:
        return Visitor(self.world, self.port, host)

    def heard(self) -> list[tuple[bytes, bytes]]:
        """Return the datagrams that the client has got so far, and their visitors' names."""
        self.world.settle()
        data = bytes(self.work.payload)
        self.work.payload.clear()
        for codec in reversed(self.codecs):
            data = codec.decode(data)
        found = self.packets.receive_data(data).items()
        self.found += [(name, bytes(one)) for name, some in found for one in some]
        return self.found

    def until_heard(self, count: int) -> list[tuple[bytes, bytes]]:
        self.world.until(lambda: len(self.heard()) >= count, f"{count} datagrams")
        return self.found

    def answer(self, name: bytes, *datagrams: bytes) -> None:
        out = bytearray()
        for datagram in datagrams:
            self.packets.append(out, name, datagram)
        data = bytes(out)
        for codec in self.codecs:
            data = codec.encode(data)
        self.work.stream.write(data)


both_peers = pytest.mark.parametrize("frpd", [True, False], ids=["frpd", "go"])
both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


@both_peers
@both_kinds
def test_datagrams_go_to_the_client_and_back(world: World, frpd: bool, mux: bool) -> None:
    scene = Scene(world, frpd=frpd, mux=mux)
    ann, bob = scene.visitor(), scene.visitor()
    for data in (b"", b"question", bytes(1000)):
        ann.sock.send(data)
    bob.sock.send(b"other question")
    heard = scene.until_heard(4)
    names = {
        visitor: scene.format.name_visitor("127.0.0.1", visitor.port) for visitor in (ann, bob)
    }
    assert [data for name, data in heard if name == names[ann]] == [b"", b"question", bytes(1000)]
    assert [data for name, data in heard if name == names[bob]] == [b"other question"]
    scene.answer(names[ann], b"", b"answer", b"answer")
    scene.answer(names[bob], b"other answer")
    world.until(lambda: len(ann.heard) + len(bob.heard) == 4)
    assert (ann.heard, bob.heard) == ([b"", b"answer", b"answer"], [b"other answer"])


def test_a_go_client_has_half_a_second_to_read_the_answer(world: World) -> None:
    scene = Scene(world, frpd=False, work=False)
    work = scene.client.work()
    world.settle()
    world.advance(0.4)
    assert work.inbox == []
    world.advance(0.2)
    assert work.receive(StartWorkConn).proxy_name == "dns"


def test_over_direct_streams_the_work_stream_comes_right_behind_the_answer(world: World) -> None:
    features = {"frpd": {"v": 1, "features": [*FEATURES, "direct-stream"]}}
    scene = Scene(world, login=features, work=False)
    mux = scene.client.mux
    assert mux is not None
    world.until(lambda: mux.accepted)
    work = Talker(world, mux.accepted.pop())
    assert work.receive(StartWorkConn).proxy_name == "dns"


def test_what_comes_before_the_work_stream_waits_for_it(world: World) -> None:
    scene = Scene(world, work=False)
    visitor = scene.visitor()
    visitor.sock.send(b"early")
    world.settle()
    scene.begin()
    assert [data for _, data in scene.until_heard(1)] == [b"early"]


@both_kinds
def test_a_work_stream_that_is_lost_is_replaced(world: World, mux: bool) -> None:
    scene = Scene(world, mux=mux)
    visitor = scene.visitor()
    visitor.sock.send(b"one")
    [(name, _)] = scene.until_heard(1)
    world.advance(5.0)
    old = scene.work
    old.stream.close()
    world.until(lambda: not scene.proxy._visited.channel.attached)
    visitor.sock.send(b"two")
    scene.begin()
    assert scene.until_heard(2)[1] == (name, b"two")
    scene.answer(name, b"answer")  # the visitor is known as before
    world.until(lambda: visitor.heard == [b"answer"])


def test_a_stream_that_dies_at_once_is_not_replaced_at_once(world: World) -> None:
    scene = Scene(world, frpd=False, work=False, login={"pool_count": 1})
    works = [scene.client.work() for _ in range(3)]
    world.settle()
    world.advance(0.6)
    begun = [work for work in works if work.started]
    assert len(begun) == 1
    begun[0].stream.close()
    world.settle()
    world.advance(0.5)
    assert sum(work.started for work in works) == 1
    world.advance(0.6)
    assert sum(work.started for work in works) == 2


def test_without_a_work_stream_it_asks_again_after_a_pause(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(world, work=False, user_conn_timeout=3)
    for _ in range(8):
        world.advance(1.0)
    text = "no work connection: timeout trying to get work connection"
    assert [record.getMessage() for record in caplog.records].count(text) == 2
    scene.begin()
    scene.visitor().sock.send(b"late")
    scene.until_heard(1)


@both_peers
def test_a_silent_client_loses_its_stream(world: World, frpd: bool) -> None:
    scene = Scene(world, frpd=frpd)
    keepalive = scene.format.keepalive
    for _ in range(4):
        world.advance(50.0)
        scene.work.stream.write(keepalive)
        world.settle()
    assert scene.work.stream.end == ""
    world.advance(60.0)
    scene.work.until_end()
    scene.begin()
    scene.visitor().sock.send(b"on the next one")
    scene.until_heard(1)


@pytest.mark.parametrize(
    ("version", "frpd", "wrapped"),
    [("0.33.0", False, False), ("0.34.0", False, True), ("0.21.0", True, True)],
)
@pytest.mark.parametrize(
    "flags", [{"use_encryption"}, {"use_compression"}, {"use_encryption", "use_compression"}]
)
def test_the_wrappers_are_by_the_client_s_version(
    world: World, version: str, frpd: bool, wrapped: bool, flags: set[str]
) -> None:
    scene = Scene(world, frpd=frpd, proxy=dict.fromkeys(flags, True), login={"version": version})
    if wrapped:
        key = derive_key(TOKEN) if "use_encryption" in flags else None
        scene.codecs = wrapper_stack(
            key=key, compress="use_compression" in flags, iv=b"c" * IV_BYTES
        )
    visitor = scene.visitor()
    visitor.sock.send(b"question")
    [(name, data)] = scene.until_heard(1)
    assert data == b"question"
    scene.answer(name, b"answer")
    world.until(lambda: visitor.heard == [b"answer"])


def test_a_visitor_is_forgotten_after_silence_and_answers_to_nobody_are_dropped(
    world: World,
) -> None:
    scene = Scene(world, udp_session_timeout=20.0)
    visitor = scene.visitor()
    visitor.sock.send(b"question")
    [(name, _)] = scene.until_heard(1)
    world.advance(19.0)
    scene.answer(name, b"one")
    world.until(lambda: visitor.heard == [b"one"])
    world.advance(19.0)
    assert scene.proxy.counters.connections_open == 1
    world.advance(1.5)
    counters = scene.proxy.counters
    assert (counters.connections_open, counters.connections_total) == (0, 1)
    assert (counters.bytes_in, counters.bytes_out) == (8, 3)
    scene.answer(name, b"two")
    world.settle()
    assert visitor.heard == [b"one"]
    assert scene.proxy.traffic.dropped_unknown == 1


def test_the_number_of_visitors_is_bounded(world: World) -> None:
    scene = Scene(world, udp_max_sessions=3)
    for number in range(10):
        scene.visitor().sock.send(bytes([number]))
    scene.until_heard(10)
    counters = scene.proxy.counters
    assert (counters.connections_open, counters.connections_total) == (3, 10)
    assert len(scene.proxy._visited._by_name) == 3


@both_peers
def test_datagrams_that_the_other_end_cannot_take_are_dropped_and_said(
    world: World, frpd: bool, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(world, frpd=frpd, udp_packet_size=2000)
    visitor = scene.visitor()
    for _ in range(2):
        visitor.sock.send(bytes(2001))
    visitor.sock.send(bytes(2000))
    heard = scene.until_heard(3 if frpd else 1)
    assert len(heard[-1][1]) == 2000
    said = [r for r in caplog.records if "udp_packet_size" in r.getMessage()]
    assert (scene.proxy.traffic.dropped_long, len(said)) == ((0, 0) if frpd else (2, 1))


def test_64_kib_pass_between_our_ends(world: World) -> None:
    scene = Scene(world)
    visitor = scene.visitor()
    largest = bytes(range(256)) * 255 + bytes(227)
    visitor.sock.send(largest)
    [(name, data)] = scene.until_heard(1)
    assert data == largest
    scene.answer(name, largest)
    world.until(lambda: visitor.heard == [largest])


def test_a_client_that_reads_nothing_costs_datagrams_and_no_memory(world: World) -> None:
    scene = Scene(world, mux=False)
    wire = scene.work.stream
    wire.reads = False  # type: ignore[attr-defined]
    visitor = scene.visitor()
    proxy = scene.proxy

    def flood() -> bool:
        for _ in range(20):
            visitor.sock.send(bytes(60000))
        return proxy.traffic.dropped_blocked > 50

    world.until(flood, "datagrams are dropped")
    assert proxy._visited.channel.queued_bytes < 400_000
    wire.reads = True  # type: ignore[attr-defined]
    world.until(lambda: not proxy._visited.channel.queued_bytes)
    scene.heard()


@both_peers
def test_rubbish_from_the_client_ends_the_stream_and_not_the_proxy(
    world: World, frpd: bool
) -> None:
    scene = Scene(world, frpd=frpd)
    rubbish = b"\xffrubbish" * 10
    with pytest.raises(RemoteProtocolError):
        scene.format().receive_data(rubbish)
    scene.work.stream.write(rubbish)
    scene.work.until_end()
    world.advance(1.0)
    scene.begin()
    scene.visitor().sock.send(b"question")
    scene.until_heard(1)


def test_close_frees_the_port_and_leaves_nothing(world: World) -> None:
    scene = Scene(world)
    visitor = scene.visitor()
    visitor.sock.send(b"question")
    scene.until_heard(1)
    proxy = scene.proxy
    proxy.close()
    proxy.close()
    scene.work.until_end()
    udp_socket("127.0.0.1", scene.port).close()
    visitor.leave()
    assert proxy.counters.connections_open == 0
    scene.client.close()
    scene.house.until_empty()


def test_the_end_of_the_client_frees_all(world: World) -> None:
    scene = Scene(world)
    visitor = scene.visitor()
    visitor.sock.send(b"question")
    scene.until_heard(1)
    visitor.leave()
    scene.client.close()
    scene.house.until_empty()


def test_close_while_it_waits_for_a_stream(world: World) -> None:
    scene = Scene(world, frpd=False, work=False)
    world.advance(0.6)
    scene.proxy.close()
    work = scene.client.work()
    world.advance(2.0)
    assert not work.started
    work.stream.close()
    scene.client.close()
    scene.house.until_empty()


def test_a_port_that_is_taken_is_unavailable(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    client = house.client()
    with udp_socket() as holder:
        port = holder.getsockname()[1]
        assert client.new_proxy("dns", port, "udp").error == "port unavailable"
    assert f"listen udp 127.0.0.1:{port}: bind: address already in use" in caplog.text


def test_tcp_and_udp_have_books_of_their_own(world: World) -> None:
    house = House(world)
    client = house.client()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert client.new_proxy("web", port).error == ""
    assert client.new_proxy("dns", port, "udp").error == ""
    assert client.new_proxy("dns2", port, "udp").error == "port already used"


@needs_ipv6
def test_visitors_over_ipv6(world: World) -> None:
    scene = Scene(world, proxy_bind_addr="::")
    ann, bob = scene.visitor("::1"), scene.visitor()
    ann.sock.send(b"six")
    bob.sock.send(b"four")
    names = {data: name for name, data in scene.until_heard(2)}
    assert names[b"six"] == BinaryPackets.name_visitor("::1", ann.port)
    assert names[b"four"] == BinaryPackets.name_visitor("127.0.0.1", bob.port)
    for data, name in names.items():
        scene.answer(name, data)
    world.until(lambda: (ann.heard, bob.heard) == ([b"six"], [b"four"]))


def test_pings_of_go_clients_are_no_datagrams(world: World) -> None:
    scene = Scene(world, frpd=False)
    assert scene.format.keepalive[:1] == bytes([Ping.TYPE])
    scene.work.stream.write(scene.format.keepalive * 3)
    world.settle()
    assert scene.proxy.traffic.dropped == 0


def test_a_visitor_that_fell_silent_is_told_to_the_access_log(world: World) -> None:
    told: list[Visit] = []
    scene = Scene(world, udp_session_timeout=20.0, told=told)
    visitor = scene.visitor()
    visitor.sock.send(b"12345")
    ((name, _),) = scene.until_heard(1)
    scene.answer(name, b"123")
    world.until(lambda: visitor.heard)
    world.advance(20.0)
    (visit,) = told
    assert (visit.type, visit.proxy, visit.ended, visit.by) == ("udp", "dns", "silent", "visitor")
    assert visit.visitor == f"127.0.0.1:{visitor.port}"
    assert visit.local.endswith(f":{scene.port}")
    assert (visit.bytes_in, visit.bytes_out) == (5, 3)
    visitor.sock.send(b"again")
    scene.until_heard(2)
    scene.proxy.close()
    assert (told[1].ended, told[1].by) == ("closed", "server")
