"""Virtual hosts in all modes under real traffic; one port for clients and visitors; load."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.helpers.loads import checksum, make_file
from tests.helpers.modes import MODES
from tests.helpers.ports import free_port
from tests.helpers.programs import wait_until
from tests.helpers.stage import WRAPPERS, Stage
from tests.helpers.visitors import is_over, read_to_end, reset, visit
from tests.helpers.web import EVENTS
from tests.helpers.web_site import HELLO, MEBIBYTE
from tests.helpers.web_visits import (
    Caller,
    ask,
    curl,
    digest_of,
    tls_by_pieces,
    wrk_host,
)
from tests.helpers.web_world import (
    MIDDLE_MEBIBYTES,
    Pair,
    World,
    open_pair,
    web,
    world,
)
from tests.helpers.websocket_frames import TEXT, WebSocketVisitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Record = Callable[[str, object], None]

__all__ = ["world"]

WRAPPED = pytest.mark.parametrize("wrapper", WRAPPERS)
MIRROR = "mirror.example.test"
SITE = "www.example.test"
BODY = os.urandom(MEBIBYTE)


@pytest.fixture(scope="module")
def pairs(module_stage: Stage, world: World) -> dict[bool, Pair]:
    """A pair with all proxies, by tcp_mux."""
    return {mux: open_pair(module_stage, world.proxies(), mux=mux) for mux in (True, False)}


@WRAPPED
@MODES
def test_https_proxies_carry_all_bytes(
    pairs: dict[bool, Pair], world: World, mux: bool, wrapper: str
) -> None:
    answer = curl(
        pairs[mux].https_port,
        f"https://{wrapper}.secure.test/assets/1.css",
        *("--cacert", str(world.site.authority.ca)),
    )
    assert answer.body == (world.site.folder / "www" / "assets" / "1.css").read_bytes()


@WRAPPED
@MODES
def test_requests_and_websockets_pass_in_each_mode(
    pairs: dict[bool, Pair], world: World, mux: bool, wrapper: str
) -> None:
    port, host = pairs[mux].http_port, f"{wrapper}.modes.test"
    with Caller(port) as caller:
        for _ in range(2):
            assert caller.ask(host, "/path").facts["target"] == "/path"
            facts = caller.ask(host, "/path", "POST", BODY).facts
            assert facts["sha256"] == hashlib.sha256(BODY).hexdigest()
            facts = caller.ask(host, "/path", "POST", iter([BODY, b"a", BODY])).facts
            assert facts["sha256"] == hashlib.sha256(BODY + b"a" + BODY).hexdigest()
            got = digest_of(caller.open(host, "/files/middle"))
            assert got == (MIDDLE_MEBIBYTES * MEBIBYTE, world.middle_digest)
    with WebSocketVisitor(visit(port), host) as visitor:
        assert visitor.echo(b"hello", TEXT) == b"hello"
        assert visitor.echo(BODY) == BODY


@WRAPPED
@MODES
def test_events_are_not_held_back_in_any_mode(
    pairs: dict[bool, Pair], mux: bool, wrapper: str
) -> None:
    port, host, name = pairs[mux].http_port, f"{wrapper}.modes.test", f"{wrapper}-{mux}"
    with Caller(port) as reader, Caller(port) as ticker:
        answer = reader.open(host, f"/events/{name}")
        for number in range(EVENTS):
            assert answer.readline() == f"data: {number}\n".encode()
            assert answer.readline() == b"\n"
            ticker.ask(host, f"/tick/{name}")


# --- one port for all ---


@MODES
def test_nothing_is_left_of_visitors_who_have_gone(stage: Stage, world: World, mux: bool) -> None:
    proxies = {name: world.proxies()[name] for name in ("site", "mirror", "mute", "secure")}
    pair = open_pair(stage, proxies, mux=mux)
    ask(pair.http_port, MIRROR)
    before = [(program, program.descriptors()) for program in (pair.frps, pair.frpc)]
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            caller = stack.enter_context(Caller(pair.http_port))
            assert caller.ask(MIRROR).status == caller.ask(SITE, "/hello.txt").status == 200
            caller.open(SITE, "/large").read(1000)
            visitor = stack.enter_context(visit(pair.http_port))
            websocket = stack.enter_context(WebSocketVisitor(visitor, MIRROR))
            assert websocket.echo(b"hello") == b"hello"
            stack.enter_context(visit(pair.https_port)).sendall(b"\x16\x03\x01")
            mute = visit(pair.http_port)
            stack.callback(reset, mute)
            mute.sendall(b"POST / HTTP/1.1\r\nHost: mute.example.test\r\nContent-Length: 9\r\n\r\n")
        wait_until(lambda: world.mute.waiting == 10, "the service is asked")
    for program, count in before:
        program.wait_for_descriptors(count + 2)  # what is in stock differs by a little


@MODES
def test_clients_and_visitors_share_one_port(stage: Stage, world: World, mux: bool) -> None:
    proxies = {name: world.proxies()[name] for name in ("mirror", "secure")}
    pair = open_pair(stage, proxies, mux=mux, one_port=True)
    port, authority = pair.bind_port, world.site.authority
    for method in ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        assert ask(port, MIRROR, method=method).status == 200
    assert ask(port, "nobody.example.test").status == 404
    with visit(port) as visitor:
        visitor.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in f"GET / HTTP/1.0\r\nHost: {MIRROR}\r\n\r\n".encode():
            visitor.sendall(bytes([byte]))
        assert b" 200 " in read_to_end(visitor)
    for piece in (1, 4096):
        assert tls_by_pieces(port, "secure.example.test", authority, piece).body == HELLO
    with WebSocketVisitor(visit(port), MIRROR) as websocket:
        assert websocket.echo(BODY) == BODY
    # Whatever clients come in; TLS of theirs begins with a byte of frp's own.
    common = {"server_addr": "127.0.0.1", "server_port": port, "token": "web", "tcp_mux": mux}
    for way in ({"tls_enable": True}, {"protocol": "websocket"}):
        name = next(iter(way))
        late = {name: web(world.site.port, f"{name}.late.test")}
        stage.frpc({**common, **way}, late)
        assert ask(port, f"{name}.late.test", "/hello.txt").body == HELLO


def test_who_says_nothing_on_the_port_of_all_is_sent_away(stage: Stage) -> None:
    port = free_port()
    ports = dict.fromkeys(("bind_port", "vhost_http_port", "vhost_https_port"), port)
    deadlines = dict.fromkeys(("login_timeout_seconds", "vhost_https_hello_timeout"), 1)
    stage.frps({"bind_addr": "127.0.0.1", **ports, **deadlines})
    with visit(port) as silent, visit(port) as half, visit(port) as tls:
        half.sendall(b"GE")
        tls.sendall(b"\x16")
        visitors = (silent, half, tls)
        wait_until(lambda: all(is_over(visitor) for visitor in visitors), "the end of all three")


# --- load ---


@pytest.mark.parametrize("close", [False, True], ids=["keep-alive", "close"])
def test_wrk_gets_every_answer_of_nginx(
    pairs: dict[bool, Pair], record_property: Record, close: bool
) -> None:
    fields = ["Connection: close"] if close else []
    requests, rate = wrk_host(pairs[True].http_port, SITE, "/hello.txt", 1, *fields)
    record_property("requests_per_second", rate)
    assert requests > 100


@pytest.mark.full
@pytest.mark.timeout(120)
@WRAPPED
@MODES
@pytest.mark.parametrize("close", [False, True], ids=["keep-alive", "close"])
def test_wrk_gets_ten_thousand_answers_and_none_fails(
    pairs: dict[bool, Pair], mux: bool, wrapper: str, close: bool, record_property: Record
) -> None:
    total, rates = 0, []
    fields = ["Connection: close"] if close else []
    while total < 10_000:
        host = f"{wrapper}.modes.test"
        requests, rate = wrk_host(pairs[mux].http_port, host, "/files/hello.txt", 4, *fields)
        total += requests
        rates.append(rate)
    record_property("requests_per_second", rates)


@pytest.fixture(scope="module")
def gibibyte(world: World) -> Iterator[tuple[Path, str]]:
    path = make_file(world.site.folder / "www" / "files" / "gibibyte", 1024)
    yield path, checksum(path)
    path.unlink()


@pytest.mark.full
@pytest.mark.timeout(600)
@WRAPPED
@MODES
def test_a_gibibyte_goes_up_in_chunks_and_down(
    pairs: dict[bool, Pair],
    mux: bool,
    wrapper: str,
    gibibyte: tuple[Path, str],
    record_property: Record,
) -> None:
    (source, digest), port, host = gibibyte, pairs[mux].http_port, f"{wrapper}.modes.test"
    whole = (source.stat().st_size, digest)
    begun = time.monotonic()
    options = ("-H", "Transfer-Encoding: chunked", "-T", str(source), "--max-time", "500")
    facts = curl(port, f"http://{host}/upload", *options).facts
    assert (facts["size"], facts["sha256"]) == whole
    record_property("seconds_up", round(time.monotonic() - begun, 1))
    begun = time.monotonic()
    with Caller(port) as caller:
        assert digest_of(caller.open(host, "/files/gibibyte")) == whole
    record_property("seconds_down", round(time.monotonic() - begun, 1))
