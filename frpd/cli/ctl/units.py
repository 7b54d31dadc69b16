"""Figures as people read them: bytes, times, and names that cannot hurt a terminal."""

from __future__ import annotations

from typing import Final

NOTHING: Final = "-"

_BYTE_UNITS: Final = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_TIME_UNITS: Final = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def byte_text(count: int | float) -> str:
    """Return a number of bytes: ``17 B``, ``1.5 MiB``, ``230 GiB``."""
    if count < 1024:
        return f"{count:.0f} B"
    size, unit = float(count), ""
    for unit in _BYTE_UNITS:  # noqa: B007 - the last one stays
        size /= 1024
        if size < 999.5:
            break
    return f"{size:.0f} {unit}" if size >= 99.95 else f"{size:.1f} {unit}"


def age_text(seconds: float | None) -> str:
    """Return a span of time by its two largest units: ``4s``, ``2m 5s``, ``3d 4h``."""
    if seconds is None:
        return NOTHING
    left = max(0, int(seconds))
    for index, (unit, size) in enumerate(_TIME_UNITS[:-1]):
        if left >= size:
            smaller, smaller_size = _TIME_UNITS[index + 1]
            rest = left % size // smaller_size
            return f"{left // size}{unit} {rest}{smaller}" if rest else f"{left // size}{unit}"
    return f"{left}s"


def milliseconds_text(value: float | None) -> str:
    """Return a time in ms: ``0.05 ms``, ``12.3 ms``, ``180 ms``."""
    if value is None:
        return NOTHING
    digits = 2 if value < 1 else 1 if value < 100 else 0
    return f"{value:.{digits}f} ms"


def plain(value: object) -> str:
    """Return a text on one line, without what a terminal would obey.

    Names come from clients, which anybody may be.
    """
    text = NOTHING if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
