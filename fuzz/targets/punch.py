"""Hole punching: datagrams between two ends, addresses as servers write them, both generations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from frpd.client.nathole.plan import (
    MAX_ADDRESSES,
    MAX_DELAY_SECONDS,
    MAX_GUESSED_PORTS,
    MAX_LISTENED_PORTS,
    MAX_RANDOM_PORTS,
    MAX_READ_SECONDS,
    plan_of,
)
from frpd.errors import RemoteProtocolError, TransportError
from frpd.proto.ciphers import StreamEncryptor
from frpd.proto.early_punch import (
    MAX_ECHOES,
    MAX_PROBES,
    OwnerPunch,
    Punch,
    State,
    VisitorPunch,
    begins_yamux,
    is_kcp,
    kcp_probe,
    parse_address,
)
from frpd.proto.message.codec import encode_message, read_text
from frpd.proto.message.types import (
    EARLY_A,
    EARLY_B,
    NatHoleResp,
    NatHoleSid,
    NatHoleVisitor,
)
from frpd.proto.nat import MAX_PORT, read_address
from frpd.proto.punch import decode_detect, encode_detect
from frpd.server.nathole.addresses import check_assisted, check_mapped, split_address
from frpd.server.nathole.classify import classify
from fuzz.reading import Choices

_KEY: Final = bytes(range(16))
_IV: Final = bytes(16)
_SERVER: Final = ("192.0.2.1", 7000)
_PEER: Final = ("192.0.2.9", 4711)
_MAX_TURNS: Final = 60
_PLAN: Final = (
    b'{"sid":"s","candidate_addrs":["192.0.2.9:1"],"assisted_addrs":["192.0.2.8:2","x"],'
    b'"detect_behavior":{"role":"sender","mode":1,"ttl":7,"send_delay_ms":5000,'
    b'"read_timeout":1000,"candidate_ports":[{"from":1,"to":9}],"send_random_ports":5,'
    b'"listen_random_ports":3}}'
)


def one(data: bytes) -> None:
    """Only RemoteProtocolError comes out; an address is the same there and back; few are sent."""
    choices = Choices(data)
    form = choices.byte()
    if form & 11 == 8:
        _plan(choices.rest())
    elif form & 3 == 0:
        _addresses(choices.rest())
    elif form & 3 == 1:
        _datagram(choices.rest(), encrypt=bool(form & 4))
    else:
        _talk(choices, form)


def _addresses(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    with suppress(RemoteProtocolError):
        host, port = parse_address(text)
        assert parse_address(f"[{host}]:{port}") == (host, port)
    with suppress(RemoteProtocolError):
        host, port = read_address(text)
        assert read_address(f"{host}:{port}") == (host, port)

    with suppress(RemoteProtocolError):
        checked = check_mapped(text.split(","), trusts_loopback=False)
        assert check_assisted(checked, trusts_loopback=False) == checked
        assert all(0 < split_address(address)[1] <= MAX_PORT for address in checked)
        classify(checked, ["192.0.2.1"])


def _plan(data: bytes) -> None:
    """Read what a server asks of us, as JSON; what we do is bounded whatever it says."""
    answer = NatHoleResp()
    with suppress(RemoteProtocolError, TransportError):
        read_text(data.decode("utf-8", "replace"), answer)
        plan = plan_of(answer)
        assert len(plan.direct) <= 2 * MAX_ADDRESSES
        assert len(plan.guessed) <= MAX_GUESSED_PORTS
        assert 0 <= plan.random_ports <= MAX_RANDOM_PORTS
        assert 0 <= plan.listened_ports <= MAX_LISTENED_PORTS
        assert 0 <= plan.delay_seconds <= MAX_DELAY_SECONDS
        assert 0 < plan.read_seconds <= MAX_READ_SECONDS
        assert 0 <= plan.ttl <= 255


def _datagram(data: bytes, *, encrypt: bool) -> None:
    if encrypt:
        data = StreamEncryptor(_KEY, _IV).encrypt(data)
    is_kcp(data)
    if data:
        begins_yamux(data)
    with suppress(RemoteProtocolError):
        message = decode_detect(data, _KEY)
        assert decode_detect(encode_detect(message, _KEY, _IV), _KEY) == message


def _punch(form: int) -> Punch:
    generation = EARLY_A if form & 4 else EARLY_B
    if form & 1:
        return OwnerPunch("p", "sid", _SERVER, generation, 0.0)
    return VisitorPunch(NatHoleVisitor(proxy_name="p"), _SERVER, generation, 0.0)


def _talk(choices: Choices, form: int) -> None:
    end = _punch(form)
    now, sent = 0.0, 0
    for _ in range(_MAX_TURNS):
        if not choices or end.state in (State.OPEN, State.FAILED):
            break
        what = choices.byte()
        now += (what >> 4) / 8
        source = _SERVER if what & 1 else _PEER
        kind = what >> 1 & 3
        if kind == 0:
            data = b"sid"
        elif kind == 1:
            text = choices.take(choices.byte() & 31).decode("utf-8", "replace")
            answer = NatHoleResp(sid="sid", visitor_addr=text, client_addr=text)
            data = encode_message(answer)
        elif kind == 2:
            data = kcp_probe(0)
        else:
            data = choices.take(choices.byte())
        end.receive_datagram(data, source, now)
        due = end.next_deadline()
        if due is not None and due <= now:
            end.handle_deadline(now)
        sent += len(end.datagrams_to_send())
    assert sent <= 2 * _MAX_TURNS + MAX_ECHOES + MAX_PROBES
    assert end.state is not State.OPEN or end.peer is not None


def seeds() -> Iterator[bytes]:
    """Yield addresses, a message, and holes of both generations."""
    for text in ("192.0.2.7:4711", "[2001:db8::7]:4711", "::ffff:1.2.3.4:5", "1.2.3.4:99999"):
        yield b"\0" + text.encode()
    yield b"\0192.0.2.7:1,192.0.2.7:3,[::1]:5"
    yield b"\x08" + _PLAN
    yield b"\x05" + encode_message(NatHoleSid(sid="sid", response=True, nonce="000"))
    yield b"\x01" + encode_detect(NatHoleSid(sid="sid"), _KEY, _IV)
    address = b"192.0.2.9:4711"
    told = b"\x13" + bytes((len(address),)) + address
    for form in (2, 3, 6, 7):
        yield bytes((form,)) + b"\x21" + told + b"\x20\x10\x24\x04"
