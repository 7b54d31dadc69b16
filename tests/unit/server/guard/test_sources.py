"""Tests of server.guard.sources."""

from __future__ import annotations

import pytest

from frpd.config.penalties import NetBlockSize
from frpd.server.guard.sources import source_of


@pytest.mark.parametrize(
    ("host", "size", "source"),
    [
        ("192.0.2.7", NetBlockSize(), "192.0.2.7"),
        ("192.0.2.7", NetBlockSize(24), "192.0.2.0/24"),
        ("192.0.2.7", NetBlockSize(0), "0.0.0.0/0"),
        ("2001:db8:1:2:3::4", NetBlockSize(), "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3::4", NetBlockSize(32, 128), "2001:db8:1:2:3::4"),
        ("fe80::1%eth0", NetBlockSize(), "fe80::/64"),
        ("::1", NetBlockSize(), "::/64"),
    ],
)
def test_an_address_counts_for_its_network(host: str, size: NetBlockSize, source: str) -> None:
    assert source_of(host, size) == source


def test_what_is_no_address_stands_for_itself() -> None:
    assert source_of("", NetBlockSize(24)) == ""
    assert source_of("nowhere", NetBlockSize(24)) == "nowhere"
    assert source_of("a:b", NetBlockSize()) == "a:b"
