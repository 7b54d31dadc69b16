from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.tunnel import backends
from bench.tunnel.backends import build_load, find_tools
from bench.tunnel.processes import MeasurementError, free_ports, listens, running, wait_until

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build_load("cc", tmp_path_factory.mktemp("load"))


@pytest.fixture(scope="module")
def services(load: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    echo, sink = free_ports(2)
    output = tmp_path_factory.mktemp("serve") / "serve.log"
    with running([load, "serve", str(echo), str(sink)], output) as child:
        wait_until(lambda: listens(sink), "a listening service", 5, [child])
        yield echo, sink


def answer(*command: object) -> dict[str, float]:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=True, timeout=20
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def test_missing_tools_are_named_with_their_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(backends, "PATH", str(tmp_path))
    with pytest.raises(MeasurementError, match="apt-get install gcc libc6-dev nginx-light wrk"):
        find_tools(["wrk", "nginx"], tmp_path)


@needs_compiler
@pytest.mark.parametrize("kind", ["rtt", "cps"])
def test_exchanges_report_rate_and_latency(load: str, services: tuple[int, int], kind: str) -> None:
    figures = answer(load, kind, services[0], 4, 64, 0.1)
    assert figures["count"] > 10
    assert figures["errors"] == 0
    assert 0 < figures["p50_us"] <= figures["p99_us"] < 1e6


@needs_compiler
@pytest.mark.parametrize("payload", ["text", "random"])
def test_pouring_ends_when_every_byte_has_arrived(
    load: str, services: tuple[int, int], payload: str
) -> None:
    figures = answer(load, "pour", services[1], 2, 0.1, payload)
    assert figures["bytes"] > 0
    assert figures["bytes"] % (1 << 20) == 0


@needs_compiler
def test_datagrams_report_rate_and_loss(load: str, services: tuple[int, int]) -> None:
    figures = answer(load, "udp", services[0], 2, 512, 0.1, 4)
    assert figures["count"] > 10
    assert figures["lost_pct"] == 0


@needs_compiler
def test_holding_tells_how_many_are_open_and_still_alive(
    load: str, services: tuple[int, int]
) -> None:
    done = subprocess.run(
        [load, "hold", str(services[0]), "150"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    held, alive = map(json.loads, done.stdout.splitlines())
    assert held["held"] == alive["alive"] == 150


@needs_compiler
def test_a_port_without_a_service_is_an_error(load: str) -> None:
    (port,) = free_ports(1)
    done = subprocess.run(
        [load, "pour", str(port), "1", "0.1", "text"], capture_output=True, check=False, timeout=20
    )
    assert done.returncode == 1
    assert b"refused" in done.stderr
