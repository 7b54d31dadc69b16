"""Virtual hosts through pairs with one Go end, in all modes.

Where Go's own frps of a version serves otherwise, the expectation says so; with ours it is the
newest behaviour, whatever the client.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.helpers.browser import report_of_page
from tests.helpers.loads import checksum, make_file
from tests.helpers.programs import BIN
from tests.helpers.stage import WRAPPERS, Stage
from tests.helpers.visitors import exchange, visit
from tests.helpers.web import EVENTS, OLD_PAGE
from tests.helpers.web_site import HELLO, MEBIBYTE
from tests.helpers.web_visits import (
    CURL_NOT_TRUSTED,
    CURL_TLS_FAILED,
    Caller,
    ask,
    curl,
    digest_of,
    tls_by_pieces,
    wrk_host,
)
from tests.helpers.web_world import LARGE_MEBIBYTES, PASSWORD, USER, Pair, World, open_pair, world
from tests.helpers.websocket_frames import TEXT, WebSocketVisitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.helpers.peers_go import GoPeer

    Record = Callable[[str, object], None]

__all__ = ["world"]

WRAPPED = pytest.mark.parametrize("wrapper", WRAPPERS)
MIRROR = "mirror.example.test"
SITE = "www.example.test"
BODY = os.urandom(MEBIBYTE)
OURS = (999,)  # newer than whatever Go has


@dataclass(frozen=True, slots=True)
class Ends:
    """A pair, and how new its frps is."""

    pair: Pair
    server: tuple[int, ...]

    @property
    def port(self) -> int:
        return self.pair.http_port


@pytest.fixture(scope="session", params=[True, False], ids=["mux", "direct"])
def mux(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="session", params=["frpc", "frps"])
def go_end(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def ends(
    peer: GoPeer,
    go_end: str,
    mux: bool,
    world: World,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Ends]:
    """A pair with all proxies."""
    stage = Stage(tmp_path_factory.mktemp("pair"))
    client, folders = peer.client_settings(go_end), peer.folders(go_end)
    try:
        pair = open_pair(stage, world.proxies(), mux=mux, client=client, folders=folders)
        yield Ends(pair, OURS if folders[0] == BIN else peer.number)
    finally:
        stage.close()


def test_each_request_of_a_connection_finds_its_own_service(ends: Ends) -> None:
    hosts = [SITE, "a.wild.test", "shop.frps.test", f"{SITE}:{ends.port}"]
    # 0.21 replaces one label by the asterisk, and up to 0.34 hosts are compared letter by letter.
    hosts += ["a.b.wild.test"] if ends.server > (0, 25) else []
    hosts += ["WWW.example.Test", f"{SITE}."] if ends.server >= (0, 35) else []
    with Caller(ends.port) as caller:
        for host in hosts:
            assert caller.ask(host, "/hello.txt").body == HELLO
            assert caller.ask(MIRROR, "/api/1").facts["name"] == "api"
            assert caller.ask(MIRROR, "/v2/beta").heard("x-route") == ["beta"]
            assert caller.ask(MIRROR, "/v3").facts["name"] == "mirror"
            assert caller.ask("nobody.example.test").status == 404


def test_headers_and_passwords_are_seen_to(ends: Ends) -> None:
    with Caller(ends.port) as caller:
        answer = caller.ask("rewritten.example.test", fields={"X-Forwarded-For": "192.0.2.1"})
        assert answer.heard("host") == ["inside.example.test"]
        assert answer.heard("x-from-where") == ["frp"]
        assert answer.heard("x-other") == ["two words"]
        assert answer.heard("x-forwarded-for") == ["192.0.2.1, 127.0.0.1"]
        newer = ends.server >= (0, 55)
        assert answer.heard("x-forwarded-proto") == (["http"] if newer else [])
        assert answer.heard("x-forwarded-host") == (["rewritten.example.test"] if newer else [])
        assert answer.all("set-cookie") == ["a=1", "b=2"]
        assert caller.ask("guarded.example.test").status == 401
    url = "http://guarded.example.test/"
    assert curl(ends.port, url, "-u", f"{USER}:wrong").status == 401
    assert curl(ends.port, url, "-u", f"{USER}:{PASSWORD}").status == 200


def test_services_with_bad_manners_do_no_harm(ends: Ends) -> None:
    with Caller(ends.port) as caller:
        for host in ("dead.example.test", "shut.example.test"):
            assert caller.ask(host).status == 404
        for _ in range(5):
            assert caller.ask("curt.example.test").body == b"curt"
    assert ask(ends.port, "old.example.test").body == OLD_PAGE


def test_curl_speaks_http_1_0_and_uploads_when_told_to_continue(ends: Ends) -> None:
    assert curl(ends.port, f"http://{SITE}/hello.txt", "--http1.0").body == HELLO
    options = ("-H", "Expect: 100-continue", "--expect100-timeout", "600", "-d", "a=b")
    assert curl(ends.port, f"http://{MIRROR}/upload", *options).facts["size"] == 3
    assert curl(ends.port, f"http://{SITE}/large", "--range", "5-9").status == 206
    assert curl(ends.port, f"http://{SITE}/large", "--head").status == 200


def test_a_large_file_arrives_whole(ends: Ends, world: World) -> None:
    with Caller(ends.port) as slow, Caller(ends.port) as caller:
        slow.open(SITE, "/large").read(1000)
        got = digest_of(caller.open("shop.frps.test", "/large"))
        assert got == (LARGE_MEBIBYTES * MEBIBYTE, world.large_digest)


@WRAPPED
def test_requests_websockets_and_events_pass_in_each_mode(ends: Ends, wrapper: str) -> None:
    host, twice = f"{wrapper}.modes.test", hashlib.sha256(BODY + BODY).hexdigest()
    with Caller(ends.port) as caller:
        assert caller.ask(host, "/path").facts["target"] == "/path"
        assert caller.ask(host, "/path", "POST", BODY + BODY).facts["sha256"] == twice
        assert caller.ask(host, "/path", "POST", iter([BODY, BODY])).facts["sha256"] == twice
    with WebSocketVisitor(visit(ends.port), host) as visitor:
        assert visitor.echo(b"hello", TEXT) == b"hello"
        assert visitor.echo(BODY) == BODY
        visitor.say_goodbye()
    if ends.server < (0, 31):
        return  # 0.21 keeps events until it has a buffer full of them
    name = f"{wrapper}-{ends.port}"
    with Caller(ends.port) as reader, Caller(ends.port) as ticker:
        answer = reader.open(host, f"/events/{name}")
        for number in range(EVENTS):
            assert answer.readline() + answer.readline() == f"data: {number}\n\n".encode()
            ticker.ask(host, f"/tick/{name}")


def test_connect_becomes_a_plain_relay(ends: Ends) -> None:
    if ends.server < (0, 43):
        pytest.skip("Go frps did not relay CONNECT yet")
    with visit(ends.port) as visitor:
        visitor.sendall(f"CONNECT {MIRROR}:443 HTTP/1.1\r\nHost: {MIRROR}:443\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += visitor.recv(1)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert exchange(visitor, BODY) == BODY


def test_https_is_routed_by_name_and_trusted(ends: Ends, world: World) -> None:
    port, authority = ends.pair.https_port, world.site.authority
    hosts = ["secure.example.test", "secure.frps.test"]
    for host in hosts + [f"{wrapper}.secure.test" for wrapper in WRAPPERS]:
        answer = curl(port, f"https://{host}/hello.txt", "--cacert", str(authority.ca))
        assert (answer.status, answer.body) == (200, HELLO)
    curl(port, "https://secure.example.test/", codes=(CURL_NOT_TRUSTED,))
    curl(port, "https://nobody.example.test/", "--insecure", codes=CURL_TLS_FAILED)
    # Older ones want the hello in two reads at most.
    if ends.server >= (0, 52):
        assert tls_by_pieces(port, "secure.example.test", authority, 50).body == HELLO


@pytest.mark.full
@pytest.mark.timeout(120)
@pytest.mark.parametrize("host", [SITE, "shop.frps.test"])
def test_a_browser_loads_a_page_with_many_assets(
    ends: Ends, world: World, stage: Stage, host: str
) -> None:
    address = f"http://{host}/page.html"
    assert report_of_page(stage, world, ends.pair, address) == world.page_report


@pytest.fixture(scope="module")
def gibibyte(world: World) -> Iterator[tuple[Path, str]]:
    path = make_file(world.site.folder / "www" / "files" / "gibibyte", 1024)
    yield path, checksum(path)
    path.unlink()


@pytest.mark.full
@pytest.mark.timeout(600)
def test_a_gibibyte_goes_up_in_chunks_and_down(
    ends: Ends, gibibyte: tuple[Path, str], record_property: Record
) -> None:
    source, digest = gibibyte
    whole, host, begun = (source.stat().st_size, digest), "plain.modes.test", time.monotonic()
    options = ("-H", "Transfer-Encoding: chunked", "-T", str(source), "--max-time", "300")
    facts = curl(ends.port, f"http://{host}/upload", *options).facts
    assert (facts["size"], facts["sha256"]) == whole
    with Caller(ends.port) as caller:
        assert digest_of(caller.open(host, "/files/gibibyte")) == whole
    record_property("seconds", round(time.monotonic() - begun, 1))


@pytest.mark.full
def test_wrk_gets_every_answer_of_nginx(ends: Ends) -> None:
    requests, _ = wrk_host(ends.port, SITE, "/hello.txt", 3)
    assert requests > 100


def test_clients_and_visitors_share_one_port(
    stage: Stage, world: World, peer: GoPeer, go_end: str, mux: bool
) -> None:
    proxies = {name: world.proxies()[name] for name in ("mirror", "secure")}
    client, folders = peer.client_settings(go_end), peer.folders(go_end)
    pair = open_pair(stage, proxies, mux=mux, one_port=True, client=client, folders=folders)
    for method in ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert ask(pair.bind_port, MIRROR, method=method).status == 200
    ca = str(world.site.authority.ca)
    answer = curl(pair.bind_port, "https://secure.example.test/hello.txt", "--cacert", ca)
    assert answer.body == HELLO
    with WebSocketVisitor(visit(pair.bind_port), MIRROR) as visitor:
        assert visitor.echo(BODY) == BODY
