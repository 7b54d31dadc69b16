"""Every target takes what its fuzzer has collected, and a few changes of it."""

from __future__ import annotations

import os
from random import Random

import pytest

from fuzz.__main__ import MAX_CORPUS_BYTES, MAX_FILES
from fuzz.mutation import mutate
from fuzz.registry import CORPUS, ROOT, TARGETS, Target

SEED = os.environ.get("FUZZ_SEED") or os.urandom(4).hex()
"""Another one in each run; a failure names the input itself."""

targets = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())


def skip_without_libraries(target: Target) -> None:
    for name in target.needs:
        pytest.importorskip(name)


def run(target: Target, data: bytes) -> None:
    try:
        target.load()(data)
    except BaseException as error:
        error.add_note(f"python -m fuzz {target.name}: found by {data.hex()}")
        raise


@targets
def test_what_was_collected_is_taken(target: Target) -> None:
    skip_without_libraries(target)
    for data in target.seeds():
        run(target, data)
    for path in target.corpus():
        run(target, path.read_bytes())


@targets
def test_changes_of_it_are_taken(target: Target) -> None:
    skip_without_libraries(target)
    inputs = [path.read_bytes() for path in target.corpus()] + list(target.seeds())
    random = Random(f"{SEED} {target.name}")
    for _ in range(target.mutations):
        run(target, mutate(inputs, random, target.max_bytes))


def test_each_module_is_a_target_and_each_folder_has_one() -> None:
    modules = {path.stem for path in (ROOT / "targets").glob("*.py")} - {"__init__"}
    assert modules == set(TARGETS)
    assert {path.name for path in CORPUS.iterdir()} <= set(TARGETS)


@targets
def test_a_corpus_stays_small(target: Target) -> None:
    sizes = [path.stat().st_size for path in target.corpus()]
    assert len(sizes) <= MAX_FILES
    assert sum(sizes) <= MAX_CORPUS_BYTES
