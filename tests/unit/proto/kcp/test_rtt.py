"""The estimate of the round trip."""

from __future__ import annotations

from frpd.proto.kcp.rtt import FIRST_TIMEOUT, MAX_TIMEOUT, MIN_TIMEOUT, RoundTrip


def test_before_any_sample_the_timeout_is_the_first() -> None:
    assert RoundTrip().timeout == FIRST_TIMEOUT


def test_the_timeout_is_never_shorter_than_the_shortest() -> None:
    trip = RoundTrip()
    for _ in range(20):
        trip.measured(0)
    assert trip.timeout == MIN_TIMEOUT


def test_a_steady_path_is_given_one_tick_more() -> None:
    trip = RoundTrip()
    for _ in range(50):
        trip.measured(100)
    assert trip.timeout == 120


def test_variation_makes_the_timeout_longer() -> None:
    trip = RoundTrip()
    for _ in range(20):
        trip.measured(50)
        trip.measured(150)
    assert trip.timeout > 200


def test_a_sample_that_cannot_be_changes_nothing() -> None:
    trip = RoundTrip()
    trip.measured(MAX_TIMEOUT + 1)
    assert trip.timeout == FIRST_TIMEOUT
