from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bench.gate import baseline
from bench.gate.baseline import checked_out, fingerprint, git, load, programs, store, with_bytecode
from bench.tunnel.processes import MeasurementError

ROOT = Path(__file__).resolve().parents[4]

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q")
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.net", "-c", "commit.gpgsign=false")
    for words in ("old", "new"):
        (root / "words").write_text(words)
        git(root, "add", "words")
        git(root, *who, "commit", "-q", "-m", words)
    return root


def test_what_was_stored_is_loaded(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "build" / "baseline.json"
    stored = store(file, repository, "HEAD~1")
    assert load(file) == stored
    assert stored.commit == git(repository, "rev-parse", "HEAD~1").strip()


def test_an_unknown_revision_is_refused(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="git rev-parse"):
        store(tmp_path / "baseline.json", repository, "no-such")


def test_the_tree_of_the_commit_is_there_while_it_is_needed(
    repository: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tree"
    with checked_out(repository, "HEAD~1", folder):
        assert (folder / "words").read_text() == "old"
        assert (repository / "words").read_text() == "new"
    assert not folder.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_a_baseline_of_another_machine_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(json.dumps({"commit": "1", "date": "today", "machine": fingerprint()}))
    assert load(file).commit == "1"
    monkeypatch.setattr(baseline, "fingerprint", lambda: {**fingerprint(), "cores": "640"})
    with pytest.raises(MeasurementError, match="of another machine: cores differ"):
        load(file)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"commit": "1"}'])
def test_what_is_no_baseline_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(text)
    with pytest.raises(MeasurementError, match="is no baseline"):
        load(file)


def test_no_baseline_says_how_to_store_one(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="make bench-baseline"):
        load(tmp_path / "baseline.json")


def test_programs_are_those_of_the_tree() -> None:
    one = programs("now", ROOT)
    assert one.server[1] == one.client[1] == f"PYTHONPATH={ROOT}"
    assert "frpd.cli.frps" in one.server[-2]
    assert "frpd.cli.frpc" in one.client[-2]


def test_a_tree_whose_frpd_would_not_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="frpd comes from"):
        programs("now", tmp_path)


def test_a_tree_has_bytecode_before_it_is_measured(tmp_path: Path) -> None:
    (tmp_path / "frpd").mkdir()
    (tmp_path / "frpd" / "one.py").write_text("x = 1")
    with_bytecode(tmp_path)
    assert len(list((tmp_path / "frpd").rglob("*.pyc"))) == 1
    (tmp_path / "frpd" / "two.py").write_text("x =")
    with pytest.raises(MeasurementError, match="does not compile"):
        with_bytecode(tmp_path)
