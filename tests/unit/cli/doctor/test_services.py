"""The local services of frpc."""

from __future__ import annotations

import errno
import socket

import pytest

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Verdict
from frpd.cli.doctor.own_loop import Dialed, Place
from frpd.cli.doctor.services import (
    LocalService,
    check_services,
    judge_services,
    local_services,
)
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.params import Params
from frpd.config.proxies import TcpProxyConfig, UdpProxyConfig
from tests.helpers.ports import free_port

WEB = LocalService("web", Place("127.0.0.1", 80))


def tcp(name: str, port: int, **fields: object) -> TcpProxyConfig:
    return TcpProxyConfig(name=f"me.{name}", section=name, local_port=port, **fields)  # type: ignore[arg-type]


def case_of(*proxies: TcpProxyConfig | UdpProxyConfig) -> Case:
    case = Case("frpc")
    case.client = ClientSetup(common=ClientConfig(), proxies=proxies)
    return case


@pytest.mark.parametrize(
    ("code", "found", "remedy"),
    [
        (errno.ECONNREFUSED, "nothing listens at 127.0.0.1:80", "start that service"),
        (errno.ETIMEDOUT, "does not answer", "firewall"),
        (0, "odd", "correct the address"),
    ],
)
def test_a_service_that_is_down_is_a_fault(code: int, found: str, remedy: str) -> None:
    (finding,) = judge_services([(WEB, Dialed("odd", code))])
    assert finding.verdict is Verdict.FAULT
    assert finding.found.startswith("the local service of proxy web is down")
    assert found in finding.found
    assert remedy in finding.remedy


def test_those_that_answer_are_counted() -> None:
    down, up = judge_services([(WEB, Dialed()), (WEB, Dialed("odd", 1))])
    assert down.verdict is Verdict.FAULT
    assert up.found == "1 of 2 local services take connections"
    assert list(judge_services([])) == []


def test_plugins_have_services_elsewhere_or_none_and_datagrams_are_left_out() -> None:
    case = case_of(
        tcp("a", 22),
        tcp("b", 0, plugin="unix_domain_socket", plugin_params=Params({"plugin_unix_path": "/s"})),
        tcp("c", 0, plugin="https2http", plugin_params=Params({"plugin_local_addr": "[::1]:80"})),
        tcp("d", 0, plugin="socks5"),
        UdpProxyConfig(name="e", section="e", local_port=53),
    )
    assert case.client is not None
    assert [(one.proxy, one.where) for one in local_services(case.client)] == [
        ("a", "127.0.0.1:22"),
        ("b", "/s"),
        ("c", "[::1]:80"),
    ]


def test_each_service_is_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as up:
        case = case_of(tcp("up", up.getsockname()[1]), tcp("down", free_port()))
        down, count = check_services(case)
    assert "proxy down is down" in down.found
    assert count.verdict is Verdict.OK
    assert list(check_services(Case("frps"))) == []
