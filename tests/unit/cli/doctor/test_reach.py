"""DNS and the way to the server."""

from __future__ import annotations

import errno
import socket

import pytest

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Verdict
from frpd.cli.doctor.own_loop import Dialed
from frpd.cli.doctor.reach import check_dns, check_reach, judge_dial, judge_lookup, next_hop
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.secret import Secret
from frpd.config.upstream import UpstreamProxy
from frpd.net.resolver import Addresses
from tests.helpers.ports import free_port

WHERE = "example.com:7000"


def test_addresses_are_shown_once_each() -> None:
    found: Addresses = [
        (socket.AF_INET, ("192.0.2.1", 1)),
        (socket.AF_INET, ("192.0.2.1", 1)),
        (socket.AF_INET6, ("2001:db8::1", 1, 0, 0)),
        (socket.AF_INET, ("192.0.2.3", 1)),
        (socket.AF_INET, ("192.0.2.4", 1)),
    ]
    finding = judge_lookup("example.com", found, "")
    assert finding.verdict is Verdict.OK
    assert finding.found == "example.com is 192.0.2.1, 2001:db8::1, 192.0.2.3 and 1 more"


@pytest.mark.parametrize(
    ("server", "remedy"), [("", "/etc/resolv.conf"), ("192.0.2.9", "192.0.2.9")]
)
def test_a_name_that_is_not_found_is_a_fault(server: str, remedy: str) -> None:
    finding = judge_lookup("example.com", "lookup example.com: no such host", server)
    assert finding.verdict is Verdict.FAULT
    assert finding.found.startswith("DNS fails")
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    ("code", "found", "remedy"),
    [
        (errno.ECONNREFUSED, "refuses", "start frps"),
        (errno.ETIMEDOUT, "firewall on the way drops the packets silently", "firewalls"),
        (errno.EHOSTUNREACH, "no way", "routes"),
        (errno.EPERM, "forbids", "own firewall"),
        (0, "cannot be reached (odd)", "server_addr"),
    ],
)
def test_each_way_to_fail_has_its_remedy(code: int, found: str, remedy: str) -> None:
    finding = judge_dial(WHERE, Dialed("odd", code))
    assert finding.verdict is Verdict.FAULT
    assert found in finding.found
    assert remedy in finding.remedy


def case_of(**common: object) -> Case:
    case = Case("frpc")
    case.client = ClientSetup(common=ClientConfig(**common))  # type: ignore[arg-type]
    return case


def test_a_proxy_on_the_way_is_whom_frpc_dials() -> None:
    proxy = UpstreamProxy("http", "proxy.example", 3128, "", Secret())
    assert next_hop(ClientConfig(server_addr="a", upstream=proxy)) == ("proxy.example", 3128)


def test_who_answers_is_ok_and_who_refuses_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as service:
        case = case_of(server_addr="127.0.0.1", server_port=service.getsockname()[1])
        assert [one.verdict for one in check_reach(case)] == [Verdict.OK]
        assert case.can_reach
    case = case_of(server_addr="127.0.0.1", server_port=free_port())
    (finding,) = check_reach(case)
    assert "nothing listens" in finding.found
    assert not case.can_reach


def test_an_address_needs_no_dns() -> None:
    assert list(check_dns(case_of(server_addr="127.0.0.1"))) == []


def test_where_dns_fails_nobody_is_dialled() -> None:
    case = case_of(server_addr="localhost", server_port=free_port())
    assert [one.verdict for one in check_dns(case)] == [Verdict.OK]
    case.can_reach = False
    assert list(check_reach(case)) == []


@pytest.mark.parametrize("protocol", ["kcp", "quic"])
def test_who_goes_by_udp_is_not_dialled_by_tcp(protocol: str) -> None:
    case = Case("frpc")
    config = ClientConfig(server_addr="127.0.0.1", server_port=free_port(), protocol=protocol)
    case.client = ClientSetup(common=config)
    assert list(check_reach(case)) == []
    assert case.can_reach
