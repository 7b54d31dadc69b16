"""UpstreamLayer: a proxy joins us to the server, or says why not."""

from __future__ import annotations

import pytest

from frpd.errors import TransportError
from frpd.net.endpoint import Endpoint, Outcome
from frpd.transports.base import Dialing
from frpd.transports.upstream_proxy import UpstreamLayer
from tests.helpers.endpoint import ScriptedEndpoint
from tests.helpers.world import World

OPEN = b"HTTP/1.1 200 OK\r\n\r\n"
DONE = bytes.fromhex("05000001000000000000")
HTTP = "proxy http://p:3128, asked for frps.test:7000: "
SOCKS = "proxy socks5://p:1080, asked for frps.test:7000: "


class Play:
    """A layer on a connection, and the proxy at its other end."""

    def __init__(self, world: World, endpoint: ScriptedEndpoint, layer: UpstreamLayer) -> None:
        self.world = world
        self.endpoint = endpoint
        self.ready: list[Endpoint] = []
        self.errors: list[str] = []
        self.dialing: Dialing = layer.begin(endpoint, self._ready, self._failed)
        assert not self.over, "never inside begin()"
        world.turn(3)

    @property
    def over(self) -> bool:
        return bool(self.ready or self.errors)

    def say(self, *chunks: bytes) -> None:
        self.endpoint.say(*chunks)
        self.world.turn(3 + len(chunks))

    def end(self) -> None:
        self.endpoint.end()
        self.world.turn(3)

    def sent(self) -> bytes:
        """What was sent since the last time."""
        sent = self.endpoint.got
        self.endpoint._got.clear()
        return sent

    def _ready(self, endpoint: Endpoint) -> None:
        self.ready.append(endpoint)

    def _failed(self, error: TransportError) -> None:
        self.errors.append(str(error))


def play(
    world: World,
    scheme: str = "http",
    host: str = "frps.test",
    *,
    user: str = "",
    password: str = "",
    capacity: int | None = None,
) -> Play:
    endpoint = ScriptedEndpoint(world.loop)
    if capacity is not None:
        endpoint.capacity = capacity
    name = "http://p:3128" if scheme == "http" else "socks5://p:1080"
    layer = UpstreamLayer(world.loop, scheme, name, host, 7000, user=user, password=password)
    return Play(world, endpoint, layer)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_http_proxy_opens_a_tunnel(world: World, scheme: str) -> None:
    scene = play(world, scheme, user="al\udcff", password="p\u00fc")
    asked = scene.sent()
    assert asked.startswith(b"CONNECT frps.test:7000 HTTP/1.1\r\n")
    assert b"Basic YWz/OnDDvA==\r\n" in asked
    scene.say(OPEN[:9], OPEN[9:] + b"first", b" bytes")
    assert scene.ready == [scene.endpoint]
    assert scene.endpoint.wants == ""
    assert scene.endpoint.on_failure is None
    assert bytes_of(scene.endpoint) == b"first bytes"
    assert scene.errors == scene.endpoint.acts == []


def bytes_of(endpoint: ScriptedEndpoint) -> bytes:
    found = b""
    while not isinstance(data := endpoint.read(99), Outcome):
        found += bytes(data)
    return found


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_opens_a_tunnel(world: World, scheme: str) -> None:
    scene = play(world, scheme, user="alice", password="\udcff")
    assert scene.sent() == b"\x05\x02\x00\x02"
    scene.say(b"\x05\x02")
    assert scene.sent() == b"\x01\x05alice\x01\xff"
    scene.say(b"\x01", b"\x00")
    assert scene.sent() == b"\x05\x01\x00\x03\x09frps.test\x1bX"
    scene.say(DONE + b"first")
    assert scene.ready == [scene.endpoint]
    assert bytes_of(scene.endpoint) == b"first"


@pytest.mark.parametrize(
    ("host", "wire"),
    [
        ("10.1.2.3", b"\x01\x0a\x01\x02\x03"),
        ("::1", b"\x04" + bytes(15) + b"\x01"),
        ("fe80::1%eth0", b"\x03\x0cfe80::1%eth0"),
        ("b\u00fccher.test", b"\x03\x12xn--bcher-kva.test"),
    ],
)
def test_a_host_of_any_kind_goes_to_a_socks_proxy(world: World, host: str, wire: bytes) -> None:
    scene = play(world, "socks5", host)
    scene.say(b"\x05\x00")
    assert scene.sent() == b"\x05\x01\x00" + b"\x05\x01\x00" + wire + b"\x1bX"


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("::1", b"[::1]:7000"),
        ("b\u00fccher.test", b"xn--bcher-kva.test:7000"),
    ],
)
def test_a_host_of_any_kind_goes_to_an_http_proxy(world: World, host: str, target: bytes) -> None:
    scene = play(world, host=host)
    assert scene.sent().startswith(b"CONNECT " + target + b" HTTP/1.1\r\nHost: " + target + b"\r\n")


def test_a_proxy_may_take_the_request_in_pieces(world: World) -> None:
    scene = play(world, capacity=0)
    assert scene.sent() == b""
    scene.endpoint.take(10)
    world.turn(3)
    assert scene.sent() == b"CONNECT fr"
    scene.endpoint.take()
    world.turn(3)
    assert scene.sent().endswith(b"\r\n\r\n")
    assert scene.endpoint.wants == "r"


# Failures: each is told once, names the proxy, and drops the connection.


def assert_failed(scene: Play, error: str) -> None:
    assert scene.errors == [error]
    assert scene.ready == []
    assert scene.endpoint.acts == ["abort"]
    scene.dialing.cancel()
    scene.world.turn(3)
    assert len(scene.errors) == 1


def test_a_refusal_is_told(world: World) -> None:
    scene = play(world, user="alice", password="hunter2")
    scene.say(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
    why = "407 Proxy Authentication Required: it does not accept the user and password given"
    assert_failed(scene, HTTP + why)


def test_a_refusal_of_a_socks_proxy_is_told(world: World) -> None:
    scene = play(world, "socks5")
    scene.say(b"\x05\x00", b"\x05\x02\x00\x01")
    assert_failed(scene, SOCKS + "connection not allowed by ruleset")


def test_what_breaks_the_protocol_is_told(world: World) -> None:
    scene = play(world)
    scene.say(b"SSH-2.0")
    assert_failed(scene, HTTP + "the answer is not HTTP")


@pytest.mark.parametrize(
    ("scheme", "capacity", "said"),
    [
        ("http", 0, OPEN),
        ("http", 20, OPEN),
        ("socks5", 0, b"\x05\x00" + DONE),
        ("socks5", 3, b"\x05\x00" + DONE),
        ("socks5", None, b"\x05\x00" + DONE),
    ],
)
def test_an_answer_ahead_of_the_question_is_told(
    world: World, scheme: str, capacity: int | None, said: bytes
) -> None:
    scene = play(world, scheme, capacity=capacity)
    scene.say(said)
    assert_failed(scene, (HTTP if scheme == "http" else SOCKS) + "it answered before it was asked")


@pytest.mark.parametrize("said", [b"", OPEN[:-1]])
def test_an_early_end_is_told(world: World, said: bytes) -> None:
    scene = play(world)
    scene.say(said)
    scene.end()
    assert_failed(scene, HTTP + "it closed the connection")


def test_an_end_behind_the_answer_is_for_whoever_comes_next(world: World) -> None:
    scene = play(world)
    scene.endpoint.say(OPEN)
    scene.end()
    assert scene.ready == [scene.endpoint]
    assert scene.endpoint.read(9) is Outcome.EOF


def test_a_reset_is_told(world: World) -> None:
    scene = play(world)
    scene.endpoint.reset()
    world.turn(3)
    assert_failed(scene, HTTP + "connection reset by peer")


def test_what_a_proxy_said_before_it_hung_up_is_told(world: World) -> None:
    scene = play(world, capacity=0)
    scene.endpoint.break_writes()
    world.turn(3)
    assert scene.errors == []
    scene.say(b"HTTP/1.0 503 Too many clients\r\n\r\n")
    assert_failed(scene, HTTP + "503 Too many clients")


@pytest.mark.parametrize(
    ("scheme", "host", "user", "why"),
    [
        ("http", "a b", "", "'a b' cannot be asked of an HTTP proxy"),
        ("http", "b\u00fc..x", "", "'b\u00fc..x' is no host name"),
        ("socks5", "x" * 256, "", f"{'x' * 255!r} cannot be asked of a SOCKS proxy"),
        (
            "socks5",
            "h",
            "u" * 256,
            "SOCKS wants a user of 1 to 255 bytes and a password of no more",
        ),
    ],
)
def test_what_cannot_be_asked_is_told(
    world: World, scheme: str, host: str, user: str, why: str
) -> None:
    scene = play(world, scheme, host, user=user)
    (error,) = scene.errors
    assert error.endswith(why)
    assert scene.endpoint.acts == ["abort"]


@pytest.mark.parametrize("host", ["frps.test", "a b"])
def test_a_cancelled_handshake_tells_nobody(world: World, host: str) -> None:
    endpoint = ScriptedEndpoint(world.loop)
    layer = UpstreamLayer(world.loop, "http", "http://p:3128", host, 7000)
    ready: list[Endpoint] = []
    errors: list[TransportError] = []
    dialing = layer.begin(endpoint, ready.append, errors.append)
    dialing.cancel()
    dialing.cancel()
    endpoint.say(OPEN)
    world.turn(5)
    assert ready == []
    assert errors == []
    assert endpoint.acts == ["abort"]


def test_a_late_cancel_leaves_the_connection_alone(world: World) -> None:
    scene = play(world)
    scene.say(OPEN)
    scene.dialing.cancel()
    assert scene.endpoint.acts == []


def test_a_bug_below_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = play(world)

    def fail(limit: int) -> bytes:
        raise ZeroDivisionError(limit)

    monkeypatch.setattr(scene.endpoint, "read", fail)
    scene.say(OPEN)
    assert_failed(scene, HTTP + "internal error, see the log")


def test_a_bug_in_on_ready_is_not_answered_by_another_call(world: World) -> None:
    endpoint = ScriptedEndpoint(world.loop)
    layer = UpstreamLayer(world.loop, "http", "http://p:3128", "frps.test", 7000)
    errors: list[TransportError] = []

    def fail(_: Endpoint) -> None:
        raise ZeroDivisionError

    layer.begin(endpoint, fail, errors.append)
    world.turn(3)
    endpoint.say(OPEN)
    world.turn(5)
    assert isinstance(endpoint.error, ZeroDivisionError)
    assert errors == []
    assert endpoint.acts == ["abort"]


def test_each_connection_has_its_own_handshake(world: World) -> None:
    layer = UpstreamLayer(world.loop, "http", "http://p:3128", "frps.test", 7000)
    first = Play(world, ScriptedEndpoint(world.loop), layer)
    second = Play(world, ScriptedEndpoint(world.loop), layer)
    assert first.sent() == second.sent() != b""
    second.say(OPEN)
    assert not first.over
    first.say(OPEN)
    assert first.ready == [first.endpoint]


def test_it_leaves_no_watch_on_a_real_connection(world: World) -> None:
    near, far = world.pair()
    layer = UpstreamLayer(world.loop, "http", "http://p:3128", "frps.test", 7000)
    ready: list[Endpoint] = []
    layer.begin(near, ready.append, lambda error: pytest.fail(str(error)))
    world.settle()
    assert far.recv(999).startswith(b"CONNECT frps.test:7000")
    far.sendall(OPEN + b"first")
    world.until(lambda: ready)
    assert near.read(99) == b"first"
    near.close()
    assert world.loop.watch_count == 0
