"""frp's two ini dialects, read through ConfigObj without loss.

A scanner of ours cuts the text as frp's own parsers did: OLD as frp 0.20 to 0.35 (go-ini), NEW
as 0.36 and later (ini.v1). ConfigObj alone would cut values at ``#``, refuse ``;`` comments and
repeated keys, and strip quotes; so it gets the scanned result as lines in which names and values
are percent-encoded, each section and each key once. docs/adr/0002-ini-dialect.md has the story.

Knows text and places only: which keys exist and what they mean is for fields.py.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from configobj import ConfigObj

from frpd.config.problems import Origin, located
from frpd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from frpd.config.template import Line

# What Go takes for white space; str.strip() without argument would also eat \x1c to \x1f.
WHITE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
ROOT = ""  # keys that stand before the first section
_ROOT_CODE = "%"  # stands for ROOT where ConfigObj wants a name; no encoded name is a bare %
_SAFE = "/:,.-_@*"
_MAX_VALUE = 65536
_MAX_REPLACEMENTS = 99
MAX_PARENTS = 64
"""So many dots of a section's name, from its end, are asked whose keys it inherits."""
_REFERENCE = re.compile(r"%\(([^)]+)\)s")
_DELIMITER = re.compile("[=:]")


class Dialect(enum.Enum):
    """Whose reading of ini files is followed."""

    OLD = "old"
    NEW = "new"

    @property
    def other(self) -> Dialect:
        """The reading to compare with."""
        return Dialect.NEW if self is Dialect.OLD else Dialect.OLD


class Entry(NamedTuple):
    """A key's text and where it stands."""

    value: str
    origin: Origin | None  # None = it came from the command line


Section = dict[str, Entry]


@dataclass(slots=True)
class IniTree:
    """Sections in file order; `origins` says where each section's first header stands."""

    dialect: Dialect
    sections: dict[str, Section] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)

    def lookup(self, section: str, key: str) -> tuple[str, Entry] | None:
        """Find a key and the section that has it; NEW asks the parents of a dotted section."""
        entry = self.sections.get(section, {}).get(key)
        if entry is not None:
            return section, entry
        if self.dialect is Dialect.NEW:
            for parent in _parents(section):
                entry = self.sections.get(parent, {}).get(key)
                if entry is not None:
                    return parent, entry
        return None

    def expanded(self, section: str, key: str) -> Entry | None:
        """Find a key and, in NEW, replace the ``%(name)s`` in its value.

        Raises:
            ConfigError: the replacements grow without end.
        """
        found = self.lookup(section, key)
        if found is None or self.dialect is Dialect.OLD:
            return found and found[1]
        owner, (value, origin) = found
        for _ in range(_MAX_REPLACEMENTS):
            reference = _REFERENCE.search(value)
            if reference is None:
                break
            name = reference[1]
            other = None if name == key else self.lookup(owner, name)
            other = other or self.lookup(ROOT, name)
            if other is None:
                break
            added = len(other[1].value) - len(reference[0])
            if len(value) + value.count(reference[0]) * added > _MAX_VALUE:
                raise located("%(name)s replacements grow without end", origin, section, key)
            value = value.replace(reference[0], other[1].value)
        return Entry(value, origin)


def _parents(section: str) -> Iterator[str]:
    """Yield what stands before the last dot of a name, before the last but one and so on."""
    for _ in range(MAX_PARENTS):
        section, dot, _ = section.rpartition(".")
        if not dot:
            return
        yield section


def parse(lines: Iterable[Line], dialect: Dialect) -> IniTree:
    """Read lines in one dialect.

    Raises:
        ConfigError: the first syntax error, with its place.
    """
    tree = _scan_old(lines) if dialect is Dialect.OLD else _NewScanner(lines).scan()
    return _through_configobj(tree)


def _scan_old(lines: Iterable[Line]) -> IniTree:
    tree = IniTree(Dialect.OLD)
    section = ROOT
    for text, origin in lines:
        line = text.strip(WHITE)
        if not line or line[0] in "#;":
            continue
        key, equals, value = line.partition("=")
        if equals and key:  # an "=" wins over brackets
            target = tree.sections.setdefault(section, {})
            target[key.strip(WHITE)] = Entry(value.strip(WHITE), origin)
        elif len(line) > 1 and line[0] == "[" and line[-1] == "]":
            section = line[1:-1].strip(WHITE) or ROOT
            tree.sections.setdefault(section, {})
            tree.origins.setdefault(section, origin)
        else:
            message = f"invalid INI syntax on line {origin.line}: {_first_word(line)}"
            raise located(f"{message} (accepted: [section], key = value)", origin, None, None)
    return tree


def _first_word(line: str) -> str:
    """Enough of a broken line to find it; what follows may be somebody's password."""
    word = re.split(r"[ \t]", line, maxsplit=1)[0][:40]
    return word if word.isprintable() else repr(word)


class _NewScanner:
    """The NEW dialect line by line; values may take further lines from the same iterator."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._rest: Iterator[Line] = iter(lines)
        self._tree = IniTree(Dialect.NEW, {ROOT: {}})
        self._section = ROOT
        self._unnamed = 0  # keys "-" met in this section

    def scan(self) -> IniTree:
        for text, origin in self._rest:
            line = text.lstrip(WHITE)
            if not line or line[0] in "#;":
                continue
            if line[0] == "[":
                self._open_section(line, origin)
            else:
                self._take_key(line, origin)
        return self._tree

    def _open_section(self, line: str, origin: Origin) -> None:
        end = line.rfind("]")
        # ini.v1 keeps blanks inside the brackets; [ common ] is forgiven here on purpose.
        name = line[1:end].strip(WHITE) if end >= 0 else ""
        if not name:
            wrong = "unclosed section" if end < 0 else "empty section name"
            raise located(f"{wrong}: {_first_word(line)}", origin, None, None)
        self._section = ROOT if name == "DEFAULT" else name
        self._unnamed = 0
        self._tree.sections.setdefault(self._section, {})
        self._tree.origins.setdefault(self._section, origin)

    def _take_key(self, line: str, origin: Origin) -> None:
        fence = _key_fence(line)
        start = after = len(fence)
        close = 0
        if fence:
            close = line.find(fence, start)
            if close < 0:
                raise located(f"missing closing key quote: {_first_word(line)}", origin, None, None)
            after = close + start
        mark = _DELIMITER.search(line, after)
        if mark is None:  # a bare word means "= true"
            key, value = self._value(line, origin), "true"
        else:
            key = line[start:close] if fence else line[: mark.start()]
            key = self._numbered(key.strip(WHITE))
            value = self._value(line[mark.end() :], origin) if key else ""
        if not key:
            raise located("empty key name", origin, self._section or None, None)
        self._tree.sections[self._section][key] = Entry(value, origin)

    def _numbered(self, key: str) -> str:
        if key != "-":
            return key
        self._unnamed += 1
        return f"#{self._unnamed}"

    def _value(self, text: str, origin: Origin) -> str:
        """The value that begins in `text`, which is what follows the delimiter, with its LF."""
        text = text.lstrip(WHITE)
        if text.startswith('"""') and len(text) > len('"""'):
            return self._fenced(text, '"""', origin)
        if text.startswith("`"):
            return self._fenced(text, "`", origin)
        text = text.strip(WHITE)
        if text.endswith("\\"):
            return self._continued(text)
        for mark in "'\"":
            if len(text) > 1 and text[0] == mark and text.find(mark, 1) == len(text) - 1:
                return text[1:-1]
        return text

    def _fenced(self, text: str, fence: str, origin: Origin) -> str:
        end = text.rfind(fence, len(fence))
        if end >= 0:
            return text[len(fence) : end]  # text behind the fence is dropped
        body = [text[len(fence) :]]
        for following, _ in self._rest:
            end = following.rfind(fence)
            if end >= 0:
                return "".join(body) + following[:end]
            body.append(following)
        raise located(f"value opened with {fence} is never closed", origin, self._section, None)

    def _continued(self, text: str) -> str:
        parts = [text[:-1]]
        for following, _ in self._rest:
            stripped = following.strip(WHITE)
            parts.append(stripped.removesuffix("\\"))
            if not stripped.endswith("\\"):
                break
        return "".join(parts)


def _key_fence(line: str) -> str:
    if line[0] == '"':
        return '"""' if line.startswith('"""') and len(line) > 2 * len('"""') else '"'
    return "`" if line[0] == "`" else ""


def _encode(text: str) -> str:
    return quote(text, safe=_SAFE, errors="surrogateescape")


def _decode(text: str) -> str:
    return unquote(text, errors="surrogateescape")


def _through_configobj(tree: IniTree) -> IniTree:
    """Hand the scanned text to ConfigObj in lines it cannot misread, and take it back."""
    lines: list[str] = []
    for name, section in tree.sections.items():
        lines.append(f"[{_encode(name) or _ROOT_CODE}]")
        lines += [f"{_encode(key)} = {_encode(value)}" for key, (value, _) in section.items()]
    config = ConfigObj(lines, list_values=False, interpolation=False)
    sections = {}
    for coded in config.sections:
        name = ROOT if coded == _ROOT_CODE else _decode(coded)
        origins = tree.sections[name]
        sections[name] = {
            key: Entry(_decode(text), origins[key].origin)
            for key, text in ((_decode(key), text) for key, text in config[coded].items())
        }
    return IniTree(tree.dialect, sections, tree.origins)


def dialect_named(name: str) -> Dialect:
    """The dialect called `old` or `new`. Raises ConfigError for any other name."""
    try:
        return Dialect(name)
    except ValueError:
        raise ConfigError(f"{name!r} is no ini dialect; accepted: old, new") from None
