"""frpd.cli.ctl.show: once or again, for people or for programs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable

import pytest

from frpd.cli.ctl.show import View, add_show_flags, screen, show
from frpd.cli.ctl.tables import Screen
from frpd.errors import FrpError


def options(*typed: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_show_flags(parser)
    return parser.parse_args(typed, argparse.Namespace(command="test"))


def counting() -> Callable[[], View]:
    """Return a look that finds 1, 2, 3 and so on, the second time an error."""
    times = iter(range(1, 100))

    def look() -> View:
        count = next(times)
        if count == 2:
            raise FrpError("it is away")
        return View({"count": count}, lambda _screen: [f"count {count}"])

    return look


def leaving_after(count: int) -> Callable[[float], None]:
    """Return a wait that Ctrl-C ends."""
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == count:
            raise KeyboardInterrupt

    return wait


@pytest.mark.parametrize(("is_good", "status"), [(True, 0), (False, 1)])
def test_the_exit_status_is_0_only_if_it_is_true(
    capsys: pytest.CaptureFixture[str], is_good: bool, status: int
) -> None:
    assert show(options(), lambda: View({}, lambda _screen: ["a", "b"], is_good)) == status
    assert capsys.readouterr().out == "a\nb\n"


def test_programs_get_the_facts_and_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    def lines(_screen: Screen) -> Iterable[str]:
        raise AssertionError("nobody reads them")

    assert show(options("--json"), lambda: View({"a": ["\u4e2d"]}, lines)) == 0
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": ["\u4e2d"]}
    assert "\u4e2d" in out


def test_a_watch_appends_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(options("--watch"), counting(), leaving_after(3)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line and not line.startswith("frpd-ctl test")] == [
        "count 1",
        "it is away",
        "count 3",
    ]


def test_a_watch_for_programs_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(options("--watch", "0.5", "--json"), counting(), leaving_after(3)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"count": 1},
        {"error": "it is away"},
        {"count": 3},
    ]


def test_an_error_of_the_first_look_ends_the_command() -> None:
    def look() -> View:
        raise FrpError("no such thing")

    with pytest.raises(FrpError, match="no such thing"):
        show(options("--watch"), look)


def test_on_a_terminal_a_picture_replaces_the_one_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "5")
    pictures = iter([["a", "b", "c"], ["a"]])

    def look() -> View:
        lines = next(pictures)
        return View({}, lambda _screen: lines)

    assert show(options("--watch", "1"), look, leaving_after(2)) == 0
    out = capsys.readouterr().out
    first, second = out.split("\x1b[J", 2)[:2]
    assert first.startswith("\x1b[H\x1b[2J")
    assert first.endswith("a\x1b[K\n... 2 more lines\x1b[K\n")
    assert second.startswith("\x1b[Hfrpd-ctl test")
    assert second.endswith("\x1b[K\n\x1b[K\na\x1b[K\n")


@pytest.mark.parametrize(
    ("variables", "colour"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_colour_is_for_terminals_of_those_who_want_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], colour: bool
) -> None:
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "77")
    assert screen() == Screen(None, colour=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert screen() == Screen(77, colour)


@pytest.mark.parametrize("text", ["0", "x", "nan", "1e9"])
def test_a_watch_has_bounds(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with pytest.raises(SystemExit):
        options("--watch", text)
    assert "accepted: from 0.1 to 86400 seconds" in capsys.readouterr().err
