"""Bounds of the http hosts come from the configuration, and its defaults are theirs."""

from __future__ import annotations

from frpd.config.server import ServerConfig
from frpd.http.limits import HttpLimits
from frpd.server.door import DoorLimits
from frpd.server.vhost.settings import head_limits, hello_limits, http_limits


def test_the_defaults_agree() -> None:
    assert http_limits(ServerConfig()) == HttpLimits()


def test_each_key_has_its_bound() -> None:
    config = ServerConfig(
        vhost_http_timeout=1,
        vhost_http_head_timeout=2.0,
        vhost_http_body_timeout=3.0,
        vhost_http_idle_timeout=4.0,
        vhost_http_max_head_bytes=5000,
        vhost_http_max_headers=60,
    )
    limits = http_limits(config)
    times = (limits.answer_seconds, limits.head_seconds, limits.body_seconds, limits.idle_seconds)
    assert times == (1.0, 2.0, 3.0, 4.0)
    assert (limits.head.head_bytes, limits.head.field_count) == (5000, 60)


def test_both_doors_have_the_same_caps_and_times_of_their_own() -> None:
    config = ServerConfig(
        vhost_http_head_timeout=2.0,
        vhost_https_hello_timeout=3.0,
        max_pending_connections=4,
        max_pending_per_source=5,
    )
    assert (head_limits(config), hello_limits(config)) == (DoorLimits(2, 4, 5), DoorLimits(3, 4, 5))
