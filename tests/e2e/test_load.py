"""Real programs that load the tunnel: nginx asked by wrk, and iperf3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.loads import iperf, wrk
from tests.helpers.modes import MODES
from tests.helpers.services import start_iperf, start_nginx
from tests.helpers.stage import WRAPPERS, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    Record = Callable[[str, object], None]


def test_wrk_gets_every_answer_of_nginx(stage: Stage, record_property: Record) -> None:
    tunnel = stage.tunnel({"web": start_nginx(stage)})
    requests, rate = wrk(tunnel.ports["web"], 2)
    record_property("requests_per_second", rate)
    assert requests > 100


@pytest.mark.parametrize("reverse", [False, True], ids=["in", "out"])
def test_iperf_runs_through_the_tunnel(
    stage: Stage, reverse: bool, record_property: Record
) -> None:
    tunnel = stage.tunnel({"iperf": start_iperf(stage)})
    speed = iperf(tunnel.ports["iperf"], 1, reverse=reverse)
    record_property("gbit_per_second", round(speed, 2))
    assert speed > 0.05


@pytest.mark.full
@pytest.mark.timeout(120)
@pytest.mark.parametrize("wrapper", WRAPPERS)
@MODES
def test_nginx_serves_ten_thousand_requests_and_none_fails(
    stage: Stage, mux: bool, wrapper: str, record_property: Record
) -> None:
    tunnel = stage.tunnel({"web": start_nginx(stage)}, mux=mux, proxy=WRAPPERS[wrapper])
    total, rates = 0, []
    while total < 10_000:
        requests, rate = wrk(tunnel.ports["web"], 5)
        total += requests
        rates.append(rate)
    record_property("requests", total)
    record_property("requests_per_second", rates)


@pytest.mark.full
@pytest.mark.timeout(120)
@pytest.mark.parametrize("wrapper", WRAPPERS)
@MODES
def test_iperf_runs_both_directions(
    stage: Stage, mux: bool, wrapper: str, record_property: Record
) -> None:
    tunnel = stage.tunnel({"iperf": start_iperf(stage)}, mux=mux, proxy=WRAPPERS[wrapper])
    for name, reverse in (("in", False), ("out", True)):
        speed = iperf(tunnel.ports["iperf"], 4, reverse=reverse)
        record_property(f"gbit_per_second_{name}", round(speed, 2))
        assert speed > 0.05
