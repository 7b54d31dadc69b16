from __future__ import annotations

import calendar
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.proto.http.conditional import (
    Validators,
    Verdict,
    evaluate,
    format_date,
    parse_date,
    range_applies,
)
from frpd.proto.http.head import RequestHead, parse_request

NOW = 784111777
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
EARLIER, LATER = "Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:38 GMT"
STRONG = Validators('"a-1"', NOW)
WEAK = Validators('W/"a-1"', NOW)
PROCEED, NOT_MODIFIED, FAILED = Verdict.PROCEED, Verdict.NOT_MODIFIED, Verdict.FAILED


def asked(*fields: str) -> RequestHead:
    lines = "".join(f"{field}\r\n" for field in fields)
    return parse_request(f"GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n".encode("latin-1"))


@pytest.mark.parametrize(
    "text",
    [DATE, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_all_three_forms_of_a_date_are_read(text: str) -> None:
    assert parse_date(text) == NOW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 00:60:00 GMT",
        "Sun, 06 Nov 1994 00:00:61 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Mon, 29 Feb 2100 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
        f" {DATE}",
        f"{DATE}\n",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


def test_two_digits_of_a_year_are_of_the_nearer_century() -> None:
    assert parse_date("Thursday, 01-Jan-70 00:00:00 GMT") == 0
    assert parse_date("Friday, 01-Jan-69 00:00:00 GMT") == calendar.timegm((2069, 1, 1, 0, 0, 0))


@given(st.integers(-(1 << 35), 1 << 37))
def test_dates_are_those_of_the_standard_library(seconds: int) -> None:
    if time.gmtime(seconds).tm_year >= 1000:
        text = format_date(seconds)
        assert text == formatdate(seconds, usegmt=True)
        assert parse_date(text) == seconds


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ((), PROCEED),
        (('If-None-Match: "a-1"',), NOT_MODIFIED),
        (('If-None-Match: W/"a-1"',), NOT_MODIFIED),
        (('If-None-Match: "x", W/"a,b" , "a-1"',), NOT_MODIFIED),
        (('If-None-Match: "x"', 'If-None-Match: "a-1"'), NOT_MODIFIED),
        (("If-None-Match: *",), NOT_MODIFIED),
        (('If-None-Match: "x"',), PROCEED),
        (("If-None-Match: a-1",), PROCEED),
        (('If-None-Match: "x" "a-1"',), PROCEED),
        (('If-None-Match: "x"', f"If-Modified-Since: {LATER}"), PROCEED),
        ((f"If-Modified-Since: {DATE}",), NOT_MODIFIED),
        ((f"If-Modified-Since: {LATER}",), NOT_MODIFIED),
        ((f"If-Modified-Since: {EARLIER}",), PROCEED),
        (("If-Modified-Since: once",), PROCEED),
        ((f"If-Unmodified-Since: {DATE}",), PROCEED),
        ((f"If-Unmodified-Since: {EARLIER}",), FAILED),
        (("If-Unmodified-Since: once",), PROCEED),
        (('If-Match: "a-1"',), PROCEED),
        (("If-Match: *",), PROCEED),
        (('If-Match: W/"a-1"',), FAILED),
        (('If-Match: "x"',), FAILED),
        (("If-Match: a-1",), FAILED),
        (('If-Match: "a-1"', f"If-Unmodified-Since: {EARLIER}"), PROCEED),
        (('If-Match: "a-1"', 'If-None-Match: "a-1"'), NOT_MODIFIED),
    ],
)
def test_preconditions_are_weighed_in_their_order(
    fields: tuple[str, ...], verdict: Verdict
) -> None:
    assert evaluate(asked(*fields), STRONG) is verdict


def test_a_weak_tag_matches_only_where_that_is_enough() -> None:
    assert evaluate(asked('If-None-Match: "a-1"'), WEAK) is NOT_MODIFIED
    assert evaluate(asked('If-Match: W/"a-1"'), WEAK) is FAILED
    assert evaluate(asked("If-Match: *"), WEAK) is PROCEED


@pytest.mark.parametrize(
    ("fields", "applies"),
    [
        ((), True),
        (('If-Range: "a-1"',), True),
        (('If-Range: W/"a-1"',), False),
        (('If-Range: "x"',), False),
        ((f"If-Range: {DATE}",), True),
        ((f"If-Range: {LATER}",), False),
        (("If-Range: once",), False),
        (('If-Range: "a-1"', 'If-Range: "a-1"'), False),
    ],
)
def test_a_range_counts_if_its_asker_has_parts_of_this_file(
    fields: tuple[str, ...], applies: bool
) -> None:
    assert range_applies(asked(*fields), STRONG) is applies


def test_a_file_that_may_still_change_is_never_continued() -> None:
    assert range_applies(asked(), WEAK)
    assert not range_applies(asked('If-Range: W/"a-1"'), WEAK)
    assert not range_applies(asked(f"If-Range: {DATE}"), WEAK)


@given(st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=60))
def test_any_value_is_weighed(value: str) -> None:
    for name in ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"):
        evaluate(asked(f"{name}: {value}"), STRONG)
    range_applies(asked(f"If-Range: {value}"), STRONG)
