"""Findings: a verdict, what was found, and the remedy."""

from __future__ import annotations

from frpd.cli.doctor.finding import Verdict, fault, ok, warning


def test_what_is_well_needs_no_remedy() -> None:
    assert ok("fine").verdict is Verdict.OK
    assert ok("fine").remedy == ""


def test_what_is_not_well_has_one() -> None:
    assert (warning("odd", "look").verdict, warning("odd", "look").remedy) == (
        Verdict.WARNING,
        "look",
    )
    assert (fault("broken", "mend").verdict.value, fault("broken", "mend").found) == (
        "fault",
        "broken",
    )
