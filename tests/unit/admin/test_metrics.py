"""frpd.admin.metrics: families, and the text that a scrape gets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client.metrics_core import Metric

from frpd import __version__
from frpd.admin.machine import Machine
from frpd.admin.metrics import (
    answer,
    counter,
    gauge,
    loop_figures,
    one,
    process,
    program,
    untyped,
)
from tests.helpers.world import World


def text(families: list[Metric]) -> str:
    body = answer(lambda: families).body
    assert isinstance(body, bytes)
    return body.decode()


def test_every_kind_of_family_is_told_with_its_help() -> None:
    families = [
        gauge("g", "Goes up.", [(("a", "b"), 1.5)], ("x", "y")),
        one("o", "Only one.", True),
        counter("c", "Grows.", [((), 7)]),
        untyped("u_in", "As in frp.", [(('w"eb',), 2)], ("name",)),
    ]
    assert text(families).splitlines() == [
        "# HELP g Goes up.",
        "# TYPE g gauge",
        'g{x="a",y="b"} 1.5',
        "# HELP o Only one.",
        "# TYPE o gauge",
        "o 1.0",
        "# HELP c_total Grows.",
        "# TYPE c_total counter",
        "c_total 7.0",
        "# HELP u_in As in frp.",
        "# TYPE u_in untyped",
        'u_in{name="w\\"eb"} 2.0',
    ]


def test_each_scrape_asks_anew() -> None:
    asked: list[int] = []

    def families() -> Iterator[Metric]:
        asked.append(len(asked))
        yield one("x", "X.", len(asked))

    for count in (1, 2):
        reply = answer(families)
        assert str(reply.body).count(f"x {count}.0") == 1
        assert reply.content_type.startswith("text/plain; version=")
    assert asked == [0, 1]


def test_a_program_its_process_and_its_loop(world: World) -> None:
    families = [
        *program("frps", 100.0, 160.0),
        *loop_figures(world.loop)(),
        *process(Machine()),
    ]
    lines = text(families).splitlines()
    assert f'frpd_build_info{{program="frps",version="{__version__}"}} 1.0' in lines
    assert "frpd_uptime_seconds 60.0" in lines
    assert any(line.startswith("frpd_loop_turns_total ") for line in lines)
    assert any(line.startswith("frpd_open_fds ") for line in lines)


def test_turns_of_the_loop_are_a_histogram(world: World) -> None:
    loop = world.loop
    loop.call_soon(world.clock.advance, 9.0)
    loop.call_soon(loop.call_soon, loop.stop)
    loop.run()
    lines = text([*loop_figures(world.loop)()]).splitlines()
    for bound, count in (("0.001", 1), ("2.5", 1), ("+Inf", 2)):
        assert f'frpd_loop_turn_seconds_bucket{{le="{bound}"}} {count}.0' in lines
    [total] = [line for line in lines if line.startswith("frpd_loop_turn_seconds_sum ")]
    assert float(total.split()[1]) == pytest.approx(9.0)
