"""Whether the clock is kept right."""

from __future__ import annotations

import pytest

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.clock import check_clock, is_synchronized, judge_clock
from frpd.cli.doctor.finding import Verdict


@pytest.mark.parametrize(
    ("is_right", "verdict"), [(True, Verdict.OK), (None, Verdict.OK), (False, Verdict.WARNING)]
)
def test_a_clock_that_nobody_sets_is_a_warning(is_right: bool | None, verdict: Verdict) -> None:
    assert judge_clock(is_right).verdict is verdict


def test_the_kernel_is_asked() -> None:
    assert is_synchronized() in (True, False, None)
    assert len(list(check_clock(Case("frps")))) == 1
