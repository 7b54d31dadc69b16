"""One request and its answer, whatever becomes of either side."""

from __future__ import annotations

import pytest

from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.vhost.web import CLOSE, GET, OK, Web, passed_on, request

__all__ = ["world"]

modes = pytest.mark.parametrize("mux", [True, False], ids=["mux", "nomux"])


@modes
def test_requests_of_a_connection_share_a_work_connection(world: World, mux: bool) -> None:
    web = Web(world, mux=mux)
    visitor = web.visit(GET)
    work = web.work()
    for _ in range(3):
        web.hears(work, passed_on(GET))
        assert web.is_quiet(visitor)
        work.write(OK)
        web.gets(visitor, OK)
        visitor.write(GET)
    web.hears(work, passed_on(GET))
    web.leaves_nothing()


def test_visitors_never_share_a_work_connection(world: World) -> None:
    web = Web(world)
    first = web.visit(GET)
    work = web.work()
    work.write(OK)
    web.gets(first, OK)
    web.hears(work, passed_on(GET))
    second = web.visit(GET)
    assert web.is_quiet(work, second)
    other = web.work()
    other.write(OK)
    web.gets(second, OK)
    web.leaves_nothing()


def test_pipelined_requests_are_served_one_after_the_other(world: World) -> None:
    web = Web(world)
    one, two, three = (request("GET", path) for path in ("/1", "/2", "/3"))
    visitor = web.visit(one + two + three[:9])
    work = web.work()
    web.hears(work, passed_on(one))
    work.write(OK)
    web.hears(work, passed_on(two))
    web.gets(visitor, OK)
    visitor.write(three[9:])
    assert web.is_quiet(work)
    work.write(OK)
    web.hears(work, passed_on(three))
    work.write(OK)
    web.gets(visitor, OK + OK)
    web.leaves_nothing()


@modes
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("Content-Length: 11", b"hello world"),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX: y\r\n\r\n"),
    ],
)
def test_bodies_of_requests_go_on_as_they_are(
    world: World, mux: bool, at_once: bool, line: str, body: bytes
) -> None:
    web = Web(world, mux=mux)
    head = request("POST", "/", line)
    behind = GET
    visitor = web.visit(head + body + behind if at_once else head)
    work = web.work()
    told = body
    if at_once:
        told = _framed(head, line) + body
    else:
        web.hears(work, _framed(head, line))
        for index, byte in enumerate(body):
            visitor.write(bytes([byte]) + (behind if index == len(body) - 1 else b""))
            web.world.turn(3)
    web.hears(work, told)
    work.write(OK)
    web.gets(visitor, OK)
    web.hears(work, passed_on(GET))
    web.leaves_nothing()


def _framed(head: bytes, line: str) -> bytes:
    """Return a head passed on, of which Transfer-Encoding is said by us."""
    if "chunked" not in line:
        return passed_on(head)
    bare = head.replace(f"{line}\r\n".encode(), b"")
    return passed_on(bare).replace(
        b"X-Forwarded-For", b"Transfer-Encoding: chunked\r\nX-Forwarded-For", 1
    )


@modes
def test_a_body_that_comes_before_the_service_is_reached_waits(world: World, mux: bool) -> None:
    web = Web(world, mux=mux)
    head = request("POST", "/", "Content-Length: 11")
    visitor = web.visit(head)
    world.settle()
    visitor.write(b"hello")
    world.settle()
    visitor.write(b" world" + GET)
    assert web.is_quiet(visitor)
    work = web.work()
    web.hears(work, passed_on(head) + b"hello world")
    work.write(OK)
    web.gets(visitor, OK)
    web.hears(work, passed_on(GET))
    web.leaves_nothing()


ANSWERS = {
    "fixed": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\nA: b\r\n\r\n",
    "none": b"HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
}


@modes
@pytest.mark.parametrize("piecewise", [True, False])
@pytest.mark.parametrize("kind", ANSWERS)
def test_answers_go_on_as_they_are(world: World, mux: bool, kind: str, piecewise: bool) -> None:
    web = Web(world, mux=mux)
    visitor = web.visit(GET)
    work = web.work()
    answer = ANSWERS[kind]
    if piecewise:
        for byte in answer:
            work.write(bytes([byte]))
            web.world.turn(2)
    else:
        work.write(answer)
    web.gets(visitor, answer)
    web.hears(work, passed_on(GET))
    visitor.write(GET)
    web.hears(work, passed_on(GET))
    web.leaves_nothing()


def test_the_answer_to_head_has_no_body(world: World) -> None:
    web = Web(world)
    visitor = web.visit(request("HEAD"))
    work = web.work()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    work.write(answer)
    web.gets(visitor, answer)
    work.payload.clear()
    visitor.write(GET)
    web.hears(work, passed_on(GET))
    web.leaves_nothing()


@modes
def test_a_body_without_a_length_ends_with_the_connection(world: World, mux: bool) -> None:
    web = Web(world, mux=mux)
    visitor = web.visit(GET)
    work = web.work()
    work.write(b"HTTP/1.1 200 OK\r\n\r\nsome")
    web.gets(visitor, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsome")
    work.write(b" more")
    web.gets(visitor, b" more")
    work.stream.close()
    world.until(lambda: visitor.end)
    assert visitor.end == "eof"
    web.leaves_nothing()


def test_a_service_that_closes_after_its_answer_is_called_anew(world: World) -> None:
    web = Web(world)
    visitor = web.visit(GET)
    work = web.work()
    work.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    web.gets(visitor, OK)
    work.until_end()
    visitor.write(GET)
    again = web.work()
    web.hears(again, passed_on(GET))
    web.leaves_nothing()


def test_a_visitor_who_wants_to_close_is_closed_after_the_answer(world: World) -> None:
    web = Web(world)
    visitor = web.visit(request("GET", "/", "Connection: close"))
    work = web.work()
    web.hears(work, passed_on(GET, CLOSE))
    work.write(OK)
    web.gets(visitor, OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert visitor.end == "eof"
    work.until_end("eof")
    web.leaves_nothing()


# HTTP/1.0


def test_old_visitors_get_chunks_taken_apart(world: World) -> None:
    web = Web(world)
    visitor = web.visit(b"GET / HTTP/1.0\r\nHost: a.example.com\r\n\r\n")
    work = web.work()
    web.hears(work, passed_on(GET, CLOSE))
    work.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    work.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
    web.gets(visitor, b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nhel")
    work.write(b"lo\r\n")
    work.write(b"3\r\n wo\r\n0\r\n\r\n")
    web.gets(visitor, b"lo wo")
    assert visitor.end == "eof"
    web.leaves_nothing()


def test_old_visitors_may_keep_their_connection(world: World) -> None:
    web = Web(world)
    asked = b"GET / HTTP/1.0\r\nHost: a.example.com\r\nConnection: keep-alive\r\n\r\n"
    visitor = web.visit(asked)
    work = web.work()
    for _ in range(2):
        web.hears(work, passed_on(GET))
        work.write(OK)
        web.gets(
            visitor, b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok"
        )
        visitor.write(asked)
    web.leaves_nothing()


# Interim answers


def test_interim_answers_go_on(world: World) -> None:
    web = Web(world)
    head = request("POST", "/", "Expect: 100-continue", "Content-Length: 3")
    visitor = web.visit(head)
    work = web.work()
    web.hears(work, passed_on(head))
    work.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Conti")
    web.gets(visitor, b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    work.write(b"nue\r\n\r\n")
    web.gets(visitor, b"HTTP/1.1 100 Continue\r\n\r\n")
    visitor.write(b"abc")
    web.hears(work, b"abc")
    work.write(OK)
    web.gets(visitor, OK)
    visitor.write(GET)
    web.hears(work, passed_on(GET))
    web.leaves_nothing()


def test_a_refusal_in_place_of_a_continue_ends_the_connection(world: World) -> None:
    web = Web(world)
    visitor = web.visit(request("POST", "/", "Expect: 100-continue", "Content-Length: 3"))
    work = web.work()
    work.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    web.gets(visitor, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    assert visitor.end == "eof"
    visitor.write(b"abc" + GET)
    assert web.is_quiet(visitor)
    work.payload.clear()
    assert web.is_quiet(work)
    web.leaves_nothing()


def test_an_endless_series_of_interim_answers_is_refused(world: World) -> None:
    web = Web(world)
    visitor = web.visit(b"GET / HTTP/1.0\r\nHost: a.example.com\r\n\r\n")
    work = web.work()
    for _ in range(33):
        work.write(b"HTTP/1.1 102 Processing\r\n\r\n")
    web.gets_page(visitor, 502, closed=True)
    web.leaves_nothing()


@pytest.mark.parametrize("mux", [True, False])
def test_an_early_answer_arrives_while_the_visitor_still_sends(world: World, mux: bool) -> None:
    web = Web(world, mux=mux)
    visitor = web.visit(request("POST", "/", "Content-Length: 90000") + b"x" * 1000)
    work = web.work()
    world.until(lambda: b"xxx" in work.payload)
    answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n"
    work.write(answer + b"\r\nbig")
    web.gets(visitor, answer + b"Connection: close\r\n\r\nbig")
    assert visitor.end == "eof"  # our direction has ended; we listen for a second
    visitor.write(b"x" * 5000)
    world.settle()
    world.advance(1.1)
    work.until_end()
    web.leaves_nothing()


# Other protocols

UPGRADE = request("GET", "/ws", "Connection: Upgrade", "Upgrade: websocket")
UPGRADED = (
    b"GET /ws HTTP/1.1\r\nHost: a.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


@modes
def test_an_upgraded_connection_is_a_plain_relay(world: World, mux: bool) -> None:
    web = Web(world, mux=mux)
    visitor = web.visit(UPGRADE + b"early")
    work = web.work()
    web.hears(work, passed_on(UPGRADED))  # and nothing behind it before the answer
    work.write(SWITCH + b"hi")
    web.gets(visitor, SWITCH + b"hi")
    web.hears(work, b"early")
    visitor.write(b"\x00GET / HTTP/1.1\r\n\r\n")
    web.hears(work, b"\x00GET / HTTP/1.1\r\n\r\n")
    work.write(b"\xff" * 300)
    web.gets(visitor, b"\xff" * 300)
    work.stream.close()
    world.until(lambda: visitor.end)
    web.leaves_nothing()


def test_a_refused_upgrade_is_an_answer_like_others(world: World) -> None:
    web = Web(world)
    visitor = web.visit(UPGRADE + GET)
    work = web.work()
    web.hears(work, passed_on(UPGRADED))
    work.write(OK)
    web.gets(visitor, OK)
    web.hears(work, passed_on(GET))
    web.leaves_nothing()


def test_nobody_switches_protocols_unasked(world: World) -> None:
    web = Web(world)
    visitor = web.visit(GET)
    web.work().write(SWITCH)
    web.gets_page(visitor, 502)
    web.leaves_nothing()


def test_h2c_is_not_offered_to_the_service(world: World) -> None:
    web = Web(world)
    lines = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAM")
    visitor = web.visit(request("GET", "/", *lines))
    work = web.work()
    web.hears(work, passed_on(GET))
    work.write(OK)
    web.gets(visitor, OK)
    web.leaves_nothing()


def test_connect_makes_a_tunnel(world: World) -> None:
    web = Web(world)
    visitor = web.visit(
        b"CONNECT a.example.com:443 HTTP/1.1\r\nHost: a.example.com:443\r\n\r\nhello"
    )
    work = web.work()
    world.until(lambda: work.payload)
    assert bytes(work.payload).startswith(b"CONNECT a.example.com:443 HTTP/1.1\r\n")
    assert bytes(work.payload).endswith(b"\r\n\r\n")
    work.payload.clear()
    work.write(b"HTTP/1.1 200 Connection established\r\n\r\nolleh")
    web.gets(visitor, b"HTTP/1.1 200 Connection established\r\n\r\nolleh")
    web.hears(work, b"hello")
    visitor.shutdown()
    work.until_end()
    web.leaves_nothing()


# No answer


def test_a_client_without_work_connections_is_a_404(world: World) -> None:
    web = Web(world, user_conn_timeout=10)
    visitor = web.visit(GET)
    world.settle()
    world.advance(10.1)
    web.gets_page(visitor, 404)
    visitor.write(GET)
    work = web.work()
    web.hears(work, passed_on(GET))
    web.leaves_nothing()


@modes
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_service_that_is_down_is_a_404(world: World, mux: bool, how: str) -> None:
    web = Web(world, mux=mux)
    visitor = web.visit(GET)
    work = web.work()
    getattr(work.stream, how)()
    web.gets_page(visitor, 404)
    web.leaves_nothing()


def test_a_service_that_is_down_is_a_404_for_an_upload_too(world: World) -> None:
    web = Web(world)
    visitor = web.visit(request("POST", "/", "Content-Length: 9") + b"abc")
    web.work().stream.reset()
    web.gets_page(visitor, 404, closed=True)
    visitor.write(b"defghi" + GET)
    assert web.is_quiet(visitor)
    web.leaves_nothing()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnothex\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 40000,
    ],
)
def test_an_answer_that_cannot_be_understood_is_a_502(world: World, answer: bytes) -> None:
    web = Web(world)
    visitor = web.visit(GET)
    work = web.work()
    work.write(answer)
    web.gets_page(visitor, 502)
    work.until_end("reset")
    web.leaves_nothing()


@modes
def test_an_answer_that_does_not_come_is_a_504(world: World, mux: bool) -> None:
    web = Web(world, mux=mux, vhost_http_timeout=30)
    visitor = web.visit(GET)
    work = web.work()
    world.settle()
    world.advance(29.0)
    assert web.is_quiet(visitor)
    work.write(b"HTTP/1.1 200")
    world.settle()
    world.advance(1.1)
    web.gets_page(visitor, 504)
    work.until_end("reset")
    web.leaves_nothing()


def test_the_time_for_an_answer_begins_when_the_request_is_sent(world: World) -> None:
    web = Web(world, vhost_http_timeout=30, vhost_http_body_timeout=60.0)
    visitor = web.visit(request("POST", "/", "Content-Length: 4"))
    work = web.work()
    for _ in range(4):
        world.advance(50.0)
        visitor.write(b"x")
        world.settle()
    assert bytes(work.payload).endswith(b"xxxx")
    world.advance(29.0)
    assert web.is_quiet(visitor)
    world.advance(1.1)
    web.gets_page(visitor, 504)
    web.leaves_nothing()


def test_a_visitor_who_pauses_in_its_body_is_told_408(world: World) -> None:
    web = Web(world, vhost_http_body_timeout=60.0)
    visitor = web.visit(request("POST", "/", "Content-Length: 4"))
    work = web.work()
    world.advance(30.0)
    visitor.write(b"x")
    world.settle()
    world.advance(60.0)
    world.advance(60.1)
    web.gets_page(visitor, 408, closed=True)
    work.until_end("reset")
    web.leaves_nothing()


def test_who_waits_for_a_continue_is_told_504(world: World) -> None:
    web = Web(world, vhost_http_timeout=30)
    visitor = web.visit(request("POST", "/", "Content-Length: 4", "Expect: 100-continue"))
    web.work()
    world.settle()
    world.advance(30.1)
    web.gets_page(visitor, 504, closed=True)
    web.leaves_nothing()


def test_an_answer_that_has_begun_may_take_for_ever(world: World) -> None:
    web = Web(world)
    visitor = web.visit(GET)
    work = web.work()
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    work.write(head)
    web.gets(visitor, head)
    for _ in range(3):
        world.advance(10_000.0)
        work.write(b"3\r\nabc\r\n")
        web.gets(visitor, b"3\r\nabc\r\n")
    web.leaves_nothing()


def test_who_has_half_closed_does_not_wait_for_ever(world: World) -> None:
    web = Web(world, vhost_http_body_timeout=60.0)
    visitor = web.visit(GET)
    work = web.work()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    work.write(head)
    web.gets(visitor, head)
    visitor.shutdown()
    world.settle()
    world.advance(61.0)
    world.advance(61.0)
    work.until_end("reset")
    web.leaves_nothing()


def test_who_half_closes_still_gets_its_answer(world: World) -> None:
    web = Web(world)
    visitor = web.visit(GET)
    visitor.shutdown()
    work = web.work()
    world.settle()
    work.write(OK)
    web.gets(visitor, OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert visitor.end == "eof"
    web.leaves_nothing()


# Losses


@modes
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "head", [b"Content-Length: 100\r\n\r\nab", b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"]
)
def test_a_cut_answer_never_looks_complete(world: World, mux: bool, how: str, head: bytes) -> None:
    web = Web(world, mux=mux)
    visitor = web.visit(GET)
    work = web.work()
    work.write(b"HTTP/1.1 200 OK\r\n" + head)
    web.gets(visitor, b"HTTP/1.1 200 OK\r\n" + head)
    getattr(work.stream, how)()
    world.until(lambda: visitor.end)
    assert visitor.end == "reset"
    web.leaves_nothing()


@modes
def test_a_visitor_who_leaves_is_noticed_before_the_answer(world: World, mux: bool) -> None:
    web = Web(world, mux=mux)
    visitor = web.visit(GET)
    work = web.work()
    web.hears(work, passed_on(GET))
    visitor.reset()
    work.until_end("reset")
    web.leaves_nothing()


def test_a_visitor_who_leaves_while_work_is_called_for_costs_nothing(world: World) -> None:
    web = Web(world)
    visitor = web.visit(GET)
    world.settle()
    visitor.reset()
    world.settle()
    assert not web.house.service.relays
    web.leaves_nothing()


@modes
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_visitor_who_leaves_amid_its_body_never_looks_complete(
    world: World, mux: bool, how: str
) -> None:
    web = Web(world, mux=mux)
    visitor = web.visit(request("POST", "/", "Content-Length: 50") + b"abc")
    work = web.work()
    world.until(lambda: b"abc" in work.payload)
    getattr(visitor, how)()
    work.until_end("reset")
    web.leaves_nothing()


def test_a_bad_chunk_is_a_400(world: World) -> None:
    web = Web(world)
    visitor = web.visit(request("POST", "/", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n")
    work = web.work()
    world.until(lambda: b"abc" in work.payload)
    visitor.write(b"0x3\r\nabc\r\n")
    web.gets_page(visitor, 400, closed=True)
    work.until_end("reset")
    web.leaves_nothing()


def test_a_client_that_leaves_is_a_404(world: World) -> None:
    web = Web(world)
    visitor = web.visit(GET)
    web.work()
    web.client.close()
    web.gets_page(visitor, 404)
    visitor.write(GET)
    web.gets_page(visitor, 404)
    web.leaves_nothing()


# Work connections that were kept


@modes
def test_a_kept_work_connection_that_has_died_is_replaced(world: World, mux: bool) -> None:
    web = Web(world, mux=mux)
    visitor = web.visit(GET)
    work = web.work()
    work.write(OK)
    web.gets(visitor, OK)
    work.stream.close()
    world.settle()
    visitor.write(GET)
    again = web.work()
    web.hears(again, passed_on(GET))
    again.write(OK)
    web.gets(visitor, OK)
    web.leaves_nothing()


@modes
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_a_harmless_request_is_made_twice(world: World, mux: bool, method: str) -> None:
    web = Web(world, mux=mux)
    visitor = web.visit(GET)
    work = web.work()
    work.write(OK)
    web.gets(visitor, OK)
    work.payload.clear()
    again = request(method)
    visitor.write(again)
    web.hears(work, passed_on(again))
    work.stream.close()
    if method == "POST":
        web.gets_page(visitor, 404)
    else:
        web.hears(web.work(), passed_on(again))
    web.leaves_nothing()


def test_what_must_not_be_asked_twice_takes_no_stale_connection(world: World) -> None:
    web = Web(world)
    visitor = web.visit(GET)
    work = web.work()
    work.write(OK)
    web.gets(visitor, OK)
    work.payload.clear()
    world.advance(2.0)
    visitor.write(request("POST"))
    fresh = web.work()
    web.hears(fresh, passed_on(request("POST")))
    fresh.write(OK)
    web.gets(visitor, OK)
    work.until_end("eof")  # the newer one is kept
    web.leaves_nothing()


def test_a_service_that_says_more_than_it_was_asked_is_not_asked_again(world: World) -> None:
    web = Web(world)
    visitor = web.visit(GET)
    work = web.work()
    work.write(OK + OK)
    web.gets(visitor, OK)
    work.until_end()
    visitor.write(GET)
    web.hears(web.work(), passed_on(GET))
    web.leaves_nothing()


# Books


def test_bytes_and_work_connections_are_counted(world: World) -> None:
    web = Web(world)
    counters = web.house.service.proxies["web"].counters
    visitor = web.visit(GET)
    work = web.work()
    assert (counters.connections_open, counters.connections_total) == (1, 1)
    work.write(OK)
    web.gets(visitor, OK)
    visitor.write(GET)
    world.settle()
    work.write(OK)
    web.gets(visitor, OK)
    assert (counters.bytes_in, counters.bytes_out) == (2 * len(passed_on(GET)), 2 * len(OK))
    assert (counters.connections_open, counters.connections_total) == (1, 1)
    visitor.close()
    world.until(lambda: not counters.connections_open)
    web.leaves_nothing()


def test_each_request_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    web = Web(world)
    visitor = web.visit(request("GET", "/p?secret=1"))
    web.work().write(OK)
    web.gets(visitor, OK)
    line = next(text for text in caplog.messages if "/p" in text)
    assert '"GET a.example.com/p" 200, ' in line
    assert "secret" not in caplog.text


def test_a_body_that_comes_before_the_work_connection_is_no_request(world: World) -> None:
    hidden = b"GET /admin HTTP/1.1\r\nHost: a.example.com\r\n\r\n"
    head = request("POST", "/", f"Content-Length: {2 + len(hidden)}")
    web = Web(world)
    visitor = web.visit(head + b"ab")
    world.settle()
    visitor.write(hidden)
    world.settle()
    work = web.work()
    web.hears(work, passed_on(head) + b"ab" + hidden)
    work.write(OK)
    web.gets(visitor, OK)
    web.leaves_nothing()
