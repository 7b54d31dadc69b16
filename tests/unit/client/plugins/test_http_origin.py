"""Whom a visitor names: equal where host and port are, and an answer for each failed dial."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, cast

import pytest

from frpd.client.plugins.http_origin import Origin, status_of
from frpd.errors import TransportError
from frpd.metrics.counters import ProxyCounters
from frpd.net.connector import DialError

if TYPE_CHECKING:
    from frpd.client.proxies.base import ProxyContext


def origin(host: str, port: int) -> Origin:
    return Origin(host, port, cast("ProxyContext", None), ProxyCounters())


def test_lines_are_kept_by_host_and_port() -> None:
    assert origin("a.test", 80) == origin("a.test", 80)
    assert hash(origin("a.test", 80)) == hash(origin("a.test", 80))
    assert origin("a.test", 80) != origin("a.test", 81)
    assert origin("a.test", 80) != origin("b.test", 80)


def test_whoever_got_this_far_may_ask() -> None:
    assert origin("a.test", 80).admits(None)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DialError("", errno.ETIMEDOUT), 504),
        (DialError("", errno.ECONNREFUSED), 502),
        (DialError(""), 502),
        (TransportError("lookup"), 502),
    ],
)
def test_a_failed_dial_has_its_status(error: TransportError, status: int) -> None:
    assert status_of(error) == status
