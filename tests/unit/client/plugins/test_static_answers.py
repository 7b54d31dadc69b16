from __future__ import annotations

import os
from pathlib import Path

import pytest

from frpd.client.plugins.static_answers import (
    Answer,
    bare_answer,
    html_answer,
    length_of,
    page_answer,
    redirect,
    validators,
)
from frpd.proto.http.head import RequestHead, ResponseHead, parse_request, parse_response

NOW = 1_000_000


def asked(line: str = "GET / HTTP/1.1") -> RequestHead:
    return parse_request(f"{line}\r\nHost: h\r\nConnection: keep-alive\r\n\r\n".encode())


def parsed(answer: Answer) -> tuple[ResponseHead, bytes]:
    [text] = answer.parts
    assert isinstance(text, bytes)
    end = text.index(b"\r\n\r\n") + 4
    return parse_response(text[:end]), text[end:]


def test_an_answer_has_a_date_and_is_not_to_be_sniffed() -> None:
    head, body = parsed(bare_answer(200, [("ETag", '"x"')], keep=True, head=asked()))
    assert (head.status, head.reason, body) == (200, "OK", b"")
    assert head.get("date")
    assert head.get("x-content-type-options") == "nosniff"
    assert head.get("etag") == '"x"'


@pytest.mark.parametrize(
    ("line", "keep", "said"),
    [
        ("GET / HTTP/1.1", True, None),
        ("GET / HTTP/1.1", False, "close"),
        ("GET / HTTP/1.0", True, "keep-alive"),
        ("GET / HTTP/1.0", False, "close"),
    ],
)
def test_an_answer_says_whether_the_connection_stays(
    line: str, keep: bool, said: str | None
) -> None:
    head, _ = parsed(bare_answer(200, [], keep=keep, head=asked(line)))
    assert head.get("connection") == said


def test_a_page_is_complete_and_does_nothing() -> None:
    answer = page_answer(403, keep=False, fields=[("X", "y")])
    head, body = parsed(answer)
    assert (answer.status, answer.keep) == (403, False)
    assert head.content_length == len(body)
    assert b"Forbidden" in body
    assert head.get("x") == "y"
    assert (head.get("content-security-policy") or "").startswith("default-src 'none'")
    assert head.get("cache-control") == "no-store"


def test_head_gets_the_head_alone() -> None:
    head, body = parsed(html_answer(200, b"page", keep=True, head=asked("HEAD / HTTP/1.1")))
    assert (head.content_length, body) == (4, b"")


def test_a_redirect_names_the_place() -> None:
    head, _ = parsed(redirect(asked(), "./x/", keep=True))
    assert (head.status, head.get("location")) == (301, "./x/")


def test_bytes_behind_bytes_are_one_part() -> None:
    answer = page_answer(404, keep=True)
    answer.parts.clear()
    for part in (b"a", b"b", (0, 5), (6, 9), b"c", b"d"):
        answer.add(part)
    assert list(answer.parts) == [b"ab", (0, 5), (6, 9), b"cd"]
    assert [length_of(part) for part in answer.parts] == [2, 5, 3, 2]


def test_a_tag_changes_with_size_time_and_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    seen = set()

    def note() -> None:
        seen.add(validators(path.stat(), NOW).etag)

    path.write_bytes(b"a")
    os.utime(path, ns=(0, 5))
    note()
    note()
    assert len(seen) == 1
    os.utime(path, ns=(0, 6))
    note()
    path.write_bytes(b"ab")
    os.utime(path, ns=(0, 6))
    note()
    other = tmp_path / "b"
    other.write_bytes(b"ab")
    os.utime(other, ns=(0, 6))
    other.replace(path)
    note()
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("age", "is_strong"), [(0, False), (1, False), (2, True), (999, True), (-50, False)]
)
def test_a_tag_is_strong_once_the_file_has_settled(
    tmp_path: Path, age: int, is_strong: bool
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"")
    os.utime(path, (NOW - age, NOW - age))
    own = validators(path.stat(), NOW)
    assert (own.is_strong, own.modified) == (is_strong, NOW - age)


def test_a_file_from_before_all_time_is_as_old_as_time(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"")
    os.utime(path, (-5, -5))
    own = validators(path.stat(), NOW)
    assert (own.is_strong, own.modified) == (False, 0)
