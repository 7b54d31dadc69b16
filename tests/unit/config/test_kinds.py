from __future__ import annotations

import re

import pytest

from frpd.config.fields import SERVER
from frpd.config.ini import Dialect
from frpd.config.kinds import (
    SEED,
    BadValueError,
    Field,
    Kind,
    accepted,
    convert,
    default_text,
    split_list,
)

INT = Field("k", Kind.INT, 5, SEED, "A number.")
YES = Field("k", Kind.BOOL, True, SEED, "A truth value.")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("7000", 7000), ("+7", 7), ("-7", -7), ("0x1b58", 7000), ("0X1B58", 7000),
        ("0o17", 15), ("0O17", 15), ("017", 15), ("0_17", 15), ("00", 0), ("0b101", 5),
        ("1_000", 1000), ("0x_1f", 31), ("-0x10", -16), ("9223372036854775807", 2**63 - 1),
        ("", 5),
    ],
)  # fmt: skip
def test_new_reads_numbers_as_go_with_base_0(text: str, value: int) -> None:
    assert convert(INT, text, Dialect.NEW) == value


@pytest.mark.parametrize(
    "text",
    ["a", "1 0", "1.0", "08", "_1", "1_", "1__0", "0x", "0b2", "--1", "9223372036854775808", "1e3",
     "٣", "0" * 5000 + "1"],
)  # fmt: skip
def test_new_refuses_what_go_refuses(text: str) -> None:
    with pytest.raises(BadValueError):
        convert(INT, text, Dialect.NEW)


@pytest.mark.parametrize(("text", "value"), [("017", 17), ("+7", 7), ("-7", -7)])
def test_old_reads_decimals(text: str, value: int) -> None:
    assert convert(INT, text, Dialect.OLD) == value


@pytest.mark.parametrize("text", ["", "0x10", "1_000", "a", " 1"])
def test_old_refuses_the_rest(text: str) -> None:
    with pytest.raises(BadValueError):
        convert(INT, text, Dialect.OLD)


@pytest.mark.parametrize(
    "text", ["1", "t", "T", "true", "TRUE", "True", "y", "yes", "YES", "Yes", "on", "ON", "On"]
)
def test_new_words_for_true(text: str) -> None:
    assert convert(YES, text, Dialect.NEW) is True


@pytest.mark.parametrize(
    "text", ["0", "f", "F", "false", "FALSE", "False", "n", "no", "NO", "No", "off", "OFF", "Off"]
)
def test_new_words_for_false(text: str) -> None:
    assert convert(YES, text, Dialect.NEW) is False
    assert convert(YES, text, Dialect.OLD) is (text != "false")


@pytest.mark.parametrize("text", ["tRUE", "yES", "2", "enabled"])
def test_no_other_word_is_a_truth_value(text: str) -> None:
    with pytest.raises(BadValueError):
        convert(YES, text, Dialect.NEW)


@pytest.mark.parametrize("text", ["inf", "nan", "1e9", "-1", "", ".5", "0x1p3"])
def test_fractions_are_plain_decimals_in_range(text: str) -> None:
    row = Field("k", Kind.FLOAT, 0.4, SEED, "Seconds.", low=0, high=10)
    assert convert(row, "2.5", Dialect.OLD) == 2.5
    with pytest.raises(BadValueError, match="a number from 0 to 10"):
        convert(row, text, Dialect.OLD)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("a", ["a"], ["a"]),
        ("a, b ,c", ["a", "b", "c"], ["a", "b", "c"]),
        ("/,", ["/", ""], ["/"]),
        (",", ["", ""], [""]),
        ("a,,b", ["a", "", "b"], ["a", "", "b"]),
        ("a\\,b", ["a\\", "b"], ["a,b"]),
        ("a\\\\,b", ["a\\\\", "b"], ["a\\", "b"]),
        ("a\\b\\", ["a\\b\\"], ["a\\b"]),
        ("a, ", ["a", ""], ["a", ""]),
    ],
)
def test_lists(text: str, old: list[str], new: list[str]) -> None:
    assert split_list(text, Dialect.OLD) == old
    assert split_list(text, Dialect.NEW) == new


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("per_source_penalties", "authfail:soon", "'authfail:soon' names no time"),
        ("per_source_net_block_size", "40", "'40' has more bits than an address"),
    ],
)
def test_what_guards_clients_says_what_is_accepted(name: str, text: str, wrong: str) -> None:
    [row] = [row for row in SERVER if row.name == name]
    with pytest.raises(BadValueError, match=re.escape(wrong)) as caught:
        convert(row, text, Dialect.NEW)
    assert str(caught.value).startswith(accepted(row))
    assert convert(row, default_text(row), Dialect.OLD) == row.default
