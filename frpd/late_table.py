"""A table whose rows are imported when they are first asked for.

What a configuration does not name costs no start-up then: a proxy type, a plugin, a carrier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TypeVar, cast

T = TypeVar("T")


class LateTable(Mapping[str, T]):
    """Names to things in modules of one package.

    Args:
        package: whose modules they are.
        rows: for each name ``module:attribute``. A test sees that all are there.
    """

    __slots__ = ("_package", "_rows")

    def __init__(self, package: str, rows: Mapping[str, str]) -> None:
        self._package = package
        self._rows = rows

    def __getitem__(self, name: str) -> T:
        module, _, attribute = self._rows[name].partition(":")
        return cast("T", getattr(import_module(f"{self._package}.{module}"), attribute))

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def modules(self) -> set[str]:
        """Return the names of the modules that rows stand for."""
        return {f"{self._package}.{row.partition(':')[0]}" for row in self._rows.values()}
