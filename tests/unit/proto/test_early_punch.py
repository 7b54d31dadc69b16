"""Early hole punching: played against what Go's own ends have sent, and without a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import RemoteProtocolError
from frpd.proto.early_punch import (
    CONVERSATION,
    DYING_TTL,
    MAX_ECHOES,
    MAX_PROBES,
    MAX_SID_CHARS,
    OWNER_DELAY_SECONDS,
    OWNER_FIRST_SIDS,
    OWNER_TICK_SECONDS,
    OWNER_WAITS_SECONDS,
    SIDS_BEFORE_A_PROBE,
    VISITOR_ASKS_AGAIN_SECONDS,
    Address,
    Datagram,
    OwnerPunch,
    State,
    VisitorPunch,
    begins_yamux,
    is_kcp,
    kcp_probe,
    parse_address,
)
from frpd.proto.kcp.connection import KcpConnection
from frpd.proto.message.codec import decode_message, encode_message
from frpd.proto.message.types import (
    EARLY_A,
    EARLY_B,
    LoginResp,
    NatHoleClient,
    NatHoleResp,
    NatHoleVisitor,
)
from tests.unit.proto.vectors import b64, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from frpd.proto.message.types import Message

SERVER: Address = ("192.0.2.1", 7001)
VISITOR: Address = ("198.51.100.2", 4002)
OWNER: Address = ("203.0.113.3", 4003)
STRANGER: Address = ("192.0.2.99", 99)
SID = "179534475662ec7f61e9d2ba51"
REQUEST = NatHoleVisitor(proxy_name="x", sign_key="k", timestamp=7)
BOTH = pytest.mark.parametrize("generation", [EARLY_A, EARLY_B])


@dataclass
class Recording:
    """All datagrams of two Go ends and their server, in order."""

    generation: str
    raw: dict[str, Any]
    server: Address = field(init=False)
    visitor: Address = field(init=False)
    owner: Address = field(init=False)

    def __post_init__(self) -> None:
        self.server = ("127.0.0.1", self.raw["nat_hole_port"])
        self.visitor = parse_address(self.raw["datagrams"][0]["src"])
        self.owner = parse_address(self.raw["datagrams"][1]["src"])

    def sent(self, source: Address, to: Address) -> Iterator[tuple[bytes, int]]:
        for datagram in self.raw["datagrams"]:
            if parse_address(datagram["src"]) == source and parse_address(datagram["dst"]) == to:
                yield b64(datagram["data_b64"]), datagram["ttl"]

    def message(self, source: Address, to: Address) -> Message:
        return decode_message(next(self.sent(source, to))[0])

    def sids(self, source: Address, to: Address) -> list[tuple[bytes, int]]:
        return [(data, ttl) for data, ttl in self.sent(source, to) if len(data) == len(SID)]

    def kcp(self, source: Address, to: Address) -> bytes:
        return next(data for data, _ in self.sent(source, to) if len(data) > len(SID))


@pytest.fixture(params=["v021", "v031"])
def recording(request: pytest.FixtureRequest) -> Recording:
    generation = {"v021": EARLY_A, "v031": EARLY_B}[request.param]
    return Recording(generation, load(f"transcripts/xtcp_{request.param}"))


def response(**fields: str) -> bytes:
    return encode_message(NatHoleResp(**fields))  # type: ignore[arg-type]


def visitor(generation: str) -> VisitorPunch:
    return VisitorPunch(REQUEST, SERVER, generation, 0.0)


def owner(generation: str) -> OwnerPunch:
    return OwnerPunch("x", SID, SERVER, generation, 0.0)


def punching_visitor(generation: str, now: float = 1.0) -> VisitorPunch:
    punch = visitor(generation)
    punch.datagrams_to_send()
    answer = response(sid=SID, client_addr="203.0.113.3:4003", visitor_addr="198.51.100.2:4002")
    punch.receive_datagram(answer, SERVER, now)
    return punch


def punching_owner(generation: str, now: float = 1.0) -> OwnerPunch:
    punch = owner(generation)
    punch.datagrams_to_send()
    answer = response(sid=SID, client_addr="203.0.113.3:4003", visitor_addr="198.51.100.2:4002")
    punch.receive_datagram(answer, SERVER, now)
    return punch


def is_open(punch: VisitorPunch | OwnerPunch) -> bool:
    return punch.state is State.OPEN


def run(punch: VisitorPunch | OwnerPunch, until: float) -> list[tuple[float, Datagram]]:
    """Let time pass; return what was sent, with the time."""
    sent = [(0.0, datagram) for datagram in punch.datagrams_to_send()]
    while (due := punch.next_deadline()) is not None and due <= until:
        punch.handle_deadline(due)
        sent += [(due, datagram) for datagram in punch.datagrams_to_send()]
    return sent


# Against the recordings.


def test_our_visitor_says_what_go_s_said(recording: Recording) -> None:
    asked = recording.message(recording.visitor, recording.server)
    assert isinstance(asked, NatHoleVisitor)
    punch = VisitorPunch(asked, recording.server, recording.generation, 0.0)
    [(request, _)] = recording.sent(recording.visitor, recording.server)
    assert punch.datagrams_to_send() == [Datagram(request, recording.server)]
    [(answer, _)] = recording.sent(recording.server, recording.visitor)
    punch.receive_datagram(answer, recording.server, 0.1)
    [(sid, ttl)] = recording.sids(recording.visitor, recording.owner)
    ttl = 0 if recording.generation == EARLY_B else ttl
    assert punch.datagrams_to_send() == [Datagram(sid, recording.owner, ttl)]
    echo, _ = recording.sids(recording.owner, recording.visitor)[-1]
    punch.receive_datagram(echo, recording.owner, 1.2)
    assert (punch.state, punch.peer) == (State.OPEN, recording.owner)
    assert is_kcp(recording.kcp(recording.visitor, recording.owner))


def test_our_owner_says_what_go_s_said(recording: Recording) -> None:
    asked = recording.message(recording.owner, recording.server)
    assert isinstance(asked, NatHoleClient)
    punch = OwnerPunch(asked.proxy_name, asked.sid, recording.server, recording.generation, 0.0)
    [(request, _)] = recording.sent(recording.owner, recording.server)
    assert punch.datagrams_to_send() == [Datagram(request, recording.server)]
    [(answer, _)] = recording.sent(recording.server, recording.owner)
    punch.receive_datagram(answer, recording.server, 0.1)
    due = punch.next_deadline() or 0.0
    punch.handle_deadline(due)
    sent = punch.datagrams_to_send()
    sid, _ = recording.sids(recording.owner, recording.visitor)[0]
    assert sent == [Datagram(sid, recording.visitor)] * OWNER_FIRST_SIDS
    assert punch.has_sent
    [(visitors, _)] = recording.sids(recording.visitor, recording.owner)
    punch.receive_datagram(visitors, recording.visitor, 0.2)
    assert punch.datagrams_to_send() == [Datagram(sid, recording.visitor)]
    punch.receive_datagram(recording.kcp(recording.visitor, recording.owner), recording.visitor, 2)
    assert (punch.state, punch.peer) == (State.OPEN, recording.visitor)


def test_the_first_bytes_tell_the_generation(recording: Recording) -> None:
    kcp = KcpConnection(CONVERSATION, now=0.0)
    kcp.receive_datagram(recording.kcp(recording.visitor, recording.owner), 0.0)
    start = kcp.read(100)
    assert begins_yamux(start) is (recording.generation == EARLY_B)


# Asking.


@BOTH
def test_a_visitor_asks_again_and_then_gives_up(generation: str) -> None:
    punch = visitor(generation)
    sent = run(punch, 60.0)
    again = VISITOR_ASKS_AGAIN_SECONDS
    assert [when for when, _ in sent] == [0.0, again, 2 * again, 3 * again]
    assert {datagram.to for _, datagram in sent} == {SERVER}
    assert punch.state is State.FAILED
    assert "no answer from the server's UDP port within 10 s" in punch.error
    assert punch.next_deadline() is None


def test_an_owner_asks_each_second_for_five() -> None:
    punch = owner(EARLY_B)
    sent = run(punch, 60.0)
    assert [when for when, _ in sent] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert "no answer from the server's UDP port within 5 s" in punch.error


@BOTH
def test_the_server_s_refusal_is_told_as_it_is(generation: str) -> None:
    punch = visitor(generation)
    punch.receive_datagram(response(error="xtcp server for [x] doesn't exist"), SERVER, 0.5)
    assert (punch.state, punch.error) == (State.FAILED, "xtcp server for [x] doesn't exist")
    assert punch.datagrams_to_send() == []


def test_a_refusal_of_any_length_is_told_in_short() -> None:
    punch = owner(EARLY_A)
    punch.receive_datagram(response(error="x" * 9000), SERVER, 0.5)
    assert len(punch.error) == 256


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"m",
        SID.encode(),
        encode_message(LoginResp(error="no")),
        encode_message(NatHoleResp(sid="", client_addr="1.2.3.4:5", visitor_addr="1.2.3.4:5")),
        encode_message(
            NatHoleResp(
                sid="s" * (MAX_SID_CHARS + 1), client_addr="1.2.3.4:5", visitor_addr="1.2.3.4:5"
            )
        ),
        encode_message(NatHoleResp(sid=SID, error="x"))[:-1],
    ],
    ids=["nothing", "short", "sid", "another message", "no sid", "long sid", "cut"],
)
def test_what_is_no_answer_is_passed_over(junk: bytes) -> None:
    for punch in (visitor(EARLY_A), owner(EARLY_B)):
        punch.receive_datagram(junk, SERVER, 0.5)
        assert punch.state is State.ASKING


def test_an_owner_passes_over_the_answer_for_another_hole() -> None:
    punch = owner(EARLY_A)
    punch.receive_datagram(response(sid="other", visitor_addr="1.2.3.4:5"), SERVER, 0.5)
    assert punch.state is State.ASKING


def test_only_the_server_answers() -> None:
    answer = response(sid=SID, client_addr="1.2.3.4:5", visitor_addr="1.2.3.4:5")
    for punch in (visitor(EARLY_A), owner(EARLY_B)):
        for source in (STRANGER, (SERVER[0], SERVER[1] + 1)):
            punch.receive_datagram(answer, source, 0.5)
        assert punch.state is State.ASKING


@pytest.mark.parametrize(
    "text", ["", "1.2.3.4", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "name:5", "0.0.0.0:5"]
)
def test_an_answer_without_an_address_fails_at_once(text: str) -> None:
    for punch in (visitor(EARLY_A), owner(EARLY_B)):
        answer = response(sid=SID, client_addr=text, visitor_addr=text)
        punch.receive_datagram(answer, SERVER, 0.5)
        assert punch.state is State.FAILED
        assert "no address of a socket" in punch.error


@pytest.mark.parametrize("sid", ["", "s" * (MAX_SID_CHARS + 1)])
def test_an_owner_takes_no_sid_of_another_kind(sid: str) -> None:
    with pytest.raises(RemoteProtocolError):
        OwnerPunch("x", sid, SERVER, EARLY_A, 0.0)


def test_addresses_are_read_as_go_writes_them() -> None:
    assert parse_address("192.0.2.7:4711") == ("192.0.2.7", 4711)
    assert parse_address("[2001:db8::7]:4711") == ("2001:db8::7", 4711)


@pytest.mark.parametrize("text", ["[::]:5", "224.0.0.1:5", "[fe80::1%eth0]:5", "1.2.3.4:٣", "x"])
def test_nothing_else_is_an_address(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_address(text)


# Punching.


def test_a_visitor_of_a_sends_sids_that_die_and_waits_five_seconds() -> None:
    punch = punching_visitor(EARLY_A)
    sent = run(punch, 60.0)
    assert {datagram for _, datagram in sent} == {Datagram(SID.encode(), OWNER, DYING_TTL)}
    assert 12 < len(sent) < 20
    assert punch.state is State.FAILED
    assert "nothing came from the owner at 203.0.113.3:4003 within 5 s" in punch.error


def test_a_visitor_of_b_repeats_the_sid_for_eight_seconds() -> None:
    punch = punching_visitor(EARLY_B)
    sent = run(punch, 60.0)
    assert {datagram for _, datagram in sent} == {Datagram(SID.encode(), OWNER)}
    assert 20 < len(sent) < 30
    assert punch.state is State.FAILED
    assert "within 8 s" in punch.error


@BOTH
def test_a_visitor_takes_the_sid_from_wherever_it_comes(generation: str) -> None:
    punch = punching_visitor(generation)
    punch.datagrams_to_send()
    punch.receive_datagram(SID.encode(), STRANGER, 1.5)
    assert (punch.state, punch.peer) == (State.OPEN, STRANGER)
    last = SID.encode() if generation == EARLY_B else kcp_probe(0)
    assert punch.datagrams_to_send() == [Datagram(last, STRANGER)]
    assert punch.next_deadline() is None


@BOTH
def test_a_visitor_passes_over_all_else(generation: str) -> None:
    punch = punching_visitor(generation)
    for data in (b"", SID.encode()[:-1], SID.encode() + b"0", kcp_probe(0)):
        punch.receive_datagram(data, OWNER, 1.5)
    assert punch.state is State.PUNCHING


@BOTH
def test_an_owner_sends_at_its_generation_s_time(generation: str) -> None:
    punch = punching_owner(generation, now=1.0)
    assert punch.has_sent is (generation == EARLY_B)
    begin = 1.0 + OWNER_DELAY_SECONDS[generation]
    sent = run(punch, 60.0)
    whens = [when or 1.0 for when, datagram in sent if datagram.data == SID.encode()]
    assert whens[0] == begin
    assert len(set(whens)) == round(OWNER_WAITS_SECONDS / OWNER_TICK_SECONDS / 2)
    assert {datagram.to for _, datagram in sent} == {VISITOR}
    assert punch.state is State.FAILED
    assert "nothing came from the visitor at 198.51.100.2:4002 within 8 s" in punch.error


def test_an_owner_probes_only_after_some_sids_and_not_for_ever() -> None:
    sent = [datagram.data for _, datagram in run(punching_owner(EARLY_A), 60.0)]
    probes = [data for data in sent if data != SID.encode()]
    assert sent.index(probes[0]) == SIDS_BEFORE_A_PROBE + OWNER_FIRST_SIDS - 1
    assert len(probes) == len(set(probes)) == MAX_PROBES


def test_an_owner_echoes_the_sid_to_wherever_it_came_from() -> None:
    punch = punching_owner(EARLY_A)
    punch.datagrams_to_send()
    punch.receive_datagram(SID.encode(), STRANGER, 1.1)
    assert punch.datagrams_to_send() == [Datagram(SID.encode(), STRANGER)]
    assert (punch.state, punch.peer) == (State.PUNCHING, STRANGER)
    punch.receive_datagram(kcp_probe(0), VISITOR, 1.2)
    assert not is_open(punch)
    punch.receive_datagram(kcp_probe(0), STRANGER, 1.2)
    assert is_open(punch)


def test_an_owner_does_not_echo_for_ever() -> None:
    punch = punching_owner(EARLY_B)
    punch.datagrams_to_send()
    for _ in range(2 * MAX_ECHOES):
        punch.receive_datagram(SID.encode(), VISITOR, 1.1)
    assert len(punch.datagrams_to_send()) == MAX_ECHOES


def test_kcp_before_our_first_sid_is_not_believed() -> None:
    punch = punching_owner(EARLY_A)
    punch.receive_datagram(kcp_probe(0), VISITOR, 1.1)
    assert punch.state is State.PUNCHING


def test_nothing_happens_before_its_time() -> None:
    for punch in (visitor(EARLY_A), owner(EARLY_B), punching_visitor(EARLY_A)):
        punch.datagrams_to_send()
        punch.handle_deadline((punch.next_deadline() or 0.0) - 0.01)
        assert punch.datagrams_to_send() == []


def test_what_comes_when_it_is_over_changes_nothing() -> None:
    punch = punching_visitor(EARLY_B)
    run(punch, 60.0)
    punch.receive_datagram(SID.encode(), OWNER, 70.0)
    punch.handle_deadline(70.0)
    assert punch.state is State.FAILED
    assert punch.datagrams_to_send() == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from([SERVER, VISITOR, OWNER, STRANGER]),
            st.one_of(
                st.binary(max_size=60),
                st.sampled_from([SID.encode(), kcp_probe(0), response(sid=SID, error="no")]),
            ),
        ),
        max_size=60,
    )
)
def test_no_datagrams_make_it_send_much(datagrams: list[tuple[Address, bytes]]) -> None:
    for punch in (punching_visitor(EARLY_A), punching_owner(EARLY_B)):
        sent = len(punch.datagrams_to_send())
        for source, data in datagrams:
            punch.receive_datagram(data, source, 1.0)
            sent += len(punch.datagrams_to_send())
        assert sent <= MAX_ECHOES + OWNER_FIRST_SIDS


# Beside the punch.


def test_whoever_speaks_kcp_answers_a_probe_and_is_not_changed_by_it() -> None:
    peer = KcpConnection(CONVERSATION, now=0.0)
    for number in range(MAX_PROBES):
        assert is_kcp(kcp_probe(number))
        peer.receive_datagram(kcp_probe(number), 0.0)
        [answer] = peer.datagrams_to_send(0.0)
        assert is_kcp(answer)
    assert (peer.ignored, peer.readable_bytes, peer.next_deadline()) == (0, 0, None)


def test_a_probe_does_not_disturb_what_follows() -> None:
    peer, us = KcpConnection(CONVERSATION, now=0.0), KcpConnection(CONVERSATION, now=0.0)
    for number in range(MAX_PROBES):
        peer.receive_datagram(kcp_probe(number), 0.0)
    data = bytes(range(256)) * 40
    us.send(data)
    datagrams = us.datagrams_to_send(0.0)
    for index, datagram in enumerate(datagrams):
        if index != 3:  # its parity brings it back
            peer.receive_datagram(datagram, 0.0)
    assert peer.ignored == 0
    us.send(data)
    for datagram in us.datagrams_to_send(0.01):
        peer.receive_datagram(datagram, 0.01)
    assert peer.read(1 << 20) == data * 2


def test_a_sid_is_no_kcp() -> None:
    assert not is_kcp(SID.encode())
    peer = KcpConnection(CONVERSATION, now=0.0)
    peer.receive_datagram(SID.encode(), 0.0)
    assert peer.datagrams_to_send(0.0) == []


@pytest.mark.parametrize(
    ("start", "answer"),
    [
        (b"\0\1\0\1\0\0\0\1\0\0\0\0", True),
        (b"\0\0\0\1\0\0\0\1\0\0\0\5hello", True),
        (b"\0\1\0\1\0\0\0", None),
        (b"\0", None),
        (b"\0\0\0\1\0\0\0\3", False),
        (b"\0\0\0\x54\0\3\0\0", False),
        (b"SSH-2.0-", False),
    ],
)
def test_yamux_is_known_by_its_first_frame(start: bytes, answer: bool | None) -> None:
    assert begins_yamux(start) is answer
