"""How the checks are run."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.checks import Check
from frpd.cli.doctor.examine import count, examine
from frpd.cli.doctor.finding import Finding, Verdict, fault, ok


def test_each_finding_comes_as_soon_as_its_check_is_over() -> None:
    begun = []

    def second(case: Case) -> Iterator[Finding]:
        begun.append(case.program)
        yield fault("b", "mend b")
        yield ok("c")

    results = examine(Case("frps"), [Check("one", lambda _: [ok("a")]), Check("two", second)])
    assert next(results).finding.found == "a"
    assert begun == []
    rest = list(results)
    assert begun == ["frps"]
    assert [(one.check, one.finding.found) for one in rest] == [("two", "b"), ("two", "c")]
    assert count(rest, Verdict.FAULT) == 1


def test_a_check_that_hangs_is_left_and_the_next_one_goes_on() -> None:
    end = threading.Event()

    def hangs(_: Case) -> list[Finding]:
        end.wait()
        return []

    checks = [Check("slow", hangs, 0.05), Check("next", lambda _: [ok("fine")])]
    late, fine = examine(Case("frps"), checks)
    end.set()
    assert late.finding.verdict is Verdict.WARNING
    assert "the check slow was given up" in late.finding.found
    assert fine.finding.found == "fine"


@pytest.mark.parametrize("error", [OSError("no"), ValueError("no")])
def test_a_check_that_fails_is_a_warning_and_no_end(error: Exception) -> None:
    def fails(_: Case) -> list[Finding]:
        raise error

    (result,) = examine(Case("frps"), [Check("bad", fails)])
    assert result.finding.verdict is Verdict.WARNING
    assert type(error).__name__ in result.finding.found
