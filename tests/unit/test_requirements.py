"""The locked libraries of requirements/: within their bounds, and each file with its hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

# A line of a lock: name, version, and where it counts; then its hashes, one a line.
PIN = re.compile(r"^([a-z0-9-]+)==([0-9][\w.]*)( ; [^\\]+)?$")
HASH = re.compile(r"^--hash=sha256:[0-9a-f]{64}$")
WANTED = re.compile(r"^([A-Za-z0-9_.-]+)(?:>=([0-9.]+))?$")

# Each lock, and what it is made from.
SOURCES: dict[str, list[str]] = {
    "runtime": [*PROJECT["dependencies"], *EXTRAS["accel"]],
    "full": [
        *PROJECT["dependencies"],
        *(
            need
            for extra in ("accel", "completion", "oidc", "quic", "ssh")
            for need in EXTRAS[extra]
        ),
    ],
    "dev": [*PROJECT["dependencies"], *EXTRAS["accel"], *EXTRAS["dev"]],
    "build": ["setuptools>=61"],
    "ansible": ["ansible-core>=2.16", "ansible-lint>=24.12"],
    "molecule": ["ansible-core>=2.16", "ansible-lint>=24.12", "molecule"],
}


def entries(lock: str) -> list[list[str]]:
    """Return a lock's entries, each split at its continuation lines."""
    text = (FOLDER / f"{lock}.txt").read_text(encoding="utf-8")
    said = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = said.replace(" \\\n", "\0").splitlines()
    return [[part.strip() for part in entry.split("\0")] for entry in joined if entry.strip()]


def pins(lock: str) -> dict[str, list[str]]:
    """Return the versions of each name; two where Pythons differ."""
    found: dict[str, list[str]] = {}
    for head, *_ in entries(lock):
        match = PIN.match(head)
        assert match, head
        found.setdefault(match[1], []).append(match[2])
    return found


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def test_each_lock_has_its_sources() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.txt")) == sorted(SOURCES)


@pytest.mark.parametrize("lock", SOURCES)
def test_a_lock_has_all_that_is_wanted_within_its_bounds(lock: str) -> None:
    locked = pins(lock)
    for need in SOURCES[lock]:
        match = WANTED.match(need)
        assert match, f"{need}: teach this test what that means"
        name = match[1].lower().replace("_", "-")
        assert name in locked, f"{lock}.txt lacks {need}: make lock"
        for version in locked[name]:
            assert numbers(version) >= numbers(match[2] or "0"), f"{need}: make lock"


@pytest.mark.parametrize("lock", SOURCES)
def test_each_file_has_a_hash_and_nothing_else_is_said(lock: str) -> None:
    for head, *hashes in entries(lock):
        assert PIN.match(head), head
        assert hashes, f"{head} has no hash"
        assert [line for line in hashes if not HASH.match(line)] == []


@pytest.mark.parametrize("lock", SOURCES)
def test_no_index_is_named(lock: str) -> None:
    assert "://" not in (FOLDER / f"{lock}.txt").read_text(encoding="utf-8")


def test_the_smaller_locks_are_of_one_mind_with_the_larger() -> None:
    small, full, dev = (pins(lock) for lock in ("runtime", "full", "dev"))
    for larger in (full, dev):
        assert {name: larger.get(name) for name in small} == small
