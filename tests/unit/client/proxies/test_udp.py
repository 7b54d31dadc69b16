"""udp proxies at the client: a socket for each visitor, one work stream, names of services."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from frpd.client.proxies.udp import UdpProxy
from frpd.config.proxies import UdpProxyConfig
from frpd.errors import TransportError
from frpd.net.resolver import Addresses, Resolver
from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.native import FEATURES
from frpd.proto.proxy_protocol import encode
from frpd.proto.udp_binary import BinaryPackets
from frpd.proto.wrappers import StreamCodec, wrapper_stack
from frpd.udp.go_packets import GoPackets
from frpd.udp.packet_channel import PacketFormat
from tests.helpers.peers import TOKEN, Talker
from tests.helpers.udp import has_ipv6, udp_socket
from tests.helpers.world import World
from tests.unit.client.conftest import world
from tests.unit.client.home import Home

__all__ = ["world"]

FRPD = {"frpd": {"v": 1, "chosen": sorted(FEATURES)}}
LARGEST = bytes(range(256)) * 255 + bytes(227)


class Local:
    """A local service that notes what comes, with the port it came from, and may answer."""

    def __init__(self, world: World, host: str = "127.0.0.1", port: int = 0) -> None:
        self.world = world
        self.sock = udp_socket(host, port)
        self.sock.setblocking(False)
        self.port: int = self.sock.getsockname()[1]
        self.heard: list[tuple[bytes, int]] = []
        self.echoes = False
        world.peers.append(self)
        world.stack.callback(self.sock.close)

    def pump(self) -> None:
        while True:
            try:
                data, peer = self.sock.recvfrom(65536)
            except BlockingIOError:
                return
            self.heard.append((data, peer[1]))
            if self.echoes:
                self.sock.sendto(data, peer)

    def leave(self) -> None:
        self.world.peers.remove(self)
        self.sock.close()


class Scene:
    """A client with one udp proxy, its scripted server and a local service."""

    def __init__(
        self,
        world: World,
        *,
        frpd: bool = True,
        mux: bool = True,
        proxy: dict[str, Any] | None = None,
        answer: dict[str, Any] | None = None,
        host: str = "127.0.0.1",
        work: bool = True,
        **keys: Any,
    ) -> None:
        self.world = world
        self.local = Local(world, host)
        self.format: type[PacketFormat] = BinaryPackets if frpd else GoPackets
        fields: dict[str, Any] = {"name": "dns", "section": "dns", "remote_port": 6000}
        fields |= {"local_ip": host, "local_port": self.local.port} | (proxy or {})
        self.home = Home(world, mux=mux, proxies=[UdpProxyConfig(**fields)], **keys)
        self.session = self.home.running(**((FRPD if frpd else {}) | (answer or {})))
        self.codecs: list[StreamCodec] = []
        self.found: list[tuple[bytes, bytes]] = []
        if work:
            self.begin()

    @property
    def proxy(self) -> UdpProxy:
        server = self.home.service.table.entries["dns"].server
        assert isinstance(server, UdpProxy)
        return server

    def begin(self) -> Talker:
        """Give the client a work stream."""
        self.work = self.session.start_work("dns")
        self.packets = self.format()
        self.world.settle()
        return self.work

    def name(self, port: int) -> bytes:
        return self.format.name_visitor("192.0.2.7", port)

    def say(self, *sent: tuple[bytes, bytes]) -> None:
        """Send datagrams of visitors."""
        out = bytearray()
        for name, datagram in sent:
            self.packets.append(out, name, datagram)
        data = bytes(out)
        for codec in self.codecs:
            data = codec.encode(data)
        self.work.stream.write(data)

    def answers(self, count: int) -> list[tuple[bytes, bytes]]:
        """Run turns until so many datagrams have come back."""

        def heard() -> bool:
            data = bytes(self.work.payload)
            self.work.payload.clear()
            for codec in reversed(self.codecs):
                data = codec.decode(data)
            found = self.packets.receive_data(data).items()
            self.found += [(name, bytes(one)) for name, some in found for one in some]
            return len(self.found) >= count

        self.world.until(heard, f"{count} answers")
        return self.found


both_peers = pytest.mark.parametrize("frpd", [True, False], ids=["frpd", "go"])
both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])
needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@both_peers
def test_only_the_first_datagram_of_a_visitor_is_behind_its_address(
    world: World, frpd: bool
) -> None:
    scene = Scene(world, frpd=frpd, proxy={"proxy_protocol_version": "v2"})
    ann, bob = scene.name(1), scene.name(2)
    scene.say((ann, b"a"), (ann, b"b"), (bob, b"c"))
    world.until(lambda: len(scene.local.heard) == 3)
    here = ("127.0.0.1", scene.local.port)
    header = [encode("v2", ("192.0.2.7", port), here, datagram=True) for port in (1, 2)]
    assert [data for data, _ in scene.local.heard] == [header[0] + b"a", b"b", header[1] + b"c"]


@both_peers
@both_kinds
def test_datagrams_go_to_the_service_and_back(world: World, frpd: bool, mux: bool) -> None:
    scene = Scene(world, frpd=frpd, mux=mux)
    scene.local.echoes = True
    ann, bob = scene.name(1), scene.name(2)
    sent = [(ann, b""), (ann, b"a"), (bob, b"b"), (ann, bytes(1000)), (ann, bytes(1000))]
    scene.say(*sent)
    answers = scene.answers(len(sent))
    for name in (ann, bob):
        assert [d for n, d in answers if n == name] == [d for n, d in sent if n == name]
    assert len({port for _, port in scene.local.heard}) == 2


def test_a_visitor_keeps_its_socket_when_the_work_stream_is_another(world: World) -> None:
    scene = Scene(world)
    scene.say((scene.name(1), b"one"))
    world.until(lambda: len(scene.local.heard) == 1)
    old = scene.work
    scene.begin()
    old.until_end()
    scene.say((scene.name(1), b"two"))
    world.until(lambda: len(scene.local.heard) == 2)
    assert len({port for _, port in scene.local.heard}) == 1


def test_the_visitor_s_name_goes_back_as_it_came(world: World) -> None:
    scene = Scene(world, frpd=False)
    scene.local.echoes = True
    name = b'{"IP":"fe80::1","Port":5,"Zone":"eth0"}'
    scene.say((name, b"x"))
    assert scene.answers(1) == [(name, b"x")]


def test_a_silent_visitor_s_socket_is_closed_and_a_new_word_opens_another(world: World) -> None:
    scene = Scene(world, udp_session_timeout=30.0, heartbeat_interval=-1)
    before = world.census()
    scene.say((scene.name(1), b"one"))
    world.until(lambda: scene.local.heard)
    counters = scene.proxy.counters
    assert (counters.connections_open, counters.connections_total) == (1, 1)
    for _ in range(3):  # what the service says keeps it as well
        world.advance(20.0)
        scene.local.sock.sendto(b"tick", ("127.0.0.1", scene.local.heard[0][1]))
        world.settle()
    assert counters.connections_open == 1
    world.advance(30.5)
    assert before.is_back()
    assert (counters.connections_open, counters.bytes_in, counters.bytes_out) == (0, 3, 12)
    scene.say((scene.name(1), b"two"))
    world.until(lambda: len(scene.local.heard) == 2)
    assert counters.connections_total == 2


def test_the_number_of_sockets_is_bounded(world: World) -> None:
    scene = Scene(world, udp_max_sessions=3)
    before = world.census()
    scene.say(*[(scene.name(port), b"x") for port in range(1, 11)])
    world.until(lambda: len(scene.local.heard) == 10)
    assert world.census().watches == before.watches + 3
    assert scene.proxy.counters.connections_open == 3


@both_peers
def test_it_pings_every_half_minute(world: World, frpd: bool) -> None:
    scene = Scene(world, frpd=frpd, heartbeat_interval=-1)
    for count in range(1, 4):
        world.advance(30.0)
        assert scene.work.payload == scene.format.keepalive * count


@pytest.mark.parametrize(
    ("version", "frpd", "wrapped"),
    [("0.33.0", False, False), ("0.34.0", False, True), ("0.21.0", True, True)],
)
@pytest.mark.parametrize(
    "flags", [{"use_encryption"}, {"use_compression"}, {"use_encryption", "use_compression"}]
)
def test_the_wrappers_are_by_the_server_s_version(
    world: World, version: str, frpd: bool, wrapped: bool, flags: set[str]
) -> None:
    scene = Scene(world, frpd=frpd, proxy=dict.fromkeys(flags, True), work=False)
    scene.home.service._server_version = version
    scene.begin()
    if wrapped:
        key = derive_key(TOKEN) if "use_encryption" in flags else None
        scene.codecs = wrapper_stack(
            key=key, compress="use_compression" in flags, iv=b"s" * IV_BYTES
        )
    scene.local.echoes = True
    scene.say((scene.name(1), b"question"))
    assert scene.answers(1) == [(scene.name(1), b"question")]


def test_64_kib_pass_between_our_ends(world: World) -> None:
    scene = Scene(world)
    scene.local.echoes = True
    scene.say((scene.name(1), LARGEST))
    assert scene.answers(1) == [(scene.name(1), LARGEST)]


def test_answers_that_a_go_server_cannot_take_are_dropped_and_said(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(world, frpd=False, udp_packet_size=7000)
    scene.local.echoes = True
    scene.say((scene.name(1), bytes(7001)), (scene.name(1), bytes(7000)))
    assert scene.answers(1) == [(scene.name(1), bytes(7000))]
    assert scene.proxy.traffic.dropped_long == 1
    assert "udp_packet_size" in caplog.text


def test_a_service_that_is_down_is_said_once_a_minute_and_found_when_it_is_up(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(world)
    port = scene.local.port
    scene.local.leave()
    proxy = scene.proxy
    for count in range(1, 6):
        scene.say((scene.name(1), b"anyone?"))
        world.until(lambda want=count: proxy.traffic.refused >= want)  # type: ignore[misc]

    def complaints() -> list[str]:
        return [r.getMessage() for r in caplog.records if "local service" in r.getMessage()]

    assert complaints() == [f"local service refused: 127.0.0.1:{port} takes no datagrams"]
    world.advance(55.0)
    scene.say((scene.name(1), b"anyone?"))
    world.until(lambda: proxy.traffic.refused >= 6)
    assert len(complaints()) == 1
    world.advance(10.0)
    scene.say((scene.name(1), b"anyone?"))
    world.until(lambda: proxy.traffic.refused >= 7)
    assert len(complaints()) == 2
    again = Local(world, port=port)
    again.echoes = True
    scene.say((scene.name(1), b"there?"))
    assert scene.answers(1) == [(scene.name(1), b"there?")]


@needs_ipv6
def test_a_service_on_ipv6(world: World) -> None:
    scene = Scene(world, host="::1")
    scene.local.echoes = True
    scene.say((scene.name(1), b"six"))
    assert scene.answers(1) == [(scene.name(1), b"six")]


class Names(Resolver):
    """A resolver whose answers the test gives."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.done: Callable[[Addresses], None]
        self.failed: Callable[[TransportError], None]

    def resolve(
        self,
        host: str,
        port: int,
        on_done: Callable[[Addresses], None],
        on_failed: Callable[[TransportError], None],
    ) -> None:
        self.asked.append((host, port))
        self.done, self.failed = on_done, on_failed


def named(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[Scene, Names]:
    names = Names()
    scene = Scene(world, proxy={"local_ip": "printer.lan"}, work=False)
    monkeypatch.setattr(scene.proxy._context.connector, "resolver", names)
    return scene, names


def test_a_name_is_looked_up_and_datagrams_wait_for_the_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, names = named(world, monkeypatch)
    scene.begin()
    scene.say((scene.name(1), b"early"))
    world.settle()
    port = scene.local.port
    assert names.asked == [("printer.lan", port)]
    assert scene.local.heard == []
    names.done(
        [
            (socket.AF_INET6, ("::1", port, 0, 0)),
            (socket.AF_INET, ("127.0.0.1", port)),  # taken: who says localhost means this one
        ]
    )
    world.until(lambda: scene.local.heard)
    world.advance(59.0)
    scene.say((scene.name(2), b"soon"))
    world.settle()
    assert len(names.asked) == 1
    world.advance(2.0)
    scene.say((scene.name(3), b"later"))  # looked up again, and the old answer will do
    world.until(lambda: len(scene.local.heard) == 3)
    assert len(names.asked) == 2
    moved = Local(world)
    names.done([(socket.AF_INET, ("127.0.0.1", moved.port))])
    scene.say((scene.name(4), b"new"), (scene.name(3), b"old"))
    world.until(lambda: moved.heard and len(scene.local.heard) == 4)


@pytest.mark.parametrize("how", ["fails", "finds nothing"])
def test_a_name_that_nobody_knows_gives_the_work_stream_back(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    scene, names = named(world, monkeypatch)
    work = scene.begin()
    if how == "fails":
        names.failed(TransportError("lookup printer.lan: no such host"))
    else:
        names.done([])
    work.until_end()
    assert "lookup printer.lan: no" in caplog.text
    scene.begin()
    assert len(names.asked) == 2


def test_an_answer_that_comes_after_the_end_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, names = named(world, monkeypatch)
    work = scene.begin()
    second = scene.begin()
    work.until_end()
    assert len(names.asked) == 1
    scene.home.service.close()
    second.until_end()
    names.done([(socket.AF_INET, ("127.0.0.1", scene.local.port))])
    assert not scene.proxy._channel.attached


def test_no_way_to_the_service_costs_datagrams_only(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(world)

    def fail(*_args: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr("frpd.client.proxies.udp.connect_udp", fail)
        scene.say((scene.name(1), b"x"), (scene.name(1), b"y"))
        world.until(lambda: scene.proxy.traffic.dropped_unsent == 2)
    assert f"dial udp 127.0.0.1:{scene.local.port}: too many open files" in caplog.text
    scene.say((scene.name(1), b"z"))
    world.until(lambda: scene.local.heard)


@both_peers
def test_rubbish_from_the_server_ends_the_stream_and_not_the_proxy(
    world: World, frpd: bool
) -> None:
    scene = Scene(world, frpd=frpd)
    scene.work.stream.write(b"\xffrubbish" * 10)
    scene.work.until_end()
    scene.begin()
    scene.say((scene.name(1), b"x"))
    world.until(lambda: scene.local.heard)


def test_a_server_that_reads_nothing_costs_answers_and_no_memory(world: World) -> None:
    scene = Scene(world, mux=False)
    scene.say((scene.name(1), b"x"))
    world.until(lambda: scene.local.heard)
    scene.work.stream.reads = False  # type: ignore[attr-defined]
    proxy = scene.proxy

    def flood() -> bool:
        for _ in range(20):
            scene.local.sock.sendto(bytes(60000), ("127.0.0.1", scene.local.heard[0][1]))
        return proxy.traffic.dropped_blocked > 50

    world.until(flood, "answers are dropped")
    assert proxy._channel.queued_bytes < 400_000


def test_close_leaves_nothing(world: World) -> None:
    scene = Scene(world)
    scene.say(*[(scene.name(port), b"x") for port in range(1, 6)])
    world.until(lambda: len(scene.local.heard) == 5)
    scene.home.service.close()
    scene.work.until_end()
    scene.session.wire.close()
    scene.work.stream.close()
    world.until(scene.home.empty.is_back, "nothing is left")
    assert scene.home.empty.timers_are_back()
