"""What loading an ini file is for both ends: the text in its dialect, and [common].

The steps: read and render (source, template), scan in the chosen dialect (ini), expand ranges,
read each section by its rows (reader, fields), check across keys (check). The text is read in the
other dialect too, so that a file which the two frp eras understand differently is pointed out.
load_server and load_client have the rest, each for its end: a start imports one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from frpd.config.ini import ROOT, Dialect, IniTree, dialect_named, parse
from frpd.config.reader import SectionReader
from frpd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from frpd.config.fields import Rows
    from frpd.config.problems import Problems
    from frpd.config.template import Line

COMMON: Final = "common"
DIALECT_VARIABLE: Final = "FRP_INI_DIALECT"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """A configuration that can be used, and what its operator should be told.

    Attributes:
        value: the configuration.
        warnings: one line each; print or log them.
        refusals: protections (or carriers) that it asks for and that frpd cannot give yet. The
            file is readable, so tools may show it, but a daemon must not run on it.
    """

    value: T
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


class Text(NamedTuple):
    """One text in the chosen dialect, and in the other one if that can read it at all."""

    tree: IniTree
    rival: IniTree | None


def choose_dialect(dialect: str | None, environ: Mapping[str, str]) -> Dialect:
    """Return whose reading is followed."""
    return dialect_named(dialect or environ.get(DIALECT_VARIABLE) or Dialect.NEW.value)


def parse_text(lines: list[Line], dialect: Dialect) -> Text:
    """Read lines as both eras do."""
    tree = parse(lines, dialect)
    try:
        return Text(tree, parse(lines, dialect.other))
    except ConfigError:
        return Text(tree, None)  # frp of the other era would refuse the file: nothing to compare


def common_reader(text: Text, rows: Rows, problems: Problems) -> SectionReader:
    """A reader of [common], which may be missing; then misplaced keys are pointed out."""
    names = {row.name for row in rows}
    for key, (_, origin) in text.tree.sections.get(ROOT, {}).items():
        if key in names:
            problems.warn("stands before the first section and is ignored", origin, None, key)
    text.tree.sections.setdefault(COMMON, {})
    reader = SectionReader(text.tree, COMMON, problems, rival=text.rival)
    reader.report_unknown(rows)
    return reader
