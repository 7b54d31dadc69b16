"""Range requests: which bytes of a file are asked for. RFC 9110 section 14.

Sans-IO. A field that cannot be understood is ignored, as the RFC allows for any
Range, so the whole file is sent then.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

MAX_RANGES: Final = 16
"""Most ranges in one request; nobody needs more, and each costs a part of its own."""
_MAX_DIGITS: Final = 19

Span: TypeAlias = tuple[int, int]
"""Bytes from the first number on, up to and without the second."""

_UNIT: Final = re.compile(r"bytes[ \t]*=[ \t]*(.*)", re.IGNORECASE | re.ASCII | re.DOTALL)
_SPEC: Final = re.compile(rf"([0-9]{{0,{_MAX_DIGITS}}})-([0-9]{{0,{_MAX_DIGITS}}})")


def parse_ranges(value: str, size: int) -> list[Span] | None:
    """Return the spans of a file that a Range value asks for.

    Args:
        value: of the field.
        size: of the file.

    Returns:
        The spans in the order asked for; none of them: 416. Or None: the field is
        to be ignored, because it is malformed, or asks for more than the file holds.
    """
    match = _UNIT.fullmatch(value)
    if match is None:
        return None
    specs = [spec for part in match[1].split(",") if (spec := part.strip(" \t"))]
    if not 0 < len(specs) <= MAX_RANGES:
        return None
    spans: list[Span] = []
    for spec in specs:
        span = _span(spec, size)
        if span is None:
            return None
        if span[0] < span[1]:
            spans.append(span)
    if sum(end - start for start, end in spans) > size:
        return None  # overlapping ranges only make work
    return spans


def content_range(span: Span, size: int) -> str:
    """Return the value of Content-Range for a span."""
    return f"bytes {span[0]}-{span[1] - 1}/{size}"


def _span(spec: str, size: int) -> Span | None:
    """Return what one range means, empty where the file has nothing there; None: malformed."""
    match = _SPEC.fullmatch(spec)
    if match is None or spec == "-":
        return None
    first, last = match.groups()
    if not first:
        return size - min(int(last), size), size
    start = int(first)
    if not last:
        return min(start, size), size
    end = int(last) + 1
    return None if end <= start else (min(start, size), min(end, size))
