"""frpd.cli.ctl.units: figures as people read them."""

from __future__ import annotations

import pytest

from frpd.cli.ctl.units import age_text, byte_text, milliseconds_text, plain


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (102_300, "99.9 KiB"),
        (102_400, "100 KiB"),
        (1_048_000, "1.0 MiB"),
        (1_500_000_000, "1.4 GiB"),
        (3 * 2**70, "3072 EiB"),
    ],
)
def test_bytes_have_three_digits_and_a_unit(count: int, text: str) -> None:
    assert byte_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (-3.0, "0s"),
        (4.9, "4s"),
        (60, "1m"),
        (125, "2m 5s"),
        (3600, "1h"),
        (7 * 3600 + 130, "7h 2m"),
        (90_000, "1d 1h"),
        (86_400 * 400, "400d"),
    ],
)
def test_a_span_has_its_two_largest_units(seconds: float | None, text: str) -> None:
    assert age_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.034, "0.03 ms"), (12.34, "12.3 ms"), (180.2, "180 ms")]
)
def test_round_trips_are_in_milliseconds(value: float | None, text: str) -> None:
    assert milliseconds_text(value) == text


def test_a_name_cannot_steer_the_terminal() -> None:
    assert plain("web \u00e4\u4e2d") == "web \u00e4\u4e2d"
    assert plain("a\x1b[2J\nb\x9b") == "a\ufffd[2J\ufffdb\ufffd"
    assert (plain(None), plain(5)) == ("-", "5")
