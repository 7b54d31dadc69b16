"""frpd.metrics.statistics: bytes by day, proxies that come back, and bounds."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from frpd.metrics.counters import ProxyCounters
from frpd.metrics.statistics import DAY_SECONDS, DAYS, ProxyFigures, Statistics, local_day

# Some day, at 12:00 UTC.
NOON = 1_800_014_400.0 // DAY_SECONDS * DAY_SECONDS + DAY_SECONDS / 2


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def start(
    books: Statistics, name: str = "web", proxy_type: str = "tcp", now: float = NOON
) -> ProxyCounters:
    counters = books.counters(name, proxy_type)
    books.proxy_started(name, proxy_type, counters, run_id="run", now=now)
    return counters


def only(books: Statistics, now: float = NOON) -> ProxyFigures:
    (figures,) = books.figures(now)
    return figures


def test_a_proxy_is_listed_with_nothing_at_first() -> None:
    books = Statistics(NOON)
    start(books)
    figures = only(books)
    assert (figures.name, figures.proxy_type, figures.run_id) == ("web", "tcp", "run")
    assert (figures.is_online, figures.started_at, figures.closed_at) == (True, NOON, 0.0)
    assert figures.traffic_in == figures.traffic_out == (0,) * DAYS


def test_connections_count_while_they_run_and_once() -> None:
    books = Statistics(NOON)
    counters = start(books)
    counters.opened()
    books.sample({"web": (100, 1000)}, NOON)
    assert (only(books).traffic_in[0], only(books).traffic_out[0]) == (100, 1000)
    assert only(books).connections_open == 1
    books.sample({"web": (150, 1000)}, NOON)
    counters.closed(160, 1200)
    books.sample({}, NOON)
    books.sample({}, NOON)
    assert (only(books).traffic_in[0], only(books).traffic_out[0]) == (160, 1200)
    assert (only(books).bytes_in, only(books).bytes_out) == (160, 1200)
    assert (only(books).connections_open, only(books).connections_total) == (0, 1)
    assert books.total(NOON)[1][0] == 1200


def test_bytes_count_on_the_day_on_which_they_passed() -> None:
    books = Statistics(NOON)
    counters = start(books)
    counters.bytes_in = 10
    books.sample({}, NOON)
    counters.bytes_in = 15
    tomorrow = NOON + DAY_SECONDS
    books.sample({}, tomorrow)
    assert only(books, tomorrow).traffic_in[:3] == (5, 10, 0)
    assert books.total(tomorrow)[0][:3] == (5, 10, 0)


def test_after_a_week_without_traffic_all_days_are_empty_and_the_sum_stays() -> None:
    books = Statistics(NOON)
    counters = start(books)
    counters.bytes_out = 10
    books.sample({}, NOON)
    later = NOON + DAYS * DAY_SECONDS
    assert only(books, later - DAY_SECONDS).traffic_out == (0,) * (DAYS - 1) + (10,)
    assert only(books, later).traffic_out == (0,) * DAYS
    assert only(books, later).bytes_out == 10


def test_a_clock_that_is_set_back_moves_no_days() -> None:
    books = Statistics(NOON)
    counters = start(books)
    counters.bytes_in = 10
    books.sample({}, NOON)
    counters.bytes_in = 12
    books.sample({}, NOON - 3 * DAY_SECONDS)
    assert only(books).traffic_in[:2] == (12, 0)


def test_days_begin_at_local_midnight(monkeypatch: pytest.MonkeyPatch) -> None:
    midnight = NOON - DAY_SECONDS / 2
    assert local_day(midnight) == local_day(NOON) == local_day(midnight - 1) + 1
    monkeypatch.setenv("TZ", "Etc/GMT-8")
    time.tzset()
    shanghai = midnight - 8 * 3600
    assert local_day(shanghai) == local_day(shanghai - 1) + 1


def test_a_proxy_that_comes_back_goes_on_with_its_figures() -> None:
    books = Statistics(NOON)
    counters = start(books)
    counters.bytes_in = 10
    books.proxy_closed("web", NOON + 5)
    assert (only(books).is_online, only(books).closed_at) == (False, NOON + 5)
    books.sample({}, NOON + 6)
    assert start(books, now=NOON + 9) is counters
    books.sample({}, NOON + 9)
    figures = only(books)
    assert (figures.is_online, figures.started_at, figures.closed_at) == (True, NOON + 9, NOON + 5)
    assert figures.traffic_in[0] == 10


def test_another_type_begins_anew() -> None:
    books = Statistics(NOON)
    counters = start(books)
    counters.bytes_in = 10
    books.sample({}, NOON)
    books.proxy_closed("web", NOON)
    assert start(books, proxy_type="http") is not counters
    assert (only(books).proxy_type, only(books).traffic_in[0]) == ("http", 0)
    assert books.total(NOON)[0][0] == 10


def test_visitors_of_an_earlier_proxy_of_the_name_subtract_nothing() -> None:
    books = Statistics(NOON)
    start(books)
    books.proxy_closed("web", NOON)
    start(books, proxy_type="http")
    books.sample({"web": (500, 0)}, NOON)
    books.sample({}, NOON)
    assert only(books).traffic_in[0] == 500


def test_visitors_who_outlive_their_proxy_are_counted() -> None:
    books = Statistics(NOON)
    counters = start(books)
    counters.opened()
    books.proxy_closed("web", NOON)
    books.sample({"web": (7, 0)}, NOON)
    assert only(books).connections_open == 1
    counters.closed(9, 1)
    books.sample({}, NOON)
    assert (only(books).traffic_in[0], only(books).connections_open) == (9, 0)
    counters.bytes_in = 1000  # nobody does, and nobody looks any more
    books.sample({}, NOON)
    assert only(books).traffic_in[0] == 9


def test_proxies_that_are_gone_stay_for_seven_days() -> None:
    books = Statistics(NOON)
    start(books)
    start(books, "old")
    books.proxy_closed("old", NOON)
    week = NOON + DAYS * DAY_SECONDS
    books.sample({}, week)
    assert [one.name for one in books.figures(week)] == ["web", "old"]
    books.sample({}, week + 1)
    assert [one.name for one in books.figures(week)] == ["web"]


def test_of_too_many_that_are_gone_the_first_is_forgotten() -> None:
    books = Statistics(NOON, max_offline=2)
    for number in range(4):
        start(books, f"p{number}")
    for number in (1, 0, 2):
        books.proxy_closed(f"p{number}", NOON + number)
    assert [one.name for one in books.figures(NOON)] == ["p3", "p0", "p2"]
    books.sample({}, NOON)


def test_offline_proxies_can_be_dropped() -> None:
    books = Statistics(NOON)
    for name in ("a", "b", "c"):
        start(books, name)
    books.proxy_closed("a", NOON)
    books.proxy_closed("never", NOON)
    assert books.forget_offline() == (1, 3)
    assert [one.name for one in books.figures(NOON)] == ["b", "c"]
    books.sample({}, NOON)


def test_totals_of_all_proxies_outlive_them() -> None:
    books = Statistics(NOON)
    counters = start(books)
    counters.opened()
    counters.closed(3, 4)
    books.sample({}, NOON)
    books.proxy_closed("web", NOON)
    books.forget_offline()
    start(books, "mail").opened()
    books.sample({"mail": (10, 20)}, NOON)
    assert (books.bytes_in, books.bytes_out, books.connections) == (13, 24, 2)


def again(books: Statistics, now: float = NOON) -> Statistics:
    """Return the books of the next server, which knows what this one would save."""
    saved = books.unsaved(now)
    assert saved is not None
    later = Statistics(now)
    later.resume(saved, now)
    return later


def test_figures_go_on_after_a_restart() -> None:
    books = Statistics(NOON)
    start(books).closed(10, 20)
    books.sample({}, NOON)
    later = again(books, NOON + DAY_SECONDS)
    assert only(later, NOON + DAY_SECONDS).traffic_in == (0, 10, 0, 0, 0, 0, 0)
    assert not only(later).is_online
    start(later, now=NOON + DAY_SECONDS).closed(1, 2)
    later.sample({}, NOON + DAY_SECONDS)
    assert only(later, NOON + DAY_SECONDS).traffic_in == (1, 10, 0, 0, 0, 0, 0)
    assert later.total(NOON + DAY_SECONDS)[1] == (2, 20, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(("kind", "expected"), [("tcp", 11), ("udp", 1)])
def test_what_was_known_is_added_to_a_proxy_that_came_first(kind: str, expected: int) -> None:
    books = Statistics(NOON)
    start(books).closed(10, 20)
    books.sample({}, NOON)
    saved = books.unsaved(NOON)
    assert saved is not None
    later = Statistics(NOON)
    start(later, proxy_type=kind).closed(1, 2)
    later.sample({}, NOON)
    later.resume(saved, NOON)
    assert only(later).traffic_in[0] == expected
    assert later.total(NOON)[0][0] == 11


def test_only_what_has_changed_is_saved_and_again_if_it_was_not() -> None:
    books = Statistics(NOON)
    first, second = start(books, "a"), start(books, "b")
    for counters in (first, second):
        counters.closed(1, 1)
    books.sample({}, NOON)
    saved = books.unsaved(NOON)
    assert saved is not None
    assert [one.name for one in saved.proxies] == ["a", "b"]
    assert books.unsaved(NOON) is None
    second.closed(1, 1)
    books.sample({}, NOON)
    changed = books.unsaved(NOON)
    assert changed is not None
    assert [one.name for one in changed.proxies] == ["b"]
    books.not_saved(changed)
    whole = books.unsaved(NOON)
    assert whole is not None
    assert len(whole.proxies) == 2


def test_what_is_cleared_stays_cleared() -> None:
    books = Statistics(NOON)
    start(books)
    books.proxy_closed("web", NOON)
    saved = books.unsaved(NOON)
    assert saved is not None
    assert saved.proxies[0].seen_at == NOON
    books.forget_offline()
    cleared = books.unsaved(NOON)
    assert cleared is not None
    assert cleared.forgotten == ("web",)
    books.not_saved(cleared)
    assert books.unsaved(NOON) == cleared


def test_no_more_proxies_are_known_again_than_are_listed() -> None:
    books = Statistics(NOON)
    for number in range(5):
        start(books, str(number))
        books.proxy_closed(str(number), NOON + number)
    saved = books.unsaved(NOON)
    assert saved is not None
    later = Statistics(NOON, max_offline=2)
    later.resume(saved, NOON)
    assert [one.name for one in later.figures(NOON)] == ["3", "4"]
