from __future__ import annotations

from frpd.client.login import Backoff
from frpd.entropy import SystemEntropy
from tests.helpers.world import FixedEntropy


def test_refused_logins_double_the_pause_up_to_twenty_seconds() -> None:
    backoff = Backoff(FixedEntropy())
    assert [backoff.refused() for _ in range(7)] == [1, 2, 4, 8, 16, 20, 20]


def test_an_unreachable_server_is_tried_every_second_for_ever() -> None:
    backoff = Backoff(FixedEntropy())
    assert {backoff.unreachable() for _ in range(100)} == {1.0}


def test_a_login_that_succeeds_starts_the_pauses_anew() -> None:
    backoff = Backoff(FixedEntropy())
    for _ in range(5):
        backoff.refused()
    backoff.succeeded()
    assert backoff.refused() == 1.0


def test_thousands_of_refusals_overflow_nothing() -> None:
    backoff = Backoff(FixedEntropy())
    assert {backoff.refused() for _ in range(5000)} == {1, 2, 4, 8, 16, 20}


def test_pauses_are_spread_by_thirty_percent() -> None:
    entropy = FixedEntropy()
    backoff = Backoff(entropy)
    backoff.unreachable()
    backoff.refused()
    assert entropy.spreads == [0.3, 0.3]
    pauses = [Backoff(SystemEntropy()).unreachable() for _ in range(200)]
    assert 0.7 <= min(pauses) < max(pauses) <= 1.3
