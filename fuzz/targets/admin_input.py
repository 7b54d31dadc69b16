"""Requests to the admin APIs: bodies and parameters, as a browser or a script may send them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import bottle

from frpd.admin.access import (
    Credentials,
    is_browser,
    is_of_this_machine,
    is_plain_host,
    is_same_origin,
)
from frpd.admin.web_app import ApiError, body_object, body_string, body_text, flag, number, query
from frpd.config.secret import Secret
from fuzz.reading import Choices


def one(data: bytes) -> None:
    """Only ApiError comes out, and numbers stay in their range."""
    choices = Choices(data)
    text, body = choices.take(choices.byte()), choices.rest()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "QUERY_STRING": text.decode("latin-1"),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    bottle.request.bind(environ)
    for name in ("n", "a"):
        query(name)
        flag(name)
        try:
            assert 1 <= number(name, 5, low=1, high=1000) <= 1000
        except ApiError as error:
            assert error.status == 400
    _judge(text.decode("latin-1"), body[:200].decode("latin-1"))
    for read in (body_text, body_object, lambda: body_string("name"), lambda: body_object(10)):
        try:
            read()
        except ApiError as error:
            assert error.status == 400


def _judge(host: str, origin: str) -> None:
    """Ask who is asking; a page of another origin is never of ours."""
    fields = {"HTTP_HOST": host, "HTTP_ORIGIN": origin, "REMOTE_ADDR": host}
    is_of_this_machine(fields)
    is_plain_host(host)
    if is_same_origin(fields):
        assert origin.lower().endswith(f"://{host.lower()}")
    assert is_browser(fields)
    assert not Credentials("user", Secret("password")).match(origin)


def seeds() -> Iterator[bytes]:
    """Yield parameters and bodies."""
    for text, body in (
        (b"n=5&a=%41&a=yes", b'{"name":"x"}'),
        (b"n=%D9%A1", b'{"name":1}'),
        (b"n=0001000&a", b"[" * 2000),
        (b"%ff=%ff&;", b"\xff"),
        (b"[::1]:80", b"http://[::1]:80"),
        (b"::ffff:127.0.0.1%eth0", b"Basic dXNlcjpwYXNz"),
        (b"n=-1", b'{"a":' + b"9" * 5000 + b"}"),
    ):
        yield bytes((len(text),)) + text + body
