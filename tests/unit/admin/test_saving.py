"""frpd.admin.saving: 304 for what is known, and gzip."""

from __future__ import annotations

import gzip

import pytest

from frpd.admin.saving import LEAST_BYTES, saved

LONG = b"x" * LEAST_BYTES
PACKED = {"HTTP_ACCEPT_ENCODING": "gzip, br"}


def test_who_has_it_is_told_so() -> None:
    status, body, headers = saved(b"{}", {})
    assert (status, body) == (200, b"{}")
    tag = headers["ETag"]
    assert tag.startswith('"')
    status, body, again = saved(b"{}", {"HTTP_IF_NONE_MATCH": f'"other", {tag}'})
    assert (status, body, again["ETag"]) == (304, b"", tag)
    assert saved(b"{ }", {"HTTP_IF_NONE_MATCH": tag})[0] == 200


def test_long_answers_are_packed_for_who_takes_it() -> None:
    status, body, headers = saved(LONG, PACKED)
    assert (status, headers["Content-Encoding"], gzip.decompress(body)) == (200, "gzip", LONG)
    assert len(body) < 100
    assert headers["Vary"] == "Accept-Encoding"
    assert headers["ETag"] != saved(LONG, {})[2]["ETag"]
    assert saved(LONG, PACKED | {"HTTP_IF_NONE_MATCH": headers["ETag"]})[0] == 304


@pytest.mark.parametrize(("body", "environ"), [(LONG[1:], PACKED), (LONG, {})])
def test_others_get_it_as_it_is(body: bytes, environ: dict[str, str]) -> None:
    status, sent, headers = saved(body, environ)
    assert (status, sent) == (200, body)
    assert "Content-Encoding" not in headers
