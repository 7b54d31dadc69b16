from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.config.ini import (
    MAX_PARENTS,
    ROOT,
    Dialect,
    Entry,
    IniTree,
    _through_configobj,
    dialect_named,
    parse,
)
from frpd.config.problems import Origin, Problems
from frpd.config.source import read_lines
from frpd.config.template import Line
from frpd.errors import ConfigError
from tests.unit.config.golden import DATA, expected

if TYPE_CHECKING:
    from pathlib import Path

TRAPS = sorted((DATA / "traps").glob("*.ini"))

# What real files and nasty ones are made of.
TOKENS = (
    "[", "]", "=", ":", "#", ";", '"', "'", "`", "\\", "%", ",", '"""', "'''", "\r\n", "\n", "\n",
    "\u00a0", "\u2028", "\x1c", "a", "b", "common", " ", "\t", "-", ".", "%(a)s", "DEFAULT",
    "[a]\n", "k = v\n", "\udce9",
)  # fmt: skip
NASTY = st.lists(st.sampled_from(TOKENS), max_size=40).map("".join)
BYTES = st.one_of(st.binary(max_size=40), st.text(max_size=40).map(str.encode))
ANY_TEXT = BYTES.map(lambda data: data.replace(b"\0", b"").decode("utf-8", "surrogateescape"))


def lines_of(text: str) -> list[Line]:
    found = re.findall(r"[^\n]*\n|[^\n]+", text)
    return [Line(line, Origin("x.ini", number)) for number, line in enumerate(found, 1)]


def texts(tree: IniTree) -> dict[str, dict[str, str]]:
    return {
        name: {key: entry.value for key, entry in section.items()}
        for name, section in tree.sections.items()
    }


@pytest.mark.parametrize("dialect", list(Dialect), ids=lambda dialect: dialect.value)
@pytest.mark.parametrize("path", TRAPS, ids=lambda path: path.stem)
def test_trap_reads_as_go_frp_reads_it(path: Path, dialect: Dialect) -> None:
    want = expected(path)[dialect.value]
    lines = read_lines(str(path), {}, Problems())
    if "error" in want:
        with pytest.raises(ConfigError) as caught:
            parse(lines, dialect)
        assert (caught.value.path, caught.value.line) == (str(path), want["error"])
    else:
        assert texts(parse(lines, dialect)) == want


def test_every_key_knows_its_line() -> None:
    tree = parse(lines_of("; c\n[a]\nx = 1\\\n 2\ny = 3\nx = 4\n"), Dialect.NEW)
    assert tree.origins["a"] == Origin("x.ini", 2)
    assert tree.sections["a"] == {
        "x": Entry("4", Origin("x.ini", 6)),
        "y": Entry("3", Origin("x.ini", 5)),
    }


def test_syntax_error_does_not_show_what_follows_a_key() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(lines_of("[common]\ntoken hunter2\n"), Dialect.OLD)
    assert str(caught.value).startswith("x.ini:2: invalid INI syntax on line 2: token")
    assert "hunter2" not in str(caught.value)


def test_only_new_looks_into_the_parent_of_a_dotted_section() -> None:
    text = "x = r\n[a]\nx = 1\n[a.b.c]\ny = 2\n[.d]\n"
    new = parse(lines_of(text), Dialect.NEW)
    found = new.lookup("a.b.c", "x")
    assert found is not None
    assert (found[0], found[1].value) == ("a", "1")
    assert new.lookup(".d", "x") == (ROOT, Entry("r", Origin("x.ini", 1)))
    assert parse(lines_of(text), Dialect.OLD).lookup("a.b.c", "x") is None


def test_so_many_parents_are_asked_and_no_more() -> None:
    names = [".".join("a" * depth) for depth in range(1, MAX_PARENTS + 3)]
    tree = parse(lines_of("".join(f"[{name}]\nk{name} = 1\n" for name in names)), Dialect.NEW)
    assert tree.lookup(names[-1], f"k{names[1]}") is not None
    assert tree.lookup(names[-1], f"k{names[0]}") is None


def test_a_value_stops_growing_before_it_has_grown() -> None:
    text = "[a]\nx = " + "%(y)s" * 1000 + "\ny = " + "z" * 1000 + "\n"
    with pytest.raises(ConfigError, match="grow without end"):
        parse(lines_of(text), Dialect.NEW).expanded("a", "x")


def test_reference_in_an_inherited_value_is_resolved_where_the_value_stands() -> None:
    tree = parse(lines_of("[a]\nx = %(y)s\ny = 1\n[a.b]\ny = 2\n"), Dialect.NEW)
    found = tree.expanded("a.b", "x")
    assert found is not None
    assert found.value == "1"


def test_dialect_names() -> None:
    assert dialect_named("old") is Dialect.OLD
    with pytest.raises(ConfigError, match="'older' is no ini dialect; accepted: old, new"):
        dialect_named("older")


@given(st.dictionaries(ANY_TEXT, st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=4), max_size=4))
def test_nothing_is_lost_on_the_way_through_configobj(content: dict[str, dict[str, str]]) -> None:
    origin = Origin("x.ini", 1)
    tree = IniTree(Dialect.NEW)
    for name, section in content.items():
        tree.sections[name] = {key: Entry(value, origin) for key, value in section.items() if key}
    assert _through_configobj(tree) == tree


@given(NASTY, st.sampled_from(Dialect))
def test_nasty_text_is_read_or_refused_with_a_line(text: str, dialect: Dialect) -> None:
    lines = lines_of(text)
    places: set[Origin | None] = {line.origin for line in lines}
    try:
        tree = parse(lines, dialect)
    except ConfigError as error:
        places_named = {Origin(str(error.path), error.line or 0)}
    else:
        places_named = {
            entry.origin or Origin("", 0)
            for section in tree.sections.values()
            for entry in section.values()
        }
    assert places_named <= places


@given(NASTY)
def test_reading_does_not_depend_on_a_final_line_end(text: str) -> None:
    def outcome(text: str) -> object:
        try:
            return texts(parse(lines_of(text), Dialect.OLD))
        except ConfigError:
            return "refused"

    assert outcome(text.rstrip("\n")) == outcome(text.rstrip("\n") + "\n")
