from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import RemoteProtocolError
from frpd.proto.socks5 import Command, Packet, Reply, Socks5Client, encode_packet
from frpd.proto.socks5_server import Socks5Server, decode_datagram, encode_datagram

IPV4 = b"\x7f\x00\x00\x01"
IPV6 = bytes(15) + b"\x01"
HELLO = b"\x05\x01\x00"
HELLO_USER = b"\x05\x02\x00\x02"
LOGIN = b"\x01\x05alice\x06secret"
ASK = encode_packet(Command.CONNECT, "web.test", 80)


def admits(user: bytes, password: bytes) -> bool:
    return (user, password) == (b"alice", b"secret")


@given(st.data())
def test_a_handshake_may_come_in_any_pieces(data: st.DataObject) -> None:
    demands = data.draw(st.booleans())
    machine = Socks5Server(admits if demands else None)
    wire = (HELLO_USER + LOGIN if demands else HELLO) + ASK
    rest = data.draw(st.binary(max_size=20))
    left = wire + rest
    said = b""
    while left:
        cut = data.draw(st.integers(1, len(left)))
        machine.receive_data(left[:cut])
        said += machine.data_to_send()
        left = left[cut:]
    assert said == (b"\x05\x02\x01\x00" if demands else b"\x05\x00")
    assert machine.request == Packet(Command.CONNECT, "web.test", 80)
    assert machine.refusal is None
    assert machine.take_rest() == b""  # before it was granted
    machine.reply(Reply.SUCCEEDED)
    assert machine.data_to_send() == bytes.fromhex("05000001000000000000")
    assert (machine.take_rest(), machine.take_rest()) == (rest, b"")


@pytest.mark.parametrize("host", ["web.test", IPV4, IPV6], ids=["name", "ipv4", "ipv6"])
@pytest.mark.parametrize("login", [None, (b"alice", b"secret")], ids=["open", "login"])
def test_our_own_client_gets_through(host: str | bytes, login: tuple[bytes, bytes] | None) -> None:
    client = Socks5Client(host, 443, login)
    server = Socks5Server(None if login is None else admits)
    while server.request is None:
        server.receive_data(client.data_to_send())
        if said := server.data_to_send():
            client.receive_data(said)
    assert server.request == Packet(Command.CONNECT, host, 443)
    server.reply(Reply.SUCCEEDED, IPV4, 1080)
    client.receive_data(server.data_to_send() + b"hi")
    assert client.is_ready
    assert client.take_rest() == b"hi"


@pytest.mark.parametrize(
    ("hello", "demands", "reason"),
    [
        (b"\x05\x01\x00", True, "it offers no user and password"),
        (b"\x05\x00", True, "it offers no user and password"),
        (b"\x05\x01\x02", False, "it does not offer to go without authentication"),
        (b"\x05\x02\x01\x80", False, "it does not offer to go without authentication"),
    ],
)
def test_a_visitor_without_the_right_way_to_authenticate_is_refused(
    hello: bytes, demands: bool, reason: str
) -> None:
    machine = Socks5Server(admits if demands else None)
    machine.receive_data(hello + ASK)
    assert (machine.data_to_send(), machine.refusal) == (b"\x05\xff", reason)
    assert machine.request is None
    machine.receive_data(ASK)
    assert machine.request is None


@pytest.mark.parametrize(
    "login", [b"\x01\x05alice\x05wrong", b"\x01\x03bob\x06secret", b"\x01\x00\x00"]
)
def test_a_wrong_login_is_refused_and_nothing_behind_it_is_read(login: bytes) -> None:
    machine = Socks5Server(admits)
    machine.receive_data(HELLO_USER + login + ASK)
    assert machine.data_to_send() == b"\x05\x02\x01\x01"
    assert machine.refusal == "wrong user or password"
    assert machine.request is None


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (b"\x04\x01\x00\x50", "SOCKS version 4, expected 5"),
        (b"GET / HTTP/1.1", "SOCKS version 71, expected 5"),
        (HELLO_USER + b"\x05", "login version 5, expected 1"),
        (HELLO_USER + LOGIN + b"\x04", "SOCKS version 4, expected 5"),
        (HELLO_USER + LOGIN + b"\x05\x01\x01\x01", "reserved SOCKS byte 1, expected 0"),
        (HELLO_USER + LOGIN + b"\x05\x01\x00\x03\x00", "SOCKS address with an empty name"),
    ],
)
def test_other_languages_are_an_error(wire: bytes, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason):
        Socks5Server(admits).receive_data(wire)


def feed(server: Socks5Server, pieces: list[bytes]) -> None:
    for piece in pieces:
        server.receive_data(piece)


@pytest.mark.parametrize("plan", [1, 10])
def test_what_is_no_request_is_refused_alike_however_it_is_cut(plan: int) -> None:
    request = b"\x01\x01\0\x09\0\0\0\0\0\0"
    with pytest.raises(RemoteProtocolError, match="version 1"):
        feed(Socks5Server(), [HELLO, *(request[at : at + plan] for at in range(0, 10, plan))])


def test_an_unknown_type_of_address_gets_its_own_reply() -> None:
    machine = Socks5Server()
    machine.receive_data(HELLO + b"\x05\x01\x00\x02")
    assert machine.data_to_send() == bytes.fromhex("050005080001000000000000")
    assert machine.refusal == "unknown SOCKS address type 2"
    assert machine.request is None


def test_a_refused_request_gives_no_tunnel() -> None:
    machine = Socks5Server()
    machine.receive_data(HELLO + ASK + b"early")
    machine.data_to_send()
    machine.reply(Reply.CONNECTION_REFUSED)
    assert machine.data_to_send()[1] == Reply.CONNECTION_REFUSED
    assert machine.take_rest() == b""


@pytest.mark.parametrize("host", ["dns.test", IPV4, IPV6], ids=["name", "ipv4", "ipv6"])
@pytest.mark.parametrize("payload", [b"", b"question"])
def test_a_datagram_goes_there_and_back(host: str | bytes, payload: bytes) -> None:
    assert decode_datagram(encode_datagram(host, 53, payload)) == (host, 53, payload)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x00\x00",
        b"\x00\x00\x00",
        b"\x00\x00\x01\x01\x7f\x00\x00\x01\x00\x35x",  # a fragment
        b"\x00\x00\x00\x01\x7f\x00\x00",
        b"\x00\x00\x00\x02\x7f\x00\x00\x01\x00\x35x",
        b"\x00\x00\x00\x03\x00\x00\x35x",
    ],
)
def test_a_datagram_that_cannot_be_read_is_dropped(datagram: bytes) -> None:
    assert decode_datagram(datagram) is None


@given(st.binary(max_size=300))
def test_no_datagram_breaks_it(datagram: bytes) -> None:
    found = decode_datagram(memoryview(datagram))
    assert found is None or datagram.endswith(bytes(found[2]))
