"""Metrics for Prometheus: what frps and frpc have in common, and how an answer is made.

prometheus_client is imported with this module, which happens when the first request comes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.registry import Collector

from frpd import __version__
from frpd.admin.machine import Machine
from frpd.admin.web_app import Reply
from frpd.selector_loop import LAG_BOUNDS, SelectorLoop

Rows = Iterable[tuple[tuple[str, ...], float]]
"""Values of labels, and the number that they stand for."""

TURN: Final = "How long turns of the event loop take; together, how long it was busy."
LAG: Final = "Seconds that the last turn of the event loop took longer than it should."


class _Families(Collector):
    """Makes them anew for each scrape.

    Args:
        families: yields them.
    """

    def __init__(self, families: Callable[[], Iterable[Metric]]) -> None:
        self._families = families

    def describe(self) -> Iterable[Metric]:
        """Nothing is known ahead."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return all of them, of one moment."""
        return self._families()


def answer(families: Callable[[], Iterable[Metric]]) -> Reply:
    """Return the answer to a scrape."""
    registry = CollectorRegistry()
    registry.register(_Families(families))
    return Reply(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def gauge(name: str, text: str, rows: Rows, labels: tuple[str, ...] = ()) -> Metric:
    """Return a family of values that go up and down."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def one(name: str, text: str, number: float) -> Metric:
    """Return a gauge without labels."""
    return gauge(name, text, [((), number)])


def counter(name: str, text: str, rows: Rows, labels: tuple[str, ...] = ()) -> Metric:
    """Return a family of values that only grow; ``_total`` is put behind the name."""
    family = CounterMetricFamily(name, text, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def untyped(name: str, text: str, rows: Rows, labels: tuple[str, ...]) -> Metric:
    """Return a family under a name that a counter must not have: frp's have no ``_total``."""
    family = UnknownMetricFamily(name, text, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def program(name: str, started_at: float, now: float) -> Iterator[Metric]:
    """Yield which program this is, and since when it runs."""
    labels = ("program", "version")
    yield gauge("frpd_build_info", "Which program this is.", [((name, __version__), 1)], labels)
    yield one("frpd_start_time_seconds", "When it was started, Unix time.", started_at)
    yield one("frpd_uptime_seconds", "For how long it runs.", max(0.0, now - started_at))


def loop_figures(loop: SelectorLoop) -> Callable[[], Iterator[Metric]]:
    """Return what yields how the loop does, as it is now. Loop thread only."""
    lag, worst, turns = loop.lag_seconds, loop.worst_lag_seconds, loop.turns
    watches, timers = loop.watch_count, loop.timer_count
    slow, busy = list(loop.slow_turns), loop.busy_seconds

    def families() -> Iterator[Metric]:
        yield one("frpd_loop_lag_seconds", LAG, lag)
        yield one("frpd_loop_worst_lag_seconds", "The most that this ever was.", worst)
        yield _turn_times(turns, slow, busy)
        yield counter("frpd_loop_turns", "Turns of the event loop.", [((), turns)])
        yield one("frpd_loop_watches", "Descriptors that it watches.", watches)
        yield one("frpd_loop_timers", "Timers that it keeps.", timers)

    return families


def _turn_times(turns: int, slow: list[int], busy: float) -> Metric:
    family = HistogramMetricFamily("frpd_loop_turn_seconds", TURN)
    up_to = itertools.accumulate([turns - sum(slow), *slow])
    bounds = [*map(str, LAG_BOUNDS), "+Inf"]
    family.add_metric((), list(zip(bounds, up_to, strict=True)), busy)
    return family


def process(machine: Machine) -> Iterator[Metric]:
    """Yield what the process uses, if that is known."""
    own = machine.process()
    if own is None:
        return
    yield one("frpd_open_fds", "Open file descriptors.", _float(own["fds"]))
    yield one("frpd_max_fds", "How many there may be.", _float(own["fd_limit"]))
    yield one("frpd_resident_memory_bytes", "Memory in use.", _float(own["rss"]))
    yield one("frpd_threads", "Threads of the process.", _float(own["threads"]))


def _float(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)
