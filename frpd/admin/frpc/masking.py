"""Secrets in the text of a configuration file: hidden from who reads it, kept for who writes it.

A mask in a text that comes back stands for the value that the file has in that place, so who
edits the file by the API need not know its secrets, and cannot lose them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from frpd.admin.config_view import MASK
from frpd.config.fields import CLIENT, PLUGINS, PROXY, PROXY_TYPES, VISITOR, VISITOR_TYPES
from frpd.config.kinds import Kind
from frpd.errors import ConfigError

_ROWS: Final = (
    *(CLIENT, PROXY, VISITOR),
    *PROXY_TYPES.values(),
    *VISITOR_TYPES.values(),
    *PLUGINS.values(),
)
SECRET_KEYS: Final = frozenset(
    row.name for rows in _ROWS for row in rows if row.kind is Kind.SECRET
)
"""Keys whose values nobody is shown, in any section."""

_SECTION: Final = re.compile(r"\s*\[(?P<name>.+)\]\s*")
_SETTING: Final = re.compile(
    r"(?P<head>\s*[\"`]*(?P<key>[\w-]+)[\"`]*\s*[=:]\s*)(?P<value>.*)", re.S
)
_QUOTES: Final = ('"""', "'''", "`")
_TEMPLATE: Final = re.compile(r"\{\{.*\}\}")


class _Secret(NamedTuple):
    """One secret of a text: its value may go over several lines.

    Attributes:
        place: section, key, and how often both were there before.
        head: of its first line, up to the value.
        value: without the end of its last line.
        end: of that line.
    """

    place: tuple[str, str, int]
    head: str
    value: str
    end: str


def masked(text: str) -> str:
    """Return a text in which a mask stands for each secret; a template is none."""
    return "".join(map(_shown, _parts(text)))


def unmasked(old: str, new: str) -> str:
    """Return a new text with the values of the old one where it has masks.

    Raises:
        ConfigError: the old text has no value for one of them.
    """
    values = {part.place: part.value for part in _parts(old) if isinstance(part, _Secret)}
    return "".join(_restored(part, values) for part in _parts(new))


def _shown(part: str | _Secret) -> str:
    if isinstance(part, str):
        return part
    hidden = part.value and not _TEMPLATE.fullmatch(part.value)
    return part.head + (MASK if hidden else part.value) + part.end


def _restored(part: str | _Secret, values: dict[tuple[str, str, int], str]) -> str:
    if isinstance(part, str):
        return part
    if part.value != MASK:
        return part.head + part.value + part.end
    section, key, _ = part.place
    if part.place not in values:
        reason = f"{MASK} stands for the value that the file has, and it has none; write it out"
        raise ConfigError(reason, section=section, key=key)
    return part.head + values[part.place] + part.end


def _parts(text: str) -> Iterator[str | _Secret]:
    """Yield a text in pieces: secrets, and all between them."""
    section = ""
    seen: defaultdict[tuple[str, str], int] = defaultdict(int)
    lines = iter(text.splitlines(keepends=True))
    for line in lines:
        heading, setting = _SECTION.fullmatch(line), _SETTING.fullmatch(line)
        if heading is not None:
            section = heading["name"].strip()
        if heading is not None or setting is None or setting["key"] not in SECRET_KEYS:
            yield line
            continue
        value = setting["value"]
        while _goes_on(value) and (more := next(lines, "")):
            value += more
        stripped = value.rstrip()
        place = (section, setting["key"])
        yield _Secret((*place, seen[place]), setting["head"], stripped, value[len(stripped) :])
        seen[place] += 1


def _goes_on(value: str) -> bool:
    """Whether the next line belongs to a value as well."""
    for quote in _QUOTES:
        if value.startswith(quote):
            return quote not in value[len(quote) :]
    return value.rstrip("\r\n").endswith("\\")
