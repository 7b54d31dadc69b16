"""Addresses that clients tell: nobody is sent to what is none, or to very many."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import RemoteProtocolError
from frpd.server.nathole.addresses import (
    MAX_ADDRESSES,
    check_assisted,
    check_mapped,
    split_address,
    without_repeats,
)

GOOD = ["198.51.100.7:40000", "10.0.0.1:1", "192.168.1.2:65535", "[2001:db8::1]:7"]
BAD = [
    "",
    "198.51.100.7",
    "198.51.100.7:",
    "198.51.100.7:0",
    "198.51.100.7:65536",
    "198.51.100.7:-1",
    "198.51.100.7:+1",
    "198.51.100.7:1 ",
    "198.51.100.7:٣",
    "host.example:80",
    "localhost:80",
    "198.51.100:80",
    "198.51.100.256:80",
    "0x7f.1.1.1:80",
    "2001:db8::1:80",
    "[2001:db8::1",
    "[fe80::1%eth0]:80",
    "0.0.0.0:80",
    "[::]:80",
    "255.255.255.255:80",
    "224.0.0.1:80",
    "[ff02::1]:80",
    "\0:1",
    "9" * 100 + ":1",
]


def test_addresses_are_taken_as_they_are() -> None:
    assert check_mapped(GOOD, trusts_loopback=False) == GOOD
    assert check_assisted(GOOD, trusts_loopback=False) == GOOD


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_address_to_send_to_is_refused(bad: str) -> None:
    with pytest.raises(RemoteProtocolError, match="an address that nobody can be sent to"):
        check_mapped([*GOOD, bad], trusts_loopback=True)
    assert check_assisted([bad, *GOOD], trusts_loopback=True) == GOOD


@pytest.mark.parametrize("own", ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80"])
def test_loopback_is_believed_of_who_is_here(own: str) -> None:
    assert check_mapped([own], trusts_loopback=True) == [own]
    assert check_assisted([own], trusts_loopback=True) == [own]
    with pytest.raises(RemoteProtocolError):
        check_mapped([own], trusts_loopback=False)
    assert check_assisted([own], trusts_loopback=False) == []


def test_one_address_has_one_spelling() -> None:
    assert check_mapped(["[2001:DB8:0::1]:007"], trusts_loopback=False) == ["[2001:db8::1]:7"]


def test_too_many_are_refused_or_cut() -> None:
    many = [f"198.51.100.7:{port}" for port in range(1, MAX_ADDRESSES + 2)]
    assert len(check_mapped(many[:MAX_ADDRESSES], trusts_loopback=False)) == MAX_ADDRESSES
    with pytest.raises(RemoteProtocolError, match="too many addresses"):
        check_mapped(many, trusts_loopback=False)
    assert check_assisted(many, trusts_loopback=False) == many[:MAX_ADDRESSES]


def test_each_is_told_once_in_their_order() -> None:
    assert without_repeats(["b", "a", "b", "b", "c"]) == ["b", "a", "c"]


@given(st.lists(st.one_of(st.text(max_size=70), st.ip_addresses().map(str)), max_size=20))
def test_what_passes_can_always_be_sent_to(said: list[str]) -> None:
    passed = check_assisted([*said, *(f"{one}:9" for one in said)], trusts_loopback=False)
    assert len(passed) <= MAX_ADDRESSES
    for one in passed:
        host, port = split_address(one)
        ip = ipaddress.ip_address(host)
        assert not any((ip.is_loopback, ip.is_multicast, ip.is_unspecified))
        assert 0 < port < 65536
