from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import frpd.proto.http
from frpd.proto.http.errors import HttpError
from frpd.proto.http.fields import is_token, parse_fields, split_list

TCHARS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
SOURCES = sorted(Path(frpd.proto.http.__path__[0]).glob("*.py"))

names = st.text(TCHARS, min_size=1, max_size=8)
values = st.text([chr(code) for code in (9, *range(32, 127), *range(128, 256))], max_size=12)


def parsed(block: str, most: int = 10) -> list[tuple[str, str]]:
    return parse_fields(f"GET / HTTP/1.1\r\n{block}\r\n", 16, most)


def test_names_and_values_stay_as_sent_and_in_order() -> None:
    block = "B: 1\r\na:2\r\nB:\t 3 , 4 \t\r\nempty:\r\n"
    assert parsed(block) == [("B", "1"), ("a", "2"), ("B", "3 , 4"), ("empty", "")]
    assert parsed("") == []


def test_only_spaces_and_tabs_are_white_space() -> None:
    assert parsed("a: \xa0\x85x\xa0 \r\n") == [("a", "\xa0\x85x\xa0")]


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ("a: \x00\r\n", "control character in a field"),
        ("a: b\x7f\r\n", "control character in a field"),
        ("a: b\nc: d\r\n", "bare line end"),
        ("a: b\rc: d\r\n", "bare line end"),
        ("a: b\r\r\n", "bare line end"),
        ("\na: b\r\n", "bare line end"),
        ("a: b\r\n c\r\n", "folded field line"),
        ("\ta: b\r\n", "folded field line"),
        ("a : b\r\n", "space before the colon"),
        ("a\t: b\r\n", "space before the colon"),
        ("a\r\n", "not a field line"),
        (": b\r\n", "not a field line"),
        ("a b: c\r\n", "not a field line"),
        ("\xe9: c\r\n", "not a field line"),
        ("a: b\r\n\r\nc: d\r\n", "not a field line"),
        ("\r\n", "not a field line"),
        ("a: b", "not a field line"),
    ],
)
def test_what_is_no_field_is_refused(block: str, reason: str) -> None:
    with pytest.raises(HttpError, match=f"^http: {reason}$") as caught:
        parsed(block)
    assert caught.value.status == 400


@pytest.mark.parametrize("code", [*range(9), *range(10, 32), 127])
def test_no_control_character_passes(code: int) -> None:
    for block in (f"a: b{chr(code)}c\r\n", f"a{chr(code)}: c\r\n", f"a: {chr(code)}\r\n"):
        with pytest.raises(HttpError):
            parsed(block)


@pytest.mark.parametrize("character", [chr(code) for code in range(256)])
def test_names_hold_token_characters_only(character: str) -> None:
    assert is_token(f"a{character}") == (character in TCHARS)
    if character in TCHARS:
        assert parsed(f"{character}: x\r\n") == [(character, "x")]
    elif character != ":":
        with pytest.raises(HttpError):
            parsed(f"{character}b: x\r\n")


def test_fields_are_counted_before_they_are_read() -> None:
    assert len(parsed("a: b\r\n" * 10)) == 10
    with pytest.raises(HttpError) as caught:
        parsed("\x00\r\n" * 11)
    assert caught.value.status == 431


@given(st.lists(st.tuples(names, values), max_size=10))
def test_what_is_rendered_is_read_back(fields: list[tuple[str, str]]) -> None:
    block = "".join(f"{name}: {value}\r\n" for name, value in fields)
    assert parsed(block) == [(name, value.strip(" \t")) for name, value in fields]


@given(st.text([chr(code) for code in range(256)], max_size=40))
def test_whatever_is_read_is_all_that_was_there(block: str) -> None:
    try:
        fields = parsed(block)
    except HttpError:
        return
    lines = block.split("\r\n")[:-1]
    assert [(name, value) for name, _, value in (line.partition(":") for line in lines)] == [
        (name, re.search(f":([ \t]*{re.escape(value)}[ \t]*)$", line)[1])  # type: ignore[index]
        for (name, value), line in zip(fields, lines, strict=True)
    ]


@pytest.mark.parametrize(
    ("values", "elements"),
    [
        ([], []),
        (["a"], ["a"]),
        (["a, b ,\tc"], ["a", "b", "c"]),
        ([",,a,", " , "], ["a"]),
        (["a", "b"], ["a", "b"]),
        (["\xa0"], ["\xa0"]),
    ],
)
def test_lists_are_split_at_commas(values: list[str], elements: list[str]) -> None:
    assert split_list(values) == elements


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_group_is_repeated_possessively(path: Path) -> None:
    # Python 3.11.2 finds "5;" in a text where "5(?:;a++)*+" stands for "5" only.
    assert not re.search(r"\)(?:[*?+]|\{[^}]*\}+)\+", path.read_text(encoding="utf-8"))
