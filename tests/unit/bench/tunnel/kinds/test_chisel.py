from __future__ import annotations

from pathlib import Path

from bench.tunnel.kinds.chisel import CHISEL
from tests.unit.bench.tunnel.kinds.tasks import ECHO, UDP, task


def test_the_client_asks_for_both_ways_in(tmp_path: Path) -> None:
    server, client = CHISEL.commands(task("it=chisel:", tmp_path, ECHO))
    assert server[:2] == ["chisel", "server"]
    assert "--reverse" in server
    assert client[-3:] == [
        "http://127.0.0.1:1",
        "R:127.0.0.1:7:127.0.0.1:3",
        "R:127.0.0.1:8:127.0.0.1:3",
    ]


def test_datagrams_are_asked_for_by_name(tmp_path: Path) -> None:
    _, client = CHISEL.commands(task("it=chisel:", tmp_path, UDP))
    assert client[-2:] == ["R:127.0.0.1:7:127.0.0.1:3", "R:127.0.0.1:8:127.0.0.1:3/udp"]
