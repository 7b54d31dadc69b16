"""docs/security.md: each limit in its table is what the code has, and has a test that hits it."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from frpd.config import fields
from frpd.config.penalties import NO_PENALTIES, PENALTIES

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
SECTIONS = {"": fields.SERVER, "a proxy": fields.PROXY, "a user": fields.USER}
ROW = re.compile(
    r"^\| (.+) \| `([\w.]+)`(?: of (a proxy|a user))? \| (.+) \| `([\w/]+)::(\w+)` \|$"
)


class Limit(NamedTuple):
    """One row of the table."""

    what: str
    key: str
    section: str
    default: str
    file: str
    test: str


def table() -> Iterable[Limit]:
    section = TEXT.split("\n## Limits\n")[1].split("\n## ")[0]
    for line in section.splitlines():
        if line.startswith("| ") and not line.startswith("| limit "):
            match = ROW.match(line)
            assert match, f"cannot be read: {line}"
            what, key, owner, default, file, test = match.groups()
            yield Limit(what, key, owner or "", default.strip("`"), file, test)


LIMITS = list(table())
KEYS = [limit for limit in LIMITS if "." not in limit.key]
CONSTANTS = [limit for limit in LIMITS if "." in limit.key]


def spelled(default: object) -> str:
    """Return how the table writes a default."""
    if default == PENALTIES:
        return "on"
    if isinstance(default, tuple):
        return ", ".join(default) or "none"
    return str(default)


def test_the_table_is_there() -> None:
    assert len(KEYS) > 20
    assert len(CONSTANTS) > 40
    assert NO_PENALTIES != PENALTIES


@pytest.mark.parametrize("limit", KEYS, ids=lambda limit: f"{limit.key} {limit.section}".strip())
def test_a_key_has_the_default_that_is_told(limit: Limit) -> None:
    defaults = [field.default for field in SECTIONS[limit.section] if field.name == limit.key]
    assert [spelled(default) for default in defaults] == [limit.default]


def test_constants_have_the_values_that_are_told() -> None:
    wrong = []
    for limit in CONSTANTS:
        module, _, name = limit.key.rpartition(".")
        value = getattr(importlib.import_module(f"frpd.{module}"), name)
        if value != float(limit.default):
            wrong.append(f"{limit.key} is {value}, not {limit.default}")
    assert wrong == []


def test_each_limit_has_a_test_that_hits_it() -> None:
    missing = []
    for limit in LIMITS:
        path = ROOT / "tests" / f"{limit.file}.py"
        if not path.is_file() or f"\ndef {limit.test}(" not in path.read_text(encoding="utf-8"):
            missing.append(f"{limit.what}: {limit.file}::{limit.test}")
    assert missing == []


def test_the_way_to_report_a_hole_leads_here() -> None:
    report = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "docs/security.md" in report
    assert "SECURITY.md" in TEXT
    assert not re.search(r"[\w.]+@[\w.]+", report), "an address is the maintainers' to give"
