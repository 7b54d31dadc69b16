r"""Field lines: one strict grammar for heads and trailers. RFC 9110 section 5, RFC 9112 section 5.

Text is bytes read as latin-1, so that one character is one byte; regular
expressions name ASCII ranges only, since ``\s``, ``\d`` and str.strip() know
more. Possessive quantifiers stand behind single characters only: behind groups
they match too much before Python 3.11.5 (cpython issue 106052). The one leniency:
obs-text (0x80 to 0xff) is allowed in values, because real user agents and
servers send UTF-8 there.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from frpd.proto.http.errors import HttpError

Fields: TypeAlias = list[tuple[str, str]]
"""Names as sent and values without the white space around them, in order."""

TCHAR: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
"""One character of a token."""
VCHAR: Final = r"[\t\x20-\x7e\x80-\xff]"
"""One character of a field value."""

# A match is a whole line, so as many matches as line ends are no line left out.
_FIELD: Final = re.compile(rf"(?<=\n)({TCHAR}++):[ \t]*+({VCHAR}*+)\r\n")
_TOKEN: Final = re.compile(rf"{TCHAR}++")
_OBS_FOLD: Final = re.compile(r"\n[ \t]")
_BARE: Final = re.compile(r"\r(?!\n)|(?<!\r)\n")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SPACE_BEFORE_COLON: Final = re.compile(rf"\n{TCHAR}*+[ \t]++:")


def parse_fields(text: str, start: int, most: int) -> Fields:
    """Return the fields of a section that ends with an empty line at the end of ``text``.

    Args:
        text: latin-1; the character before ``start`` is a line feed.
        start: where the first field line, or the empty line, begins.
        most: how many fields are allowed.

    Raises:
        HttpError: 400 for anything outside the grammar, 431 for too many.
    """
    lines = text.count("\n", start) - 1
    if lines > most:
        raise HttpError(431, "too many fields")
    fields = _FIELD.findall(text, start)
    if len(fields) != lines or not text.endswith("\n\r\n", start - 1):
        raise HttpError(400, _what_is_wrong(text, start))
    if " \r" in text or "\t\r" in text:
        fields = [(name, value.rstrip(" \t")) for name, value in fields]
    return fields


def is_token(text: str) -> bool:
    """Tell whether ``text`` is one token of RFC 9110."""
    return _TOKEN.fullmatch(text) is not None


def split_list(values: list[str]) -> list[str]:
    """Return the elements of a comma separated list over several fields, empty ones left out."""
    parts = ",".join(values).split(",")
    return [element for part in parts if (element := part.strip(" \t"))]


def _what_is_wrong(text: str, start: int) -> str:
    """Return a reason for a section that did not match."""
    before = start - 1
    for pattern, reason in (
        (_CONTROL, "control character in a field"),
        (_BARE, "bare line end"),
        (_OBS_FOLD, "folded field line"),
        (_SPACE_BEFORE_COLON, "space before the colon"),
    ):
        if pattern.search(text, before):
            return reason
    return "not a field line"
