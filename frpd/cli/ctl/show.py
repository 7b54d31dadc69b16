"""What a command shows: to people or, with ``--json``, to programs; once or, by ``--watch``, often.

On a terminal a picture replaces the one before; elsewhere it is appended. With ``--json`` each
answer is then one line.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from frpd.cli.ctl.tables import Screen, cut
from frpd.clock import unix_now
from frpd.errors import FrpError

DEFAULT_SECONDS: Final = 2.0
LEAST_SECONDS: Final = 0.1
MOST_SECONDS: Final = 86400.0

_HOME: Final = "\x1b[H"
_REST_OF_LINE: Final = "\x1b[K"
_REST_OF_SCREEN: Final = "\x1b[J"
_FRESH: Final = "\x1b[2J"


class View(NamedTuple):
    """One look at how things stand.

    Attributes:
        facts: all of it, for ``--json``.
        lines: makes the picture for people.
        is_good: whether what was asked is true.
    """

    facts: object
    lines: Callable[[Screen], Iterable[str]]
    is_good: bool = True


Look = Callable[[], View]


def add_show_flags(parser: argparse.ArgumentParser, *, watch: bool = True) -> None:
    """Add ``--json``, and ``--watch`` where looking again makes sense."""
    parser.add_argument("--json", action="store_true", help="for programs: everything, as JSON")
    if watch:
        parser.add_argument(
            "--watch",
            nargs="?",
            type=_seconds,
            const=DEFAULT_SECONDS,
            metavar="SECONDS",
            help=f"look again every so often (default: {DEFAULT_SECONDS:g}), until Ctrl-C",
        )


def show(
    options: argparse.Namespace, look: Look, wait: Callable[[float], object] = time.sleep
) -> int:
    """Show what ``look()`` returns; return the exit status.

    Args:
        options: of add_show_flags.
        look: asks anew each time. Its first error ends the command, later ones are shown.
        wait: waits so many seconds.
    """
    seconds: float | None = getattr(options, "watch", None)
    view = look()
    if seconds is None:
        _print_once(view, as_json=options.json)
        return 0 if view.is_good else 1
    picture = _Pictures(as_json=options.json, title=f"frpd-ctl {options.command}")
    try:
        while True:
            picture.draw(view)
            wait(seconds)
            view = _look_again(look)
    except KeyboardInterrupt:
        if sys.stdout.isatty() and not options.json:
            print()  # what the terminal has shown of it has the line
        return 0


def screen() -> Screen:
    """Return what standard output is."""
    if not sys.stdout.isatty():
        return Screen()
    wants_colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return Screen(shutil.get_terminal_size().columns, wants_colour)


def _look_again(look: Look) -> View:
    try:
        return look()
    except FrpError as error:
        text = str(error)
        return View({"error": text}, lambda _screen: [text], is_good=False)


def _print_once(view: View, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(view.facts, indent=2, ensure_ascii=False))
    else:
        for line in view.lines(screen()):
            print(line)


class _Pictures:
    """One after the other."""

    def __init__(self, *, as_json: bool, title: str) -> None:
        self._as_json = as_json
        self._title = title
        self._is_first = True

    def draw(self, view: View) -> None:
        if self._as_json:
            print(json.dumps(view.facts, ensure_ascii=False), flush=True)
            return
        place = screen()
        now = time.strftime("%H:%M:%S", time.localtime(unix_now()))
        lines = [f"{self._title}  {now}", "", *view.lines(place)]
        if place.width is None:
            print(*lines, "", sep="\n", flush=True)
        else:
            self._redraw(lines, place.width)
        self._is_first = False

    def _redraw(self, lines: Sequence[str], width: int) -> None:
        height = max(2, shutil.get_terminal_size().lines - 1)
        if len(lines) > height:
            more = f"... {len(lines) - height + 1} more lines"
            lines = [*lines[: height - 1], cut(more, width)]
        text = "".join(f"{line}{_REST_OF_LINE}\n" for line in lines)
        start = _HOME + _FRESH if self._is_first else _HOME
        sys.stdout.write(start + text + _REST_OF_SCREEN)
        sys.stdout.flush()


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not LEAST_SECONDS <= value <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text}: accepted: from {LEAST_SECONDS:g} to {MOST_SECONDS:g} seconds"
        )
    return value
