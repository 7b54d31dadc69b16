"""What a reload is to the admin APIs: something that is begun on the loop and reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from frpd.config.load import COMMON
from frpd.config.problems import ConfigErrors
from frpd.errors import ConfigError

# What is wrong, in frp's numbers.
THE_FILE: Final = 1
THE_COMMON: Final = 2
A_SECTION: Final = 3
APPLYING: Final = 4


def code_of(error: Exception) -> int:
    """Return what is wrong with a file that cannot be used."""
    first = error.errors[0] if isinstance(error, ConfigErrors) else error
    if isinstance(first, ConfigError) and first.section is not None:
        return THE_COMMON if first.section == COMMON else A_SECTION
    return THE_FILE


class ReloadReport(NamedTuple):
    """How a reload went. With an error nothing was changed.

    Attributes:
        error: why the file cannot be used; "" for success.
        code: of an error, in frp's numbers: 1 the file, 2 [common], 3 proxies, 4 applying.
        added: names of proxies and visitors, or of keys.
        removed: the same.
        changed: the same.
        unchanged: how many are as they were.
        not_live: what was changed in the file and needs a restart.
        warnings: what the file's operator should be told.
    """

    error: str = ""
    code: int = 0
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: int = 0
    not_live: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


Reload: TypeAlias = Callable[[bool, Callable[[ReloadReport], None]], None]
"""``reload(strict, on_done)``: loop thread only; ``on_done`` is called once, on the loop.

With ``strict`` warnings of the file are errors.
"""

Plan: TypeAlias = Callable[[bool, str | None, Callable[[ReloadReport], None]], None]
"""``plan(strict, text, on_done)``: what a reload would do, and nothing is done.

Of the file as it is, or of another text in its place. Threads as for Reload.
"""
