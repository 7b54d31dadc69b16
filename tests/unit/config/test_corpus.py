"""Ini files of all years mean what they meant; tests/interop holds the golden files against Go."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.corpus import (
    EXPECTED,
    LAST_OLD,
    MILDER,
    OTHERWISE,
    PROGRAMS,
    STRICTER,
    corpus_files,
    first_version,
    golden,
    meaning,
    name_of,
    names_in,
)

FILES = [path for program in PROGRAMS for path in corpus_files(program)]
MIGRATE = Path(__file__).parents[3] / "docs" / "migrate.md"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_means_what_it_meant(path: Path) -> None:
    """What has changed on purpose is written by ``python -m tests.helpers.corpus``."""
    dialects = ["new", "old"] if first_version(path)[1] <= LAST_OLD else ["new"]
    for dialect in dialects:
        assert meaning(path, dialect) == golden(path, dialect), dialect


def test_the_corpus_is_as_large_as_promised_and_has_no_strays() -> None:
    names = {name_of(path) for path in FILES}
    good = [path for path in FILES if "problems" not in golden(path, "new")]
    assert len(good) >= 40
    assert {f"{path.parent.name}/{path.stem}" for path in EXPECTED.glob("*/*.json")} == names
    assert {*names_in(STRICTER), *names_in(MILDER), *OTHERWISE} <= names


@pytest.mark.parametrize("reason", [*STRICTER, *MILDER])
def test_the_manual_names_each_difference_of_verify(reason: str) -> None:
    assert f"- {reason}\n" in MIGRATE.read_text("utf-8")
