from __future__ import annotations

import io
import os
import re
from html.parser import HTMLParser
from http.client import parse_headers, responses
from typing import TYPE_CHECKING, NamedTuple

import pytest

from frpd.errors import ConfigError
from frpd.http.pages import MAX_PAGE_BYTES, error_response, load_page

if TYPE_CHECKING:
    from email.message import Message
    from pathlib import Path

PAGES = [400, 403, 404, 408, 413, 414, 429, 431, 500, 501, 502, 503, 504, 505]
STATUSES = sorted([*PAGES, 401, 407])


class Response(NamedTuple):
    """A response that was read by another's code."""

    status: str
    reason: str
    headers: Message
    body: bytes


def parse(raw: bytes) -> Response:
    """Take a response to pieces; only CRLF may end a line of its head."""
    head, _, body = raw.partition(b"\r\n\r\n")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", head)
    first, _, fields = head.partition(b"\r\n")
    version, status, reason = first.decode("ascii").split(" ", 2)
    assert version == "HTTP/1.1"
    return Response(status, reason, parse_headers(io.BytesIO(fields + b"\r\n\r\n")), body)


@pytest.mark.parametrize("status", STATUSES)
def test_every_answer_is_one_complete_response(status: int) -> None:
    response = parse(error_response(status, close=False))
    assert response.status == str(status)
    # Older Pythons have older names for these two.
    assert response.reason == responses[status] or status in (413, 414)
    assert int(response.headers["Content-Length"]) == len(response.body) > 0
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Connection"] is None


@pytest.mark.parametrize("status", STATUSES)
def test_the_end_of_the_connection_is_told(status: int) -> None:
    response = parse(error_response(status, close=True))
    assert response.headers.get_all("Connection") == ["close"]


@pytest.mark.parametrize("status", STATUSES)
def test_head_is_told_the_length_and_gets_no_body(status: int) -> None:
    whole = error_response(status, close=True)
    head = error_response(status, close=True, head_only=True)
    assert head == whole[: whole.index(b"\r\n\r\n") + 4]


@pytest.mark.parametrize("status", PAGES)
def test_a_page_is_whole_html_and_names_nobody(status: int) -> None:
    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag != "meta":
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    raw = error_response(status, close=False)
    response = parse(raw)
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    page = response.body.decode("ascii")
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    assert page.startswith("<!DOCTYPE html>\n")
    assert f"<title>{response.reason}</title>" in page
    assert not re.search(rb"(?i)frp|python|server:|powered", raw)


@pytest.mark.parametrize(
    ("status", "header", "body"),
    [
        (401, "WWW-Authenticate", b"Unauthorized\n"),
        (407, "Proxy-Authenticate", b"Proxy Authentication Required\n"),
    ],
)
def test_who_must_log_in_is_asked_as_frp_asks(status: int, header: str, body: bytes) -> None:
    response = parse(error_response(status, close=False))
    assert response.headers.get_all(header) == ['Basic realm="Restricted"']
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.body == body


@pytest.mark.parametrize("page", [b"", "<p>Grüße".encode()])
def test_a_page_of_the_operator_replaces_ours(page: bytes) -> None:
    response = parse(error_response(404, close=False, page=page))
    assert response.body == page
    assert response.headers["Content-Length"] == str(len(page))
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


def test_headers_can_be_added() -> None:
    extra = (("Allow", "GET"), ("Connection", "keep-alive"))
    response = parse(error_response(501, close=False, extra=extra))
    assert response.headers["Allow"] == "GET"
    assert response.headers["Connection"] == "keep-alive"


def test_a_page_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "404.html"
    for page in (b"", b"<p>\r\n\x00\xff", b"x" * MAX_PAGE_BYTES):
        file.write_bytes(page)
        assert load_page(str(file)) == page


def test_a_page_that_cannot_be_used_is_told_with_its_key(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * (MAX_PAGE_BYTES + 1))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, reason in [
        (str(tmp_path / "none"), "no such file or directory"),
        (str(tmp_path), "is a directory"),
        (str(pipe), "not a regular file"),
        (str(large), "larger than 1048576 bytes"),
        ("a\x00b", "bad path"),
        ("", "no such file or directory"),
    ]:
        with pytest.raises(ConfigError) as caught:
            load_page(path)
        assert caught.value.key == "custom_404_page"
        assert str(caught.value) == f"custom_404_page: cannot use {path}: {reason}"
