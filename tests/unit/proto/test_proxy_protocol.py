"""PROXY protocol headers: as recorded from frp, as the specification has them, and garbage."""

from __future__ import annotations

import ipaddress
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import RemoteProtocolError
from frpd.proto.proxy_protocol import (
    MAX_BODY_BYTES,
    MAX_LINE_BYTES,
    SIGNATURE,
    VERSIONS,
    Header,
    decode,
    encode,
)
from tests.unit.proto.vectors import load

V4, V6 = ("192.0.2.7", 51022), ("2001:db8::7", 51022)
HERE4, HERE6 = ("198.51.100.1", 443), ("2001:db8::1", 443)


def v2(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + bytes((command, family)) + struct.pack(">H", len(body)) + body


@pytest.mark.parametrize("case", load("proxy_protocol")["cases"], ids=["v1", "v2"])
def test_headers_are_those_that_frp_writes(case: dict[str, Any]) -> None:
    source, destination = (
        (host, int(port))
        for host, _, port in (case[key].rpartition(":") for key in ("user_addr", "frps_listen"))
    )
    written = encode(case["proxy_protocol_version"], source, destination)
    recorded = bytes.fromhex(case["service_received_hex"])
    assert written + case["user_sent"].encode() == recorded
    assert decode(recorded) == Header(source, len(written))


@pytest.mark.parametrize(
    ("source", "destination", "line"),
    [
        (V4, HERE4, b"PROXY TCP4 192.0.2.7 198.51.100.1 51022 443\r\n"),
        (V6, HERE6, b"PROXY TCP6 2001:db8::7 2001:db8::1 51022 443\r\n"),
        (V6, HERE4, b"PROXY TCP6 2001:db8::7 ::ffff:198.51.100.1 51022 443\r\n"),
        (V4, HERE6, b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 51022 443\r\n"),
        (("::ffff:192.0.2.7", 1), HERE4, b"PROXY TCP4 192.0.2.7 198.51.100.1 1 443\r\n"),
        (("fe80::1%eth0", 1), HERE6, b"PROXY TCP6 fe80::1 2001:db8::1 1 443\r\n"),
    ],
)
def test_both_addresses_of_a_line_are_of_one_family(
    source: tuple[str, int], destination: tuple[str, int], line: bytes
) -> None:
    assert encode("v1", source, destination) == line


@pytest.mark.parametrize(
    ("source", "destination", "family"), [(V4, HERE4, 0x12), (V6, HERE6, 0x22), (V4, HERE6, 0x22)]
)
def test_datagrams_have_families_of_their_own(
    source: tuple[str, int], destination: tuple[str, int], family: int
) -> None:
    assert encode("v2", source, destination, datagram=True)[12:14] == bytes((0x21, family))
    assert encode("v1", source, destination, datagram=True) == b"PROXY UNKNOWN\r\n"


@pytest.mark.parametrize("host", ["", "example.com", "1.2.3", "\udcff"])
def test_what_is_no_address_is_not_written(host: str) -> None:
    with pytest.raises(ValueError, match="does not appear"):
        encode("v2", (host, 1), HERE4)


hosts = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ends = st.tuples(hosts, st.integers(0, 0xFFFF))


@given(st.sampled_from(VERSIONS), ends, ends, st.binary(max_size=40), st.data())
def test_what_was_written_is_read_back_and_never_too_early(
    version: str, source: tuple[str, int], here: tuple[str, int], rest: bytes, data: st.DataObject
) -> None:
    header = encode(version, source, here)
    found = decode(header + rest)
    assert found is not None
    assert found.size == len(header)
    assert found.source is not None
    read = ipaddress.ip_address(found.source[0])
    sent = ipaddress.ip_address(source[0])
    assert getattr(read, "ipv4_mapped", None) or read == (
        getattr(sent, "ipv4_mapped", None) or sent
    )
    assert found.source[1] == source[1]
    assert decode(header[: data.draw(st.integers(0, len(header) - 1))]) is None


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: SIGNATURE + tail)
       | st.binary(max_size=120).map(lambda tail: b"PROXY TCP4 " + tail))  # fmt: skip
def test_garbage_is_refused_or_waited_for_never_anything_else(data: bytes) -> None:
    try:
        found = decode(data)
    except RemoteProtocolError:
        return
    assert found is None or found.size <= len(data)


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
        v2(0x20, 0x00, b""),
        v2(0x20, 0x11, bytes(12)),
        v2(0x21, 0x00, b"\1\2\3"),
        v2(0x21, 0x10, bytes(12)),
        v2(0x21, 0x31, bytes(216)),
    ],
)
def test_a_connection_of_the_balancer_itself_has_no_other_source(header: bytes) -> None:
    assert decode(header + b"payload") == Header(None, len(header))


def test_what_stands_behind_the_addresses_is_passed_over() -> None:
    body = bytes((192, 0, 2, 7, 198, 51, 100, 1, 0, 5, 0, 6)) + b"\4\0\3abc"
    header = v2(0x21, 0x11, body)
    assert decode(header + b"x") == Header(("192.0.2.7", 5), len(header))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"PROXY\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 51022\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 51022 443 \r\n",
        b"PROXY TCP4  192.0.2.7 198.51.100.1 51022 443\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 51022 443\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.1 51022 443\r\n",
        b"PROXY TCP6 fe80::1%eth0 2001:db8::1 51022 443\r\n",
        b"PROXY TCP4 192.0.2.007 198.51.100.1 51022 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 +5 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 05 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1  443\r\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 51022 443\r\n",
        b"PROXY UNKNOWN" + b" " * MAX_LINE_BYTES + b"\r\n",
        b"\r\n\r\nGET",
        v2(0x11, 0x11, bytes(12)),
        v2(0x22, 0x11, bytes(12)),
        v2(0x21, 0x11, bytes(11)),
        v2(0x21, 0x21, bytes(35)),
        v2(0x21, 0x31, bytes(215)),
        v2(0x21, 0x13, bytes(12)),
        v2(0x21, 0x41, bytes(12)),
        v2(0x21, 0x11, bytes(MAX_BODY_BYTES + 1)),
    ],
)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="PROXY"):
        decode(data)


def test_a_line_without_an_end_is_not_waited_for() -> None:
    line = b"PROXY UNKNOWN".ljust(MAX_LINE_BYTES, b" ")
    assert decode(line[:-1]) is None
    with pytest.raises(RemoteProtocolError, match="longer"):
        decode(line)
