"""What a tunnel is made from, for tests that start none."""

from __future__ import annotations

from pathlib import Path

from bench.tunnel.implementations import parse_implementation
from bench.tunnel.kinds.kind import Task
from bench.tunnel.settings import Ports, Proxy, Setting

PORTS = Ports(bind=1, second=9, vhost=2, echo=3, sink=4, iperf=5, web=6, probe=7, entrance=8)
ECHO = Setting(Proxy("echo"))
UDP = Setting(Proxy("echo", kind="udp"))


def task(text: str, folder: Path, setting: Setting = ECHO) -> Task:
    return parse_implementation(text).task(setting, PORTS, folder)
