"""frpd.config.ranges: a section [range:NAME] becomes NAME_0, NAME_1 and so on."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.config.ports import ACCEPTED as PORTS
from frpd.config.problems import Origin, Problems
from frpd.config.ranges import Expanded, expand, range_name
from tests.unit.config.sections import NEW, OLD, tree_of
from tests.unit.config.test_ini import texts

if TYPE_CHECKING:
    from frpd.config.ini import Dialect

ACCEPTED = f"accepted: {PORTS}"
WRONG = "'1-x' is neither a number nor a range a-b"


def expanded(text: str, dialect: Dialect = NEW) -> Expanded:
    problems = Problems()
    result = expand(tree_of(text, dialect), lambda _: True, problems)
    problems.raise_errors(strict=True)
    return result


def errors_of(text: str) -> list[str]:
    problems = Problems()
    expand(tree_of(text), lambda _: True, problems)
    return [str(error) for error in problems.errors]


def test_range_has_one_name_however_it_is_spaced() -> None:
    assert range_name("range: game\t") == range_name("range:game") == "range:game"


@pytest.mark.parametrize("dialect", [OLD, NEW], ids=["old", "new"])
def test_members_stand_in_the_range_s_place_with_its_other_keys(dialect: Dialect) -> None:
    text = "[z]\nk = v\n[range: a]\nlocal_port = 1,3\nuse = x\nremote_port = 5-6\n[b]\nk = w\n"
    result = expanded(text, dialect)
    sections = {name: keys for name, keys in texts(result.tree).items() if name}
    assert list(sections) == ["z", "a_0", "a_1", "b"]
    assert sections["a_0"] == {"local_port": "1", "use": "x", "remote_port": "5"}
    assert sections["a_1"] == {"local_port": "3", "use": "x", "remote_port": "6"}
    assert result.ranges == {"a_0": "range:a", "a_1": "range:a"}
    assert result.tree.dialect is dialect


def test_members_know_the_lines_that_they_come_from() -> None:
    text = "[range:a]\nlocal_port = 1\nuse = x\nremote_port = 5\n"
    tree = expanded(text).tree
    assert tree.origins["a_0"] == Origin("x.ini", 1)
    lines = {key: entry.origin for key, entry in tree.sections["a_0"].items()}
    assert lines == {
        "local_port": Origin("x.ini", 2),
        "use": Origin("x.ini", 3),
        "remote_port": Origin("x.ini", 4),
    }


@pytest.mark.parametrize("order", [0, 1], ids=["range first", "section first"])
def test_a_section_named_like_a_member_only_fills_its_gaps(order: int) -> None:
    parts = ["[range:a]\nlocal_port = 1\nremote_port = 2\n", "[a_0]\nlocal_port = 9\nuse = x\n"]
    tree = expanded("".join(parts[::-1] if order else parts)).tree
    assert texts(tree)["a_0"] == {"local_port": "1", "remote_port": "2", "use": "x"}
    assert tree.origins["a_0"] == Origin("x.ini", (4, 1)[order])  # its own header


def test_the_tree_that_was_read_is_left_as_it_is() -> None:
    tree = tree_of("[range:a]\nlocal_port = 1-2\nremote_port = 2-3\n[a_0]\nx = 1\n")
    before = copy.deepcopy(tree)
    expand(tree, lambda _: True, Problems())
    assert tree == before


@pytest.mark.parametrize(("dialect", "names"), [(OLD, ["b_0"]), (NEW, ["a_0", "b_0"])])
def test_only_old_leaves_out_what_is_not_started(dialect: Dialect, names: list[str]) -> None:
    asked: list[str] = []

    def wanted(name: str) -> bool:
        asked.append(name)
        return name == "range:b"

    ports = "local_port = 1\nremote_port = 1\n"
    tree = tree_of(f"[range: a]\n{ports}[range:b]\n{ports}", dialect)
    result = expand(tree, wanted, Problems())
    assert [name for name in result.tree.sections if name] == names
    assert asked == (["range:a", "range:b"] if dialect is OLD else [])


def test_ports_may_be_inherited_or_refer_to_another_key() -> None:
    text = "[range:a]\nlocal_port = 7-8\n[range:a.b]\nremote_port = %(at)s-21\nat = 20\n"
    tree = tree_of(text)
    problems = Problems()
    member = expand(tree, lambda _: True, problems).tree.sections["a.b_1"]
    assert (member["local_port"].value, member["remote_port"].value) == ("8", "21")
    assert [error.section for error in problems.errors] == ["range:a"]


def test_errors_name_file_line_section_key_value_and_what_is_accepted() -> None:
    assert errors_of("\n[range:a]\nlocal_port = 1-x\n\nremote_port =\n") == [
        f"x.ini:3 [range:a] local_port: '1-x' cannot be used: {WRONG}; {ACCEPTED}",
        f"x.ini:2 [range:a] remote_port: missing; a range section needs it; {ACCEPTED}",
    ]


def test_ranges_make_no_more_proxies_than_a_server_has_ports_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("frpd.config.ranges.MAX_MEMBERS", 4)
    ports = "local_port = {0}\nremote_port = {0}\n".format
    (error,) = errors_of(f"[range:a]\n{ports('1-3')}[range:b]\n{ports('1')}[range:c]\n{ports('2')}")
    reason = "the ranges of a file make 4 proxies at most, with this one more"
    assert error == f"x.ini:7 [range:c] remote_port: {reason}"


def test_unequal_ranges_are_counted_and_make_nothing_but_the_error() -> None:
    problems = Problems()
    text = "[range:a]\nlocal_port = 1-3\nremote_port = 1,2\n[range:b]\nlocal_port=1\nremote_port=1"
    result = expand(tree_of(text), lambda _: True, problems)
    assert [name for name in result.tree.sections if name] == ["b_0"]
    assert [str(error) for error in problems.errors] == [
        (
            "x.ini:1 [range:a] remote_port: local_port has 3 ports and remote_port 2;"
            " local ports number should be same with remote ports number"
        )
    ]


def test_a_long_bad_value_is_not_repeated_in_full() -> None:
    (error,) = errors_of(f"[range:a]\nlocal_port = {'y' * 300}\nremote_port = 1\n")
    assert f"{'y' * 60!r} cannot be used" in error


RANGES = st.lists(st.tuples(st.integers(1, 60000), st.integers(0, 5)), min_size=1, max_size=4)


def text_of(ranges: list[tuple[int, int]]) -> str:
    return ",".join(f"{first}-{first + more}" if more else str(first) for first, more in ranges)


@given(RANGES)
def test_member_i_has_the_ith_port_of_both_lists(ranges: list[tuple[int, int]]) -> None:
    remote = [(first + 1000, more) for first, more in ranges[::-1]]
    text = f"[range:a]\nlocal_port = {text_of(ranges)}\nremote_port = {text_of(remote)}\n"
    sections = texts(expanded(text).tree)
    wanted = [
        [str(port) for first, more in side for port in range(first, first + more + 1)]
        for side in (ranges, remote)
    ]
    made = [sections[f"a_{index}"] for index in range(len(wanted[0]))]
    assert [member["local_port"] for member in made] == wanted[0]
    assert [member["remote_port"] for member in made] == wanted[1]
    assert len(sections) == len(made) + 1  # and the root
