"""Conditional requests: validators, HTTP dates, and what the If-* fields decide.

RFC 9110 sections 5.6.7, 8.8 and 13. Sans-IO; seconds are those of Unix.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from frpd.proto.http.head import RequestHead

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_MONTH = "|".join(_MONTHS)
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
# The one that all send today, and two that the RFC still asks to understand.
_DATES: Final = (
    re.compile(rf"[A-Z][a-z]{{2}}, (?P<day>[0-9]{{2}}) (?P<month>{_MONTH}) (?P<year>[0-9]{{4}}) {_TIME} GMT"),  # noqa: E501
    re.compile(rf"[A-Z][a-z]{{5,8}}, (?P<day>[0-9]{{2}})-(?P<month>{_MONTH})-(?P<year>[0-9]{{2}}) {_TIME} GMT"),  # noqa: E501
    re.compile(rf"[A-Z][a-z]{{2}} (?P<month>{_MONTH}) (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})"),  # noqa: E501
)  # fmt: skip
_PIVOT_YEAR: Final = 70  # two digits from here on are of the last century
_SECONDS_A_DAY: Final = 86400
_DAYS_TO_1970: Final = 719468  # from 0000-03-01
_ETAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_ETAGS: Final = re.compile(rf"[ \t,]*{_ETAG}(?:[ \t]*,[ \t,]*{_ETAG})*[ \t,]*")
_ONE_ETAG: Final = re.compile(_ETAG)


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one state of a file from another."""

    etag: str
    """As sent, quotes included; with W/ in front when it is weak."""
    modified: int

    @property
    def is_strong(self) -> bool:
        """Whether equal validators mean equal bytes."""
        return not self.etag.startswith("W/")


class Verdict(enum.Enum):
    """What the preconditions of a request come to."""

    PROCEED = 200
    NOT_MODIFIED = 304
    FAILED = 412


def evaluate(head: RequestHead, own: Validators) -> Verdict:
    """Return what the If-* fields of a GET or HEAD decide, in the order of RFC 9110 13.2.2."""
    if values := head.get_all("if-match"):
        if not _matches(values, own, weak=False):
            return Verdict.FAILED
    elif value := head.get("if-unmodified-since"):
        date = parse_date(value)
        if date is not None and own.modified > date:
            return Verdict.FAILED
    if values := head.get_all("if-none-match"):
        return Verdict.NOT_MODIFIED if _matches(values, own, weak=True) else Verdict.PROCEED
    if value := head.get("if-modified-since"):
        date = parse_date(value)
        if date is not None and own.modified <= date:
            return Verdict.NOT_MODIFIED
    return Verdict.PROCEED


def range_applies(head: RequestHead, own: Validators) -> bool:
    """Tell whether If-Range lets a Range count: the asker has parts of this very file."""
    values = head.get_all("if-range")
    if not values:
        return True
    if len(values) > 1 or not own.is_strong:
        return False
    return values[0] == own.etag or parse_date(values[0]) == own.modified


def format_date(seconds: int) -> str:
    """Return a time as HTTP writes it."""
    days, rest = divmod(seconds, _SECONDS_A_DAY)
    year, month, day = _civil(days)
    hour, rest = divmod(rest, 3600)
    minute, second = divmod(rest, 60)
    weekday = _DAYS[(days + 3) % 7]
    return (
        f"{weekday}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"
    )


def parse_date(value: str) -> int | None:
    """Return the seconds of an HTTP date in any of its three forms, or None: it is none."""
    for form in _DATES:
        match = form.fullmatch(value)
        if match is not None:
            break
    else:
        return None
    year, day = int(match["year"]), int(match["day"])
    if len(match["year"]) == 2:
        year += 1900 if year >= _PIVOT_YEAR else 2000
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    days = _days(year, _MONTHS.index(match["month"]) + 1, day)
    if not year or days is None or hour > 23 or minute > 59 or second > 60:
        return None
    return days * _SECONDS_A_DAY + hour * 3600 + minute * 60 + second


def _matches(values: list[str], own: Validators, *, weak: bool) -> bool:
    text = ",".join(values)
    if text.strip(" \t") == "*":
        return True
    if not _ETAGS.fullmatch(text):
        return False
    tags = _ONE_ETAG.findall(text)
    if weak:
        return own.etag.removeprefix("W/") in [tag.removeprefix("W/") for tag in tags]
    return own.is_strong and own.etag in tags


# Days since 1970 and back: the standard library's calendar reads clocks and locales.
# In years that begin in March leap days come last.


def _days(year: int, month: int, day: int) -> int | None:
    """Return the days since 1970, or None: there is no such day."""
    shifted = year - (month < 3)
    era, of_era = divmod(shifted, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    of_era = of_era * 365 + of_era // 4 - of_era // 100 + of_year
    days = era * 146097 + of_era - _DAYS_TO_1970
    return days if _civil(days) == (year, month, day) else None


def _civil(days: int) -> tuple[int, int, int]:
    era, of_era = divmod(days + _DAYS_TO_1970, 146097)
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    month = (shifted + 2) % 12 + 1
    return era * 400 + year + (month < 3), month, of_year - (153 * shifted + 2) // 5 + 1
