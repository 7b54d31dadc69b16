"""The ports that a program wants."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Verdict
from frpd.cli.doctor.ports import (
    Tried,
    Wanted,
    check_ports,
    judge_port,
    ports_of_client,
    ports_of_server,
    try_port,
)
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.server import ServerConfig
from frpd.config.visitors import StcpVisitorConfig
from tests.helpers.ports import free_port

PORT = Wanted("bind_port", "0.0.0.0", 7000)
TAKEN = Tried(errno.EADDRINUSE, "nginx (pid 80)")


@pytest.mark.parametrize(
    ("tried", "pid", "verdict", "found", "remedy"),
    [
        (Tried(), 0, Verdict.OK, "is free", ""),
        (Tried(), 7, Verdict.WARNING, "does not listen", "frpd-ctl reload"),
        (TAKEN, 0, Verdict.FAULT, "held by nginx (pid 80)", "choose another bind_port"),
        (TAKEN, 7, Verdict.FAULT, "held by nginx (pid 80)", "stop that process"),
        (TAKEN, 80, Verdict.OK, "own", ""),
        (
            Tried(errno.EADDRINUSE, "frps (pid 9)"),
            0,
            Verdict.WARNING,
            "may be that",
            "if it is not",
        ),
        (Tried(errno.EADDRINUSE, "frps (pid 9)"), 7, Verdict.FAULT, "frps (pid 9)", "stop that"),
        (Tried(errno.EADDRINUSE), 7, Verdict.OK, "is taken", ""),
        (Tried(errno.EADDRINUSE), 0, Verdict.FAULT, "only root can see", "another bind_port"),
        (Tried(errno.EACCES), 0, Verdict.WARNING, "this user", "systemd"),
        (Tried(errno.EADDRNOTAVAIL), 0, Verdict.FAULT, "no such address", "0.0.0.0"),
        (Tried(errno.EIO), 0, Verdict.FAULT, "input/output error", "correct"),
    ],
)
def test_a_port_is_judged_by_who_has_it(
    tried: Tried, pid: int, verdict: Verdict, found: str, remedy: str
) -> None:
    finding = judge_port("frps", PORT, tried, pid)
    assert finding.verdict is verdict
    assert found in finding.found
    assert remedy in finding.remedy


def test_whoever_has_the_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        tried = try_port(Wanted("bind_port", "127.0.0.1", taken.getsockname()[1]))
    assert tried.error == errno.EADDRINUSE
    assert tried.holder.endswith(f"(pid {os.getpid()})")
    assert try_port(Wanted("bind_port", "127.0.0.1", free_port())) == Tried()


def test_a_server_wants_its_entrances_and_the_dashboard() -> None:
    config = ServerConfig(
        proxy_bind_addr="0.0.0.0", vhost_http_port=80, vhost_https_port=7000, dashboard_port=7500
    )
    assert [(one.key, one.port) for one in ports_of_server(config)] == [
        ("bind_port", 7000),
        ("vhost_http_port", 80),
        ("dashboard_port", 7500),
    ]


def test_a_client_wants_its_api_and_its_visitors() -> None:
    visitors = (
        StcpVisitorConfig(name="v", section="v", server_name="x", bind_port=6000),
        StcpVisitorConfig(name="w", section="w", server_name="x", bind_port=-1),
    )
    setup = ClientSetup(common=ClientConfig(admin_port=7400), visitors=visitors)
    assert [(one.key, one.port) for one in ports_of_client(setup)] == [
        ("admin_port", 7400),
        ("bind_port of [v]", 6000),
    ]


def test_each_port_of_the_file_is_tried() -> None:
    case = Case("frpc")
    assert list(check_ports(case)) == []
    case.client = ClientSetup(common=ClientConfig(admin_port=free_port()))
    assert [one.verdict for one in check_ports(case)] == [Verdict.OK]
