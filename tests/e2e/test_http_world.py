"""Virtual hosts under real traffic: nginx, curl, WebSocket, server-sent events, TLS, wrk."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.helpers.programs import wait_until
from tests.helpers.stage import Stage
from tests.helpers.visitors import exchange, read_to_end, reset, visit
from tests.helpers.web import EVENTS, OLD_PAGE
from tests.helpers.web_site import HELLO, MEBIBYTE
from tests.helpers.web_visits import (
    CURL_NOT_TRUSTED,
    CURL_TLS_FAILED,
    Caller,
    ask,
    curl,
    digest_of,
    say,
    tls_by_pieces,
)
from tests.helpers.web_world import (
    LARGE_MEBIBYTES,
    PASSWORD,
    USER,
    Pair,
    World,
    open_pair,
    web,
    world,
)
from tests.helpers.websocket_frames import PING, PONG, TEXT, WebSocketVisitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Record = Callable[[str, object], None]

__all__ = ["world"]

MIRROR = "mirror.example.test"
SITE = "www.example.test"
BODY = os.urandom(MEBIBYTE)


@pytest.fixture(scope="module")
def pair(module_stage: Stage, world: World) -> Pair:
    """A pair with all proxies."""
    return open_pair(module_stage, world.proxies())


# --- which service ---


@pytest.mark.parametrize(
    "host", [SITE, "WWW.Example.test", f"{SITE}.", "a.wild.test", "a.b.wild.test", "shop.frps.test"]
)
def test_nginx_is_found_by_domain_wildcard_and_subdomain(pair: Pair, host: str) -> None:
    for name in (host, f"{host}:{pair.http_port}"):
        answer = ask(pair.http_port, name, "/hello.txt")
        assert (answer.status, answer.body) == (200, HELLO)


@pytest.mark.parametrize("host", ["nobody.example.test", "wild.test", "frps.test", "127.0.0.1", ""])
def test_a_host_that_nobody_serves_is_not_found(pair: Pair, host: str) -> None:
    answer = ask(pair.http_port, host)
    assert answer.status == 404
    assert answer.first("content-type").startswith("text/html")


@pytest.mark.parametrize(
    ("target", "name", "route"),
    [
        ("/", "mirror", []),
        ("/ap", "mirror", []),
        ("/api", "api", []),
        ("/api/users?q=/v2", "api", []),
        ("/v2", "api", []),
        ("/v2/bet", "api", []),
        ("/v2/beta/1", "mirror", ["beta"]),
    ],
)
def test_the_longest_location_wins(pair: Pair, target: str, name: str, route: list[str]) -> None:
    answer = ask(pair.http_port, MIRROR, target)
    assert answer.facts["name"] == name
    assert answer.facts["target"] == target
    assert answer.heard("x-route") == route


def test_each_request_of_a_connection_finds_its_own_service(pair: Pair) -> None:
    with Caller(pair.http_port) as caller:
        for _ in range(3):
            assert caller.ask(SITE, "/hello.txt").body == HELLO
            assert caller.ask(MIRROR, "/api/1").facts["name"] == "api"
            assert caller.ask(MIRROR, "/").facts["name"] == "mirror"
            assert caller.ask("nobody.example.test").status == 404
            assert caller.ask("guarded.example.test").status == 401
            assert caller.ask("rewritten.example.test").heard("host") == ["inside.example.test"]


def test_pipelined_requests_are_answered_in_order(pair: Pair) -> None:
    asked = [(MIRROR, "/api/1"), (SITE, "/hello.txt"), ("nobody.test", "/"), (MIRROR, "/2")]
    request = "".join(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n" for host, target in asked)
    request += f"GET /last HTTP/1.1\r\nHost: {MIRROR}\r\nConnection: close\r\n\r\n"
    said = say(pair.http_port, request.encode())
    places = [said.find(word) for word in (b'"/api/1"', HELLO, b" 404 ", b'"/2"', b'"/last"')]
    assert places == sorted(places)
    assert -1 not in places


def test_work_connections_are_kept_for_one_visitor_only(pair: Pair) -> None:
    with Caller(pair.http_port) as one, Caller(pair.http_port) as other:
        first = [one.ask(MIRROR).facts["connection"] for _ in range(3)]
        second = [other.ask(MIRROR).facts["connection"] for _ in range(3)]
    assert len(set(first)) == len(set(second)) == 1
    assert first[0] != second[0]


# --- curl ---


def test_curl_speaks_http_1_0(pair: Pair) -> None:
    answer = curl(pair.http_port, f"http://{SITE}/hello.txt", "--http1.0")
    assert (answer.status, answer.body) == (200, HELLO)


def test_curl_keeps_its_connection(pair: Pair) -> None:
    facts = curl(pair.http_port, f"http://{MIRROR}/[1-3]", "--http1.1").facts
    assert (facts["target"], facts["number"]) == ("/3", 3)


def test_curl_uploads_when_it_is_told_to_continue(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(BODY)
    # Without the word from the service it would wait until its own limit of 60 s is over.
    answer = curl(
        pair.http_port,
        f"http://{MIRROR}/upload",
        *("-H", "Expect: 100-continue", "--expect100-timeout", "600"),
        *("--data-binary", f"@{tmp_path}/body"),
    )
    assert answer.facts["size"] == len(BODY)
    assert answer.facts["sha256"] == hashlib.sha256(BODY).hexdigest()


def test_curl_asks_for_the_head_only(pair: Pair) -> None:
    answer = curl(pair.http_port, f"http://{SITE}/large", "--head")
    assert answer.status == 200
    assert answer.first("content-length") == str(LARGE_MEBIBYTES * MEBIBYTE)
    assert answer.body == b"" or answer.body.startswith(b"HTTP/1.1 200")


def test_curl_asks_for_a_range(pair: Pair, world: World) -> None:
    answer = curl(pair.http_port, f"http://{SITE}/large", "--range", "1000000-1999999")
    assert answer.status == 206
    with (world.site.folder / "www" / "large").open("rb") as file:
        file.seek(1_000_000)
        assert answer.body == file.read(1_000_000)


def test_curl_is_asked_for_a_password(pair: Pair) -> None:
    url = "http://guarded.example.test/"
    refused = curl(pair.http_port, url)
    assert refused.status == 401
    assert refused.first("www-authenticate") == 'Basic realm="Restricted"'
    assert curl(pair.http_port, url, "-u", f"{USER}:wrong").status == 401
    assert curl(pair.http_port, url, "-u", f"wrong:{PASSWORD}").status == 401
    assert curl(pair.http_port, url, "-u", f"{USER}:{PASSWORD}").status == 200


# --- headers ---


def test_the_service_is_told_who_asks(pair: Pair) -> None:
    host = f"{MIRROR}:{pair.http_port}"
    answer = ask(pair.http_port, host)
    assert answer.heard("host") == [host]
    assert answer.heard("x-forwarded-for") == ["127.0.0.1"]
    assert answer.heard("x-forwarded-host") == [host]
    assert answer.heard("x-forwarded-proto") == ["http"]
    assert answer.heard("x-real-ip") == ["127.0.0.1"]


def test_the_way_that_a_request_came_is_kept(pair: Pair) -> None:
    answer = ask(pair.http_port, MIRROR, fields={"X-Forwarded-For": "192.0.2.1, 192.0.2.2"})
    assert answer.heard("x-forwarded-for") == ["192.0.2.1, 192.0.2.2, 127.0.0.1"]


def test_host_and_headers_are_rewritten_for_the_service(pair: Pair) -> None:
    answer = ask(
        pair.http_port,
        "rewritten.example.test",
        fields={"X-From-Where": "elsewhere", "X-Mine": "1"},
    )
    assert answer.heard("host") == ["inside.example.test"]
    assert answer.heard("x-from-where") == ["frp"]
    assert answer.heard("x-other") == ["two words"]
    assert answer.heard("x-mine") == ["1"]
    assert answer.heard("x-forwarded-host") == ["rewritten.example.test"]


def test_hop_by_hop_headers_do_not_travel(pair: Pair) -> None:
    fields = {"Connection": "keep-alive, X-Hop", "X-Hop": "1", "Keep-Alive": "5", "X-End": "2"}
    answer = ask(pair.http_port, MIRROR, fields=fields)
    assert answer.heard("x-hop") == answer.heard("keep-alive") == []
    assert answer.heard("x-end") == ["2"]


def test_an_upgrade_to_http_2_is_not_offered_to_the_service(pair: Pair) -> None:
    fields = {
        "Connection": "Upgrade, HTTP2-Settings",
        "Upgrade": "h2c",
        "HTTP2-Settings": "AAMAAABk",
    }
    answer = ask(pair.http_port, MIRROR, fields=fields)
    assert answer.status == 200
    assert answer.heard("upgrade") == answer.heard("http2-settings") == []


def test_the_headers_of_an_answer_are_left_alone(pair: Pair) -> None:
    answer = ask(pair.http_port, MIRROR)
    assert answer.all("set-cookie") == ["a=1", "b=2"]
    assert answer.first("x-odd-header") == "kept as it is"


# --- bodies ---


def test_a_chunked_upload_arrives_whole(pair: Pair) -> None:
    parts = [BODY[: MEBIBYTE // 3], b"x", BODY] * 5
    whole = b"".join(parts)
    answer = ask(pair.http_port, MIRROR, "/upload", method="POST", body=iter(parts))
    assert answer.heard("transfer-encoding") == ["chunked"]
    assert answer.facts["size"] == len(whole)
    assert answer.facts["sha256"] == hashlib.sha256(whole).hexdigest()


def test_chunks_and_trailers_of_an_answer_arrive(pair: Pair) -> None:
    with Caller(pair.http_port) as caller:
        for _ in range(2):
            answer = caller.ask(MIRROR, "/chunks")
            assert (answer.status, answer.body) == (200, b"firstsecond")


def test_a_large_file_arrives_whole(pair: Pair, world: World) -> None:
    with Caller(pair.http_port) as caller:
        for _ in range(2):
            got = digest_of(caller.open("shop.frps.test", "/large"))
            assert got == (LARGE_MEBIBYTES * MEBIBYTE, world.large_digest)


def test_a_slow_reader_holds_nobody_up(pair: Pair, world: World) -> None:
    whole = (LARGE_MEBIBYTES * MEBIBYTE, world.large_digest)
    with Caller(pair.http_port) as slow:
        answer = slow.open(SITE, "/large")
        begin = answer.read(1000)
        for _ in range(2):
            with Caller(pair.http_port) as fast:
                assert digest_of(fast.open(SITE, "/large")) == whole
        size, digest = len(begin), hashlib.sha256(begin)
        while part := answer.read(MEBIBYTE):
            size += len(part)
            digest.update(part)
        assert (size, digest.hexdigest()) == whole


def test_a_service_of_http_1_0_is_read_to_its_end(pair: Pair) -> None:
    with Caller(pair.http_port) as caller:
        assert caller.ask("old.example.test").body == OLD_PAGE


def test_events_arrive_one_by_one(pair: Pair) -> None:
    with Caller(pair.http_port) as reader, Caller(pair.http_port) as ticker:
        answer = reader.open(MIRROR, "/events/single")
        for number in range(EVENTS):
            # The next one is not even written before this one was read.
            assert answer.readline() == f"data: {number}\n".encode()
            assert answer.readline() == b"\n"
            ticker.ask(MIRROR, "/tick/single")
        assert answer.read() == b""


def test_a_question_may_come_in_two_halves_of_a_body(pair: Pair) -> None:
    """The service gets the first half before the visitor has the second."""
    going_on = threading.Event()
    with Caller(pair.http_port) as slow, Caller(pair.http_port) as other:

        def parts() -> Iterator[bytes]:
            yield b"first"
            other.ask(MIRROR)
            going_on.set()
            yield b"second"

        assert slow.ask(MIRROR, "/upload", "POST", parts()).facts["size"] == 11
    assert going_on.is_set()


# --- beyond requests ---


def test_websocket_messages_come_back(pair: Pair) -> None:
    for host in (MIRROR, "mirror.example.test:8080"):
        with WebSocketVisitor(visit(pair.http_port), host) as visitor:
            assert visitor.echo(b"hello", TEXT) == b"hello"
            visitor.send(b"are you there", PING)
            assert visitor.receive() == (PONG, b"are you there")
            for size in (0, 1, 125, 126, 65_535, 65_536):
                assert visitor.echo(BODY[:size]) == BODY[:size]
            visitor.say_goodbye()


def test_connect_becomes_a_plain_relay(pair: Pair) -> None:
    with visit(pair.http_port) as visitor:
        visitor.sendall(f"CONNECT {MIRROR}:443 HTTP/1.1\r\nHost: {MIRROR}:443\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += visitor.recv(1)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert exchange(visitor, BODY) == BODY


# --- services that are not there, or rude ---


@pytest.mark.parametrize("host", ["dead.example.test", "shut.example.test"])
def test_a_service_that_does_not_serve_is_not_found(pair: Pair, host: str) -> None:
    with Caller(pair.http_port) as caller:
        for _ in range(2):
            answer = caller.ask(host)
            assert answer.status == 404
            assert answer.first("content-type").startswith("text/html")
        assert caller.ask(MIRROR).status == 200


def test_a_service_that_closes_behind_its_answer_is_asked_anew(pair: Pair) -> None:
    with Caller(pair.http_port) as caller:
        for _ in range(20):
            answer = caller.ask("curt.example.test")
            assert (answer.status, answer.body) == (200, b"curt")


def test_a_service_that_never_answers_times_out(stage: Stage, world: World) -> None:
    proxies = {"mute": world.proxies()["mute"]}
    pair = open_pair(stage, proxies, server={"vhost_http_timeout": 1})
    for body in (None, b"a body"):
        assert ask(pair.http_port, "mute.example.test", body=body).status == 504


def test_a_visitor_who_breaks_off_ends_the_request_at_the_service(pair: Pair, world: World) -> None:
    visitor = visit(pair.http_port)
    visitor.sendall(b"GET / HTTP/1.1\r\nHost: mute.example.test\r\n\r\n")
    wait_until(lambda: world.mute.waiting, "the service is asked")
    reset(visitor)
    wait_until(lambda: not world.mute.waiting, "the service sees the end")


def test_a_visitor_who_has_no_more_to_say_is_answered(pair: Pair) -> None:
    with visit(pair.http_port) as visitor:
        visitor.sendall(f"GET /half HTTP/1.1\r\nHost: {MIRROR}\r\n\r\n".encode())
        visitor.shutdown(socket.SHUT_WR)
        assert b'"/half"' in read_to_end(visitor)


def test_the_page_of_ones_own_is_shown(stage: Stage, world: World) -> None:
    page = stage.folder / "404.html"
    page.write_text("<h1>nothing here</h1>")
    proxies = {"dead": world.proxies()["dead"]}
    pair = open_pair(stage, proxies, server={"custom_404_page": page})
    for host in ("nobody.test", "dead.example.test"):
        answer = ask(pair.http_port, host)
        assert (answer.status, answer.body) == (404, b"<h1>nothing here</h1>")


def test_a_route_that_is_taken_is_refused(stage: Stage, pair: Pair, world: World) -> None:
    taken = web(world.site.port, MIRROR)
    frpc = stage.frpc(
        {"server_addr": "127.0.0.1", "server_port": pair.bind_port, "token": "web"},
        {"taken": taken, "free": {**taken, "locations": "/free"}},
        wait_for=["free"],
    )
    frpc.wait_for(r"\[taken\].*router config conflict")
    assert ask(pair.http_port, MIRROR, "/").facts["name"] == "mirror"
    frpc.kill()
    wait_until(lambda: ask(pair.http_port, MIRROR, "/free").status == 200, "its route is gone")


# --- https ---


@pytest.mark.parametrize("host", ["secure.example.test", "SECURE.example.test", "secure.frps.test"])
def test_curl_trusts_the_site_behind_an_https_proxy(pair: Pair, world: World, host: str) -> None:
    answer = curl(
        pair.https_port,
        f"https://{host}:{pair.https_port}/hello.txt",
        *("--cacert", str(world.site.authority.ca)),
        *("--resolve", f"{host}:{pair.https_port}:127.0.0.1"),
    )
    assert (answer.status, answer.body) == (200, HELLO)


def test_curl_does_not_trust_it_without_the_ca(pair: Pair) -> None:
    curl(pair.https_port, "https://secure.example.test/", codes=(CURL_NOT_TRUSTED,))


@pytest.mark.parametrize("host", ["nobody.example.test", "secure.test", "127.0.0.1"])
def test_a_name_that_nobody_serves_gets_no_tls(pair: Pair, host: str) -> None:
    curl(pair.https_port, f"https://{host}/", "--insecure", codes=CURL_TLS_FAILED)


@pytest.mark.parametrize("piece", [1, 5, 100])
def test_a_hello_in_pieces_is_understood(pair: Pair, world: World, piece: int) -> None:
    answer = tls_by_pieces(pair.https_port, "secure.example.test", world.site.authority, piece)
    assert (answer.status, answer.body) == (200, HELLO)
