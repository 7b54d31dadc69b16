from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.proto.http.ranges import MAX_RANGES, Span, content_range, parse_ranges


@pytest.mark.parametrize(
    ("value", "spans"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-9", [(0, 10)]),
        ("bytes=0-99", [(0, 10)]),
        ("bytes=3-", [(3, 10)]),
        ("bytes=-3", [(7, 10)]),
        ("bytes=-99", [(0, 10)]),
        ("Bytes = 1-2", [(1, 3)]),
        ("bytes=0-1,4-5", [(0, 2), (4, 6)]),
        ("bytes=4-5, ,0-1,", [(4, 6), (0, 2)]),
        ("bytes=10-", []),
        ("bytes=10-12", []),
        ("bytes=-0", []),
        ("bytes=99-,2-3", [(2, 4)]),
        ("bytes=0-9999999999999999999", [(0, 10)]),
    ],
)
def test_ranges_name_spans(value: str, spans: list[Span]) -> None:
    assert parse_ranges(value, 10) == spans


@pytest.mark.parametrize(
    "value",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=x",
        "bytes=1",
        "bytes=2-1",
        "bytes=1-2-3",
        "bytes=1 -2",
        "bytes=+1-2",
        "bytes=0x1-2",
        "bytes=--1",
        "bytes=1-2;3-4",
        "bytes=0-1,x",
        "seconds=0-1",
        "bytes=\u0661-",
        "bytes=0-99999999999999999999",
        "bytes=0-1\n",
    ],
)
def test_what_is_malformed_is_ignored(value: str) -> None:
    assert parse_ranges(value, 10) is None


def test_too_many_ranges_are_ignored() -> None:
    value = "bytes=" + ",".join(f"{index}-{index}" for index in range(MAX_RANGES))
    assert parse_ranges(value, 1000) == [(index, index + 1) for index in range(MAX_RANGES)]
    assert parse_ranges(f"{value},99-99", 1000) is None


def test_ranges_that_ask_for_more_than_there_is_are_ignored() -> None:
    assert parse_ranges("bytes=0-,0-0", 10) is None
    assert parse_ranges("bytes=0-4,0-4", 10) == [(0, 5), (0, 5)]


def test_an_empty_file_has_no_ranges() -> None:
    assert parse_ranges("bytes=0-", 0) == []
    assert parse_ranges("bytes=-1", 0) == []


def test_a_span_is_told_with_its_last_byte() -> None:
    assert content_range((3, 8), 10) == "bytes 3-7/10"


@given(st.text(max_size=40), st.integers(0, 1 << 40))
def test_spans_lie_within_the_file(text: str, size: int) -> None:
    for value in (text, f"bytes={text}"):
        spans = parse_ranges(value, size)
        assert spans is None or all(0 <= start < end <= size for start, end in spans)


@given(st.integers(0, 1 << 62), st.integers(0, 1 << 62), st.integers(1, 1 << 62))
def test_any_numbers_are_understood(first: int, more: int, size: int) -> None:
    spans = parse_ranges(f"bytes={first}-{first + more}", size)
    assert spans == ([(first, min(first + more + 1, size))] if first < size else [])
