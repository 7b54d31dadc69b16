"""Which part limits a connection that does not get on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from frpd.cli.doctor.finding import Verdict
from frpd.cli.doctor.flows import SHOWN, Flow, Limit, Link, judge_flows
from frpd.cli.doctor.sockets import SocketFacts

SECONDS = 1.5
QUIET = SocketFacts(("127.0.0.1", 7000), ("192.0.2.1", 5))


def link(**after: Any) -> Link:
    """Return a connection whose queues are as long as before."""
    queues = {name: value for name, value in after.items() if name in ("unsent", "unread")}
    return Link(replace(QUIET, **queues), replace(QUIET, **after))


IDLE = link()
BY_WINDOW = link(unsent=1000, busy_us=1_500_000, window_us=1_400_000)
BY_PROBES = link(unsent=1000, window_probes=3)
BY_NETWORK = link(unsent=1000, busy_us=1_500_000, retransmits=9, rtt_us=80_000)
UNREAD = link(unread=1000)
FAST = link(unsent=1000, acked=10_000_000)


@pytest.mark.parametrize(
    ("program", "near", "trunk", "found"),
    [
        ("frps", BY_WINDOW, IDLE, "its own window limits"),
        ("frps", BY_PROBES, None, "its own window limits"),
        ("frps", BY_NETWORK, IDLE, "the network between it and frps limits (round trip 80 ms, 9"),
        ("frps", UNREAD, IDLE, "the local service limits"),
        ("frps", UNREAD, BY_WINDOW, "frpc limits"),
        ("frps", UNREAD, BY_NETWORK, "the network between frps and frpc limits"),
        ("frpc", BY_WINDOW, IDLE, "the local service 192.0.2.1:5 limits"),
        ("frpc", UNREAD, IDLE, "the visitor limits"),
        ("frpc", UNREAD, BY_WINDOW, "frps limits"),
        ("frpc", UNREAD, BY_NETWORK, "the network between frps and frpc limits"),
    ],
)
def test_queues_point_at_the_part_that_limits(
    program: str, near: Link, trunk: Link | None, found: str
) -> None:
    (finding,) = judge_flows(program, [Flow("web", near, trunk)], SECONDS, 0.1)
    assert finding.verdict is Verdict.FAULT
    assert "of proxy web" in finding.found
    assert found in finding.found
    assert finding.remedy


@pytest.mark.parametrize("program", ["frps", "frpc"])
def test_a_queue_that_drains_and_a_visitor_that_thinks_are_fine(program: str) -> None:
    flows = [Flow("web", FAST), Flow("ssh", IDLE), Flow("up", link(unread=9, received=9_999_999))]
    (finding,) = judge_flows(program, flows, SECONDS, None)
    assert finding.found == "3 connections run, and none is held up"


def test_bytes_that_were_there_only_once_are_no_queue() -> None:
    assert not Link(QUIET, replace(QUIET, unsent=1000)).sends_slowly(SECONDS)


def test_a_busy_cpu_is_told_first() -> None:
    cpu, held = judge_flows("frps", [Flow("web", BY_WINDOW)], SECONDS, 0.97)
    assert cpu.found == "the CPU limits: frps uses 97% of one"
    assert held.verdict is Verdict.FAULT


def test_a_long_list_is_cut() -> None:
    findings = list(judge_flows("frps", [Flow("web", UNREAD)] * (SHOWN + 2), SECONDS, 0.0))
    assert len(findings) == SHOWN + 1
    assert findings[-1].found.startswith("2 more")


def test_without_signs_of_a_window_it_is_the_network() -> None:
    assert BY_NETWORK.limit() is Limit.NETWORK
    assert BY_WINDOW.limit() is Limit.WINDOW


def test_an_ipv6_peer_is_written_as_people_do() -> None:
    facts = replace(QUIET, remote=("2001:db8::1", 5))
    assert Flow("web", Link(facts, facts)).peer == "[2001:db8::1]:5"
