"""frpd.metrics.history: totals become what came in each interval."""

from __future__ import annotations

from frpd.metrics.history import INTERVALS, History


def test_nothing_is_known_at_first() -> None:
    view = History(60.0, 1000.0).view()
    assert (view.bytes_in, view.bytes_out, view.connections) == ((), (), ())
    assert (view.interval_seconds, view.begins_at) == (60.0, 1000.0)


def test_each_interval_has_what_came_in_it() -> None:
    history = History(60.0, 1000.0)
    history.note(10, 1, 1, 1060.0)
    history.note(10, 3, 4, 1120.0)
    view = history.view()
    assert (view.bytes_in, view.bytes_out, view.connections) == ((10, 0), (1, 2), (1, 3))
    assert view.begins_at == 1000.0


def test_the_oldest_goes() -> None:
    history = History(60.0, 0.0)
    for minute in range(1, INTERVALS + 3):
        history.note(minute * minute, 0, 0, minute * 60.0)
    view = history.view()
    assert len(view.bytes_in) == INTERVALS
    assert (view.bytes_in[0], view.begins_at) == (2 * 2 + 1, 120.0)
