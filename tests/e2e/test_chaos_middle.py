"""Chaos in the middle: boxes that hold, drip, cut and reset, NATs that forget, paths that shrink.

All under traffic whose every byte is checked; see test_chaos_networks for wires that are cut.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import dns.message
import dns.rdatatype
import dns.rrset
import pytest

from tests.e2e.test_chaos_networks import (
    BACK_SECONDS,
    EACH,
    LONG_SECONDS,
    PATIENT,
    SHORT_SECONDS,
    SPARE_FILES,
    back,
    pause,
)
from tests.helpers.programs import need_tool, wait_until
from tests.helpers.udp import UdpService
from tests.helpers.visitors import exchange
from tests.helpers.wire import inside, need_wires
from tests.helpers.wired import BIND_PORT, SERVER, Wired, wired

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helpers.stage import Stage

    Record = Callable[[str, object], None]

# Of connections that our own visitors give up halfway asyncio leaves some to the collector.
pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

OVER_TCP = pytest.mark.parametrize("carrier", ["mux", "direct", "tls", "websocket"])
OVER_UDP = ("kcp", "quic")
BEHIND = {"server_addr": "127.0.0.1"}
"""The client reaches its server by a middle box."""
NAME = "frps.test"
MOVED = "192.0.2.9"
# From the moment that this holds every flow leaves from another port than it did before.
_NAT = """
table ip nat {
    chain out { type nat hook postrouting priority srcnat; oifname "wire0" masquerade random; }
    chain in { type filter hook input priority filter; iifname "wire0" ct state new drop; }
}
"""
_REFUSE = """
table ip refuse {{
    chain in {{
        type filter hook input priority filter; iifname "wire0" {what} reject with {how};
    }}
}}
"""
_UNDO = ("delete", "table", "ip", "refuse")


@pytest.fixture(autouse=True)
def _wires() -> None:
    need_wires()


def nft(lab: Wired, namespace: str, rules: str) -> None:
    lab.command(namespace, need_tool("nft"), "-f", "-", told=rules)


@OVER_TCP
@pytest.mark.parametrize("mood", ["hold", "forget", "drip"])
def test_a_box_that_keeps_connections_and_hands_nothing_on_is_noticed(
    stage: Stage, carrier: str, mood: str, record_property: Record
) -> None:
    with wired(stage, carrier, client=BEHIND, before=Wired.place_box) as lab:
        first = lab.rest()
        assert lab.box is not None
        with lab.visit() as visitor:
            lab.box.mood = mood
            pause(LONG_SECONDS)
            if carrier != "direct":  # there a quiet connection of its own is as good as ever
                lab.until_over(visitor, BACK_SECONDS)
        lab.box.mood = "pass"
        back(lab, record_property)
        record_property("grown", lab.check_leaks(first, SPARE_FILES))


@OVER_TCP
@pytest.mark.parametrize("mood", ["cut", "half"])
def test_a_box_that_ends_connections_in_the_middle_of_a_frame_is_got_over(
    stage: Stage, carrier: str, mood: str, record_property: Record
) -> None:
    with wired(stage, carrier, client=BEHIND, before=Wired.place_box) as lab:
        first = lab.rest()
        assert lab.box is not None
        with lab.visit() as visitor:
            lab.box.mood = mood
            visitor.sendall(b"half of this")
            visitor.setblocking(False)
            record_property("seconds_until_heard", round(lab.until_over(visitor, BACK_SECONDS), 1))
            pause(SHORT_SECONDS)
        lab.box.mood = "pass"
        back(lab, record_property)
        record_property("grown", lab.check_leaks(first, SPARE_FILES))


# Not kcp and quic: a kernel that maps its own datagrams, and then cuts the batches that we hand
# it (UDP_SEGMENT), may put wrong checksums into the parts; another machine's NAT sees parts only.
@OVER_TCP
def test_a_nat_that_forgets_its_mappings_is_got_over(
    stage: Stage, carrier: str, record_property: Record
) -> None:
    with wired(stage, carrier) as lab:
        first = lab.rest()
        with lab.visit():
            nft(lab, lab.client, _NAT)
            back(lab, record_property)
        record_property("logins", lab.logins())
        record_property("grown", lab.check_leaks(first, SPARE_FILES))


@EACH
def test_refusals_on_the_way_are_got_over(
    stage: Stage, carrier: str, record_property: Record
) -> None:
    what, how = f"tcp dport {BIND_PORT}", "tcp reset"
    if carrier in OVER_UDP:
        what, how = "meta l4proto udp", "icmp type port-unreachable"
    with wired(stage, carrier) as lab:
        first = lab.rest()
        with lab.visit() as visitor:
            nft(lab, lab.server, _REFUSE.format(what=what, how=how))
            record_property("seconds_until_heard", round(lab.until_over(visitor, BACK_SECONDS), 1))
            lab.command(lab.server, need_tool("nft"), *_UNDO)
            back(lab, record_property)
        record_property("grown", lab.check_leaks(first, SPARE_FILES))


@EACH
def test_hosts_said_to_be_unreachable_for_a_moment_are_waited_for(
    stage: Stage, carrier: str, record_property: Record
) -> None:
    with wired(stage, carrier, server=PATIENT, client=PATIENT) as lab, lab.visit() as visitor:
        rules = _REFUSE.format(what="", how="icmp type host-unreachable")
        nft(lab, lab.server, rules)
        visitor.sendall(b"still there?")
        pause(SHORT_SECONDS)
        lab.command(lab.server, need_tool("nft"), *_UNDO)
        assert visitor.recv(100) == b"still there?"
        back(lab, record_property)
        assert lab.logins() == 1


@pytest.mark.parametrize("carrier", ["mux", "tls", "quic"])
def test_a_path_that_silently_drops_large_packets_is_measured_out(
    stage: Stage, carrier: str, record_property: Record
) -> None:
    if carrier == "quic":
        pytest.importorskip("aioquic")
    with wired(stage, carrier, server=PATIENT, client=PATIENT) as lab, lab.visit() as visitor:
        if carrier != "quic":  # else the kernel sends what is too large for ever
            for end in (lab.client, lab.server):
                lab.command(end, "sysctl", "-qw", "net.ipv4.tcp_mtu_probing=1")
        lab.wire.be(largest=1280)
        data = bytes(range(256)) * 1000
        begun = time.monotonic()
        assert exchange(visitor, data, 90) == data
        record_property("seconds_for_256_kb", round(time.monotonic() - begun, 1))
        back(lab, record_property)
        assert lab.logins() == 1


def test_a_server_whose_name_has_moved_is_found(stage: Stage, record_property: Record) -> None:
    addresses = [SERVER]

    def answer(question: bytes) -> bytes:
        query = dns.message.from_wire(question)
        asked = query.question[0]
        reply = dns.message.make_response(query)
        if asked.rdtype == dns.rdatatype.A:
            reply.answer.append(dns.rrset.from_text(asked.name, 300, "IN", "A", addresses[-1]))
        return reply.to_wire()

    client = {"server_addr": NAME, "dns_server": "127.0.0.1:17053"}
    with wired(stage, "mux", client=client, before=lambda lab: _serve_names(lab, answer)) as lab:
        first = lab.rest()
        lab.programs["frps"].kill()
        lab.ip(lab.server, f"address del {SERVER}/24 dev wire0")
        lab.ip(lab.server, f"address add {MOVED}/24 dev wire0")
        wait_until(
            lambda: lab.programs["frpc"].count("login to server failed"), "a try at the old place"
        )
        addresses.append(MOVED)
        lab.start("frps")
        back(lab, record_property)
        del first["frps"]  # another process
        record_property("grown", lab.check_leaks(first, SPARE_FILES))


def _serve_names(lab: Wired, answer: Callable[[bytes], bytes]) -> None:
    service = inside(lab.client, lambda: UdpService(answer, port=17053))
    lab.stack.callback(service.close)
