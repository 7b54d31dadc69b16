"""Who may move how much, on a clock that the test holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.relay.budget import MAX_PORTION_BYTES, Budget


class Pump:
    """Some who always want more, and a budget that they share."""

    def __init__(self, rate: int, users: int, *, wants: int = 1 << 30) -> None:
        self.budget = Budget(rate, 0.0)
        self.wants = wants
        self.moved = dict.fromkeys(range(users), 0)
        self.now = 0.0
        self.wakes = 0

    def ask(self, who: int) -> None:
        """Move all that somebody may, until it has to wait."""
        while allowed := min(self.wants, self.budget.allow(who, self.now)):
            self.budget.spend(who, allowed)
            self.moved[who] += allowed

    def run(self, until: float) -> None:
        for who in self.moved:
            self.ask(who)
        while (deadline := self.budget.next_deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.wakes += 1
            for woken in self.budget.handle_deadline(self.now):
                assert isinstance(woken, int)
                self.ask(woken)

    @property
    def total(self) -> int:
        return sum(self.moved.values())


@pytest.mark.parametrize("rate", [10_240, 1_000_000, 100_000_000])
@pytest.mark.parametrize("users", [1, 2, 7])
def test_two_seconds_carry_two_seconds_worth(rate: int, users: int) -> None:
    pump = Pump(rate, users)
    pump.run(2.0)
    assert 0.98 * 2 * rate <= pump.total <= 1.1 * 2 * rate


@pytest.mark.parametrize("wants", [10, 100, 1 << 30])
def test_all_get_the_same_however_much_they_ask_for(wants: int) -> None:
    pump = Pump(100_000, 5, wants=wants)
    pump.run(2.0)
    shares = sorted(pump.moved.values())
    assert shares[-1] - shares[0] <= pump.budget.burst + 2 * pump.budget.portion
    late = dict(pump.moved)
    pump.run(4.0)  # what the full bucket was is over
    gains = sorted(pump.moved[who] - late[who] for who in late)
    assert gains[-1] - gains[0] <= 2 * pump.budget.portion


def test_who_comes_later_gets_as_much_as_who_was_there() -> None:
    pump = Pump(100_000, 1)
    pump.run(1.0)
    pump.moved[1] = 0
    before = pump.moved[0]
    pump.run(3.0)
    assert abs(pump.moved[0] - before - pump.moved[1]) <= 2 * pump.budget.portion


def test_nobody_is_woken_more_often_than_a_portion_grows() -> None:
    pump = Pump(10_240, 3)
    pump.run(2.0)
    assert pump.wakes <= 2 * 50 + 1


def test_a_pause_saves_up_a_bucket_and_no_more() -> None:
    budget = Budget(1000, 0.0)
    assert budget.allow("a", 3600.0) == budget.burst == 100


@pytest.mark.parametrize(("rate", "portion"), [(1, 1), (1000, 20), (10**9, MAX_PORTION_BYTES)])
def test_portions_fit_the_rate(rate: int, portion: int) -> None:
    assert Budget(rate, 0.0).portion == portion


def test_the_slowest_still_moves() -> None:
    pump = Pump(1, 1)
    pump.run(10.0)
    assert 10 <= pump.total <= 11


def test_who_leaves_is_waited_for_by_nobody() -> None:
    budget = Budget(1000, 0.0)
    budget.spend("a", budget.allow("a", 0.0))
    assert budget.allow("a", 0.0) == budget.allow("b", 0.0) == 0
    budget.leave("a")
    budget.leave("a")
    deadline = budget.next_deadline()
    assert deadline is not None
    assert budget.handle_deadline(deadline) == ["b"]
    budget.leave("b")
    assert budget.next_deadline() is None


def test_what_was_too_much_is_paid_later() -> None:
    budget = Budget(1000, 0.0)
    budget.spend("a", 600)
    assert budget.allow("a", 0.4) == 0
    assert budget.next_deadline() == pytest.approx(0.52)


steps = st.tuples(st.integers(0, 4), st.floats(0.0, 0.5), st.integers(1, 5000), st.booleans())


@given(st.integers(1, 100_000), st.lists(steps, max_size=60))
def test_never_more_passes_than_a_bucket_and_what_time_brings(
    rate: int, script: list[tuple[int, float, int, bool]]
) -> None:
    budget, now, marks = Budget(rate, 0.0), 0.0, [(0.0, 0)]
    moved = 0
    for who, pause, wanted, leaves in script:
        now += pause
        for woken in budget.handle_deadline(now):
            assert woken in range(5)
        taken = min(wanted, budget.allow(who, now))
        assert taken >= 0
        budget.spend(who, taken)
        if leaves:
            budget.leave(who)
        moved += taken
        for since, before in marks:
            assert moved - before <= budget.burst + rate * (now - since) + 1
        marks.append((now, moved))
