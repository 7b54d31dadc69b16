"""frpd.metrics.access: both forms of a line, whatever peers have sent."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from frpd.metrics.access import CUT, MAX_VALUE, ProxyAccess, Visit, as_json, as_remark, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

VISIT = Visit(
    when=1_800_000_000.25,
    type="tcp",
    proxy="ann.ssh",
    run_id="197080ac44e2e8c9",
    visitor="192.0.2.7:51022",
    local="198.51.100.1:6000",
    bytes_in=5,
    bytes_out=1000,
    seconds=1.23456,
    ended="reset",
    by="service",
    reason="connection reset by peer",
)
REQUEST = replace(
    VISIT,
    type="http",
    ended="answered",
    by="",
    reason="",
    method="GET",
    host="www.example.com:80",
    path="/a%20b",
    status=200,
    user="guest",
)
WILD = 'a\n2027 x="1" proxy=b\r\x1b]0;t\x07\x7f\x85\u2028\u202e\udc80"\\ e'


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_connection_in_text() -> None:
    assert as_text(VISIT) == (
        "2027-01-15T08:00:00.250+00:00 type=tcp proxy=ann.ssh run_id=197080ac44e2e8c9"
        " visitor=192.0.2.7:51022 local=198.51.100.1:6000 bytes_in=5 bytes_out=1000 seconds=1.235"
        ' ended=reset by=service reason="connection reset by peer"'
    )


def test_a_request_in_text_has_what_was_asked_and_the_status() -> None:
    end = " ended=answered method=GET host=www.example.com:80 path=/a%20b status=200 user=guest"
    assert as_text(REQUEST).endswith(end)


def test_the_same_in_json_has_all_fields_in_one_order() -> None:
    found = json.loads(as_json(VISIT))
    assert list(found) == [
        "time", "type", "proxy", "run_id", "visitor", "local", "bytes_in", "bytes_out", "seconds",
        "ended", "by", "reason",
    ]  # fmt: skip
    assert (found["time"], found["seconds"]) == ("2027-01-15T08:00:00.250+00:00", 1.235)
    more = json.loads(as_json(REQUEST))
    assert list(more) == [*found, "method", "host", "path", "status", "user"]
    assert (more["status"], more["user"], more["reason"]) == (200, "guest", "")


def test_what_peers_send_forges_no_line_and_no_field() -> None:
    visit = replace(REQUEST, proxy=WILD, path=WILD, user=WILD, reason=WILD)
    text = as_text(visit)
    assert text.encode("utf-8", "backslashreplace").decode().isprintable()
    assert text.count(" proxy=") == 1 + 4  # ours, and those inside of quotes
    assert 'proxy="a\\n2027 x=\\"1\\" proxy=b\\r\\u001b]0;t\\u0007\\x7f\\x85\\u2028\\u202e' in text
    line = as_json(visit)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["proxy"] == WILD


def test_a_name_in_another_script_can_be_read_in_text() -> None:
    assert ' proxy="网站" ' in as_text(replace(VISIT, proxy="网站"))


def test_a_value_is_cut_at_its_bound() -> None:
    found = json.loads(as_json(replace(REQUEST, path="/" + "x" * 30_000)))
    assert found["path"] == "/" + "x" * (MAX_VALUE - 1) + CUT


def test_a_remark_is_the_text_without_its_time() -> None:
    assert as_text(VISIT).endswith(" " + as_remark(VISIT))


def test_a_proxy_tells_of_its_visits_under_its_names() -> None:
    told: list[Visit] = []
    ProxyAccess(told.append, "web", "https", "run").tell(visitor="192.0.2.7:1", ended="closed")
    (visit,) = told
    assert (visit.proxy, visit.type, visit.run_id) == ("web", "https", "run")
    assert (visit.visitor, visit.ended) == ("192.0.2.7:1", "closed")
