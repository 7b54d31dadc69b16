"""One section of a text that was never a file, opened for reading, and what was said about it."""

from __future__ import annotations

from frpd.config.ini import Dialect, IniTree, parse
from frpd.config.problems import Problems
from frpd.config.reader import SectionReader
from tests.unit.config.test_ini import lines_of

OLD, NEW = Dialect.OLD, Dialect.NEW


def tree_of(text: str, dialect: Dialect = NEW) -> IniTree:
    """A text as the dialect reads it; its places are in x.ini."""
    return parse(lines_of(text), dialect)


class Opened:
    """A SectionReader together with the problems that it reports to."""

    def __init__(
        self,
        text: str,
        section: str,
        dialect: Dialect = NEW,
        *,
        compare: bool = False,
        from_flags: bool = False,
    ) -> None:
        self.problems = Problems()
        self.reader = SectionReader(
            tree_of(text, dialect),
            section,
            self.problems,
            rival=tree_of(text, dialect.other) if compare else None,
            from_flags=from_flags,
        )

    @property
    def errors(self) -> list[str]:
        return [str(error) for error in self.problems.errors]

    @property
    def warnings(self) -> list[str]:
        return self.problems.warnings

    @property
    def silent(self) -> bool:
        return not (self.errors or self.warnings or self.problems.refusals)
