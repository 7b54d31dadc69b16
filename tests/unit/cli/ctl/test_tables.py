"""frpd.cli.ctl.tables: tables that fit."""

from __future__ import annotations

from frpd.cli.ctl.tables import (
    BAD,
    GOOD,
    PAPER,
    Column,
    Screen,
    cut,
    pairs,
    room_of,
    table,
    wrapped,
)

COLUMNS = (
    Column("NAME"),
    Column("STATUS", colours=(("up", GOOD), ("down", BAD))),
    Column("BYTES", is_number=True),
)
ROWS = [("a-long-name-of-a-proxy", "up", "1.5 KiB"), ("b", "down", "0 B")]


def test_columns_are_aligned_numbers_to_the_right() -> None:
    assert table(COLUMNS, ROWS, PAPER, "  ") == [
        "  NAME                    STATUS    BYTES",
        "  a-long-name-of-a-proxy  up      1.5 KiB",
        "  b                       down        0 B",
    ]


def test_what_looks_like_a_number_stays_a_text() -> None:
    assert table((Column("ID"),), [("0123",), ("1e5",)], PAPER) == ["ID", "0123", "1e5"]


def test_without_rows_there_is_no_table() -> None:
    assert table(COLUMNS, [], PAPER) == []


def test_on_a_narrow_terminal_names_are_cut_and_numbers_are_not() -> None:
    assert table(COLUMNS, ROWS, Screen(30)) == [
        "NAME           STATUS    BYTES",
        "a-long-name-\u2026  up      1.5 KiB",
        "b              down        0 B",
    ]


def test_wide_letters_leave_the_columns_where_they_are() -> None:
    rows = [("\u4e2d\u6587", "up", "1 B"), ("abcde", "down", "2 B")]
    assert table(COLUMNS, rows, PAPER)[1:] == [
        "\u4e2d\u6587   up        1 B",
        "abcde  down      2 B",
    ]


def test_no_line_is_longer_than_the_terminal_is_wide() -> None:
    rows = [*ROWS, ("\u4e2d\u6587\u4ee3\u7406\u670d\u52a1\u5668", "up", "1 B")]
    for width in range(1, 45):
        for indent in ("", "  "):
            lines = table(COLUMNS, rows, Screen(width), indent)
            assert len(lines) == 4
            assert max(map(room_of, lines)) <= width


def test_colours_are_for_whole_words_only() -> None:
    _, first, second = table(COLUMNS, ROWS, Screen(80, colour=True))
    assert "\x1b[32mup\x1b[0m      1.5 KiB" in first
    assert "\x1b[31mdown\x1b[0m" in second
    assert "\x1b" not in "".join(table(COLUMNS, ROWS, Screen(10, colour=True)))


def test_facts_are_named_and_empty_ones_left_out() -> None:
    facts = (("file", "/etc/x"), ("run id", ""), ("weak", None), ("logins", 3))
    assert pairs(facts, PAPER, " ") == [" file    /etc/x", " logins  3"]


def test_sentences_are_wrapped_on_a_terminal_only() -> None:
    text = "the server refuses it"
    assert wrapped(text, PAPER, "! ") == ["! the server refuses it"]
    assert wrapped(text, Screen(14), "! ", "  ") == ["! the server", "  refuses it"]
    assert wrapped(text, Screen(1), "! ", "  ")


def test_wide_letters_take_two_columns_and_accents_none() -> None:
    assert (room_of("abc"), room_of("\u4e2d\u6587"), room_of("e\u0301")) == (3, 4, 1)
    assert cut("\u4e2d\u6587\u4ee3", 5) == "\u4e2d\u6587\u2026"
    assert (cut("abc", 3), cut("abcd", 3), cut("abcd", 1)) == ("abc", "ab\u2026", "\u2026")
