"""Tables for people, laid out by tabulate, and made to fit a terminal first."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from frpd.cli.ctl.units import plain

GAP: Final = 2
LEAST_WIDTH: Final = 6
"""No column gets narrower, if there is another way."""
ELLIPSIS: Final = "…"
INDENT: Final = "  "

GOOD: Final = "32"
BAD: Final = "31"
DOUBTFUL: Final = "33"

_FILLER: Final = "\x00"
"""No cell has it: plain() lets nothing pass that cannot be printed."""


class Column(NamedTuple):
    """One column.

    Attributes:
        title: its heading.
        is_number: whether it is aligned to the right, and never cut while others can be.
        colours: cells that have one, and which: GOOD, BAD or DOUBTFUL.
    """

    title: str
    is_number: bool = False
    colours: tuple[tuple[str, str], ...] = ()


class Screen(NamedTuple):
    """What is written on.

    Attributes:
        width: in letters; None where lines may be as long as they like.
        colour: whether it knows colours, and whoever looks at it wants them.
    """

    width: int | None = None
    colour: bool = False


PAPER: Final = Screen()
"""A file or a pipe."""


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[object]], screen: Screen, indent: str = ""
) -> list[str]:
    """Return the lines of a table, heading first; no row, no line."""
    # It takes a quarter of a start, and --json needs it not.
    import tabulate  # noqa: PLC0415

    tabulate.WIDE_CHARS_MODE = False  # it would need wcwidth; see _filled
    cells = [[plain(cell) for cell in row] for row in rows]
    if not cells:
        return []
    # A heading of tabulate's own would get room to both its sides, at the cost of the cells.
    cells.insert(0, [column.title for column in columns])
    fits = True
    if screen.width is not None:
        are_numbers = [column.is_number for column in columns]
        fits = _fit(cells, are_numbers, screen.width - len(indent))
    if screen.colour and fits:
        for row in cells[1:]:
            row[:] = map(_painted, columns, row)
    text = tabulate.tabulate(
        [list(map(_filled, row)) for row in cells],
        tablefmt="plain",
        disable_numparse=True,
        colalign=["right" if column.is_number else "left" for column in columns],
    )
    lines = (indent + line.replace(_FILLER, "").rstrip() for line in text.splitlines())
    return [line if fits or screen.width is None else cut(line, screen.width) for line in lines]


def pairs(facts: Iterable[tuple[str, object]], screen: Screen, indent: str = "") -> list[str]:
    """Return lines of names and values; a value that is "" or None is left out."""
    known = [(name, plain(value)) for name, value in facts if value not in ("", None)]
    wide = max((len(name) for name, _ in known), default=0) + GAP
    lines = []
    for name, value in known:
        start = f"{indent}{name}".ljust(len(indent) + wide)
        lines += wrapped(value, screen, start, " " * len(start))
    return lines


def wrapped(text: str, screen: Screen, first: str = "", rest: str = "") -> list[str]:
    """Return a sentence in lines that fit."""
    if screen.width is None or room_of(first + text) <= screen.width:
        return [first + text]
    # Slow, and hardly ever needed.
    import textwrap  # noqa: PLC0415

    width = max(screen.width, len(first) + LEAST_WIDTH)
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest)


def room_of(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def cut(text: str, width: int) -> str:
    """Return a text that takes no more room than that."""
    if room_of(text) <= width:
        return text
    text = text[: max(0, width - 1)]
    while text and room_of(text) > width - 1:
        text = text[:-1]
    return text.rstrip() + ELLIPSIS


def _fit(rows: Sequence[list[str]], are_numbers: Sequence[bool], width: int) -> bool:
    """Cut cells until the table is no wider than that; False if that cannot be."""
    widths = [max(map(room_of, column)) for column in zip(*rows, strict=True)]
    limits = list(widths)
    excess = sum(widths) + GAP * (len(widths) - 1) - width
    while excess > 0:
        able = [i for i, limit in enumerate(limits) if limit > LEAST_WIDTH and not are_numbers[i]]
        if not able:
            break
        limits[max(able, key=limits.__getitem__)] -= 1
        excess -= 1
    for row in rows:
        row[:] = [
            cell if room_of(cell) <= limit else cut(cell, limit)
            for cell, limit in zip(row, limits, strict=True)
        ]
    return excess <= 0


def _filled(cell: str) -> str:
    """Return a cell that has as many letters as it takes columns; the fillers go later."""
    return cell if cell.isascii() else cell + _FILLER * (room_of(cell) - len(cell))


def _painted(column: Column, cell: str) -> str:
    for text, code in column.colours:
        if cell == text:
            return f"\x1b[{code}m{cell}\x1b[0m"
    return cell
