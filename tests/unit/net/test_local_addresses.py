"""Addresses of this machine, as the kernel tells them."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from frpd.net import local_addresses
from frpd.net.local_addresses import local_ipv4


def test_they_can_be_bound_and_are_not_loopback() -> None:
    for text in local_ipv4(10):
        assert not ipaddress.IPv4Address(text).is_loopback
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.bind((text, 0))


def test_no_more_than_asked_for_are_told() -> None:
    assert local_ipv4(0) == []
    assert len(local_ipv4(1)) <= 1


def test_what_the_kernel_says_is_read_as_far_as_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [
        ipaddress.IPv4Address(text) for text in ("127.0.0.1", "169.254.1.1", "10.1.1.1", "1.2.3.4")
    ]
    monkeypatch.setattr(local_addresses, "_dump", lambda: told)
    assert local_ipv4(10) == ["10.1.1.1", "1.2.3.4"]


def test_where_the_kernel_says_nothing_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> list[ipaddress.IPv4Address]:
        raise OSError("Address family not supported by protocol")

    monkeypatch.setattr(local_addresses, "_dump", refuses)
    assert local_ipv4(10) == []
