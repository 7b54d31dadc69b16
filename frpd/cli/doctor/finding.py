"""What a check has found, and the remedy: one plain sentence each."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Verdict(enum.Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not well, or not for long, or it cannot be told."""
    FAULT = "fault"
    """It does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of one check.

    Attributes:
        found: what is the case.
        remedy: what to do about it; "" where all is well.
    """

    verdict: Verdict
    found: str
    remedy: str = ""


def ok(found: str) -> Finding:
    """Return that all is well."""
    return Finding(Verdict.OK, found)


def warning(found: str, remedy: str) -> Finding:
    """Return that something should be looked at."""
    return Finding(Verdict.WARNING, found, remedy)


def fault(found: str, remedy: str) -> Finding:
    """Return that something does not work."""
    return Finding(Verdict.FAULT, found, remedy)
