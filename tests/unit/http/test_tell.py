"""frpd.http.tell: what a request asks for without what may be secret, and who asks."""

from __future__ import annotations

import pytest

from frpd.http.tell import came_to, credentials, facts_of, user_of
from frpd.proto.http.head import parse_request
from tests.helpers.endpoint import ScriptedEndpoint
from tests.helpers.world import World

GUEST = "Basic Z3Vlc3Q6czNjcmV0"  # guest:s3cret


@pytest.mark.parametrize(
    ("line", "host", "path"),
    [
        ("GET /a%20b?token=s3cret HTTP/1.1", "www.example.com", "/a%20b"),
        ("OPTIONS * HTTP/1.1", "www.example.com", "*"),
        ("GET http://other.example:81/a?b=/c HTTP/1.1", "other.example:81", "/a"),
        ("GET http://other.example?b=/c HTTP/1.1", "other.example", "/"),
        ("CONNECT other.example:443 HTTP/1.1", "other.example:443", ""),
    ],
)
def test_what_was_asked_is_told_without_a_query(line: str, host: str, path: str) -> None:
    name = host if "://" in line or line.startswith("CONNECT") else "www.example.com"
    head = parse_request(f"{line}\r\nHost: {name}\r\n\r\n".encode())
    assert facts_of(head) == {"method": line.split(maxsplit=1)[0], "host": host, "path": path}


@pytest.mark.parametrize(
    ("target", "field", "found"),
    [
        ("/", "Authorization", (("guest", "s3cret"), 401)),
        ("/", "Proxy-Authorization", (None, 401)),
        ("http://a/", "Proxy-Authorization", (("guest", "s3cret"), 407)),
        ("http://a/", "Authorization", (None, 407)),
    ],
)
def test_credentials_are_those_for_the_way_it_speaks_to_us(
    target: str, field: str, found: tuple[tuple[str, str] | None, int]
) -> None:
    text = f"GET {target} HTTP/1.1\r\nHost: a\r\n{field}: {GUEST}\r\n\r\n"
    head = parse_request(text.encode())
    assert credentials(head) == found
    assert user_of(head) == ("guest" if found[0] else "")


def test_credentials_that_come_twice_are_none() -> None:
    text = f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: {GUEST}\r\nAuthorization: {GUEST}\r\n\r\n"
    assert credentials(parse_request(text.encode())) == (None, 401)


def test_a_visitor_came_to_an_address_unless_it_is_no_socket_or_closed(world: World) -> None:
    stream, far = world.pair()
    near = stream.local_address()
    assert came_to(stream) == f"{near[0]}:{near[1]}"
    stream.close()
    far.close()
    assert came_to(stream) == came_to(ScriptedEndpoint(world.loop)) == ""
