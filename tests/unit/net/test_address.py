from __future__ import annotations

import socket

import pytest

from frpd.net.address import SockAddr, format_address, host_of, join_host_port, literal_family


@pytest.mark.parametrize(
    ("host", "text"),
    [("1.2.3.4", "1.2.3.4:80"), ("::1", "[::1]:80"), ("name", "name:80"), ("", ":80")],
)
def test_an_ipv6_host_stands_in_brackets(host: str, text: str) -> None:
    assert join_host_port(host, 80) == text


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("1.2.3.4", 80), "1.2.3.4:80"),
        (("2001:db8::1", 80, 0, 0), "[2001:db8::1]:80"),
        (("::ffff:1.2.3.4", 80, 0, 0), "1.2.3.4:80"),
        (("::ffff:102:304", 80, 0, 0), "[::ffff:102:304]:80"),
        (("fe80::1%lo", 80, 0, 1), "[fe80::1%lo]:80"),
    ],
)
def test_a_mapped_address_is_written_as_ipv4(address: SockAddr, text: str) -> None:
    assert format_address(address) == text
    assert join_host_port(host_of(address), address[1]) == text


@pytest.mark.parametrize(
    ("host", "family"),
    [
        ("1.2.3.4", socket.AF_INET),
        ("::1", socket.AF_INET6),
        ("fe80::1%eth0", socket.AF_INET6),
        ("::ffff:1.2.3.4", socket.AF_INET6),
        ("localhost", None),
        ("1.2.3", None),
        ("256.1.1.1", None),
        ("", None),
        ("1.2.3.4%eth0", None),
        ("1.2.3.4\0", None),
        ("\udce4", None),
    ],
)
def test_a_literal_has_a_family_and_a_name_has_none(
    host: str, family: socket.AddressFamily | None
) -> None:
    assert literal_family(host) is family
