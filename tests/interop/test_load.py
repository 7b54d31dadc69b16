"""Real programs through pairs with one Go end: ssh and scp, nginx asked by wrk, iperf3."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.helpers.loads import checksum, iperf, make_file, scp, ssh, wrk
from tests.helpers.modes import MODES
from tests.helpers.services import Sshd, start_iperf, start_nginx, start_sshd
from tests.helpers.stage import WRAPPERS, Stage, Tunnel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.helpers.peers_go import GoPeer

    Record = Callable[[str, object], None]

GO_END = pytest.mark.parametrize("go_end", ["frpc", "frps"])
WRAPPED = pytest.mark.parametrize("wrapper", WRAPPERS)


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    stage = Stage(tmp_path_factory.mktemp("sshd"))
    try:
        yield start_sshd(stage)
    finally:
        stage.close()


@pytest.fixture(scope="module")
def gibibyte(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    path = make_file(tmp_path_factory.mktemp("gibibyte") / "source", 1024)
    yield path, checksum(path)
    path.unlink()


@pytest.fixture
def open_pair(
    stage: Stage, end_peer: GoPeer, go_end: str, mux: bool, wrapper: str
) -> Callable[[dict[str, int]], Tunnel]:
    """Start a pair for these services."""

    def start(services: dict[str, int]) -> Tunnel:
        return stage.tunnel(
            services,
            mux=mux,
            client=end_peer.client_settings(go_end),
            proxy=WRAPPERS[wrapper],
            folders=end_peer.folders(go_end),
        )

    return start


@pytest.mark.full
@pytest.mark.timeout(600)
@GO_END
@MODES
@WRAPPED
def test_scp_moves_a_gibibyte(
    sshd: Sshd,
    stage: Stage,
    gibibyte: tuple[Path, str],
    open_pair: Callable[[dict[str, int]], Tunnel],
    record_property: Record,
) -> None:
    source, digest = gibibyte
    port, copy = open_pair({"ssh": sshd.port}).ports["ssh"], stage.folder / "copy"
    assert ssh(sshd, port, "echo hello") == "hello\n"
    begun = time.monotonic()
    scp(sshd, port, f"{sshd.user}@127.0.0.1:{source}", str(copy))
    record_property("seconds", round(time.monotonic() - begun, 1))
    assert checksum(copy) == digest
    copy.unlink()


@pytest.mark.full
@pytest.mark.timeout(120)
@GO_END
@MODES
@WRAPPED
def test_nginx_and_iperf(
    stage: Stage,
    open_pair: Callable[[dict[str, int]], Tunnel],
    record_property: Record,
) -> None:
    tunnel = open_pair({"web": start_nginx(stage), "iperf": start_iperf(stage)})
    total, rate = 0, 0.0
    while total < 10_000:
        requests, rate = wrk(tunnel.ports["web"], 4)
        total += requests
    record_property("requests_per_second", rate)
    for name, reverse in (("in", False), ("out", True)):
        speed = iperf(tunnel.ports["iperf"], 2, reverse=reverse)
        record_property(f"gbit_per_second_{name}", round(speed, 2))
        assert speed > 0.05
