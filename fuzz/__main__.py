"""Runs fuzzers: python -m fuzz TARGET|all [--seconds 300] [--jobs 1] [--minimize]."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from fuzz.registry import FINDINGS, TARGETS, Target

MAX_FILES: Final = 200
"""Most inputs that a target's corpus keeps."""
MAX_CORPUS_BYTES: Final = 100_000
INPUT_SECONDS: Final = 10
"""An input that takes longer is a finding."""
MEMORY_MIB: Final = 1024
"""So is one that takes more."""
_GRACE_SECONDS: Final = 120
_SHOWN_BYTES: Final = 4096

_STATUS = re.compile(r"#\d+\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)")
_STAT = re.compile(r"^stat::(\w+):\s+(\d+)", re.MULTILINE)


class Run(NamedTuple):
    """What one run of one target has come to."""

    target: Target
    executions: int
    per_second: int
    edges: int
    features: int
    inputs: int
    findings: list[Path]

    def row(self) -> str:
        """Return it as a row of the table in docs/reliability.md."""
        return (
            f"| {self.target.name} | {self.executions:,} | {self.per_second:,} | {self.edges} |"
            f" {self.features} | {self.inputs} | {len(self.findings)} |"
        )


def main() -> int:
    """Run what the command line names; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--seconds", type=int, default=300, help="for each target")
    parser.add_argument("--jobs", type=int, default=1, help="targets at the same time")
    parser.add_argument(
        "--minimize", action="store_true", help="make the corpus small instead of running"
    )
    options = parser.parse_args()
    chosen = list(TARGETS.values()) if options.target == "all" else [TARGETS[options.target]]
    if options.minimize:
        for target in chosen:
            print(f"{target.name}: {minimize(target)} inputs", flush=True)
        return 0
    found = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for run in pool.map(lambda target: fuzz(target, options.seconds), chosen):
            print(run.row(), flush=True)
            found += len(run.findings) or not run.executions  # a run that ran nothing is no success
            for path in run.findings:
                print(f"    {path}: {path.read_bytes()[:_SHOWN_BYTES].hex()}", flush=True)
    return 1 if found else 0


def fuzz(target: Target, seconds: int) -> Run:
    """Run one target and put what it learnt into its corpus."""
    findings = FINDINGS / target.name
    findings.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    with tempfile.TemporaryDirectory(prefix="fuzz-") as work:
        learnt, words = Path(work) / "learnt", Path(work) / "words"
        learnt.mkdir()
        _plant(target, learnt)
        escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words())
        # libFuzzer takes no empty file.
        words.write_text("# words\n" + "".join(f'"{word}"\n' for word in escaped))
        with (findings / "log").open("w", encoding="utf-8", errors="replace") as log:
            arguments = (
                f"-max_total_time={seconds}",
                f"-timeout={INPUT_SECONDS}",
                f"-rss_limit_mb={MEMORY_MIB}",
                f"-artifact_prefix={findings}/",
                f"-dict={words}",
                "-len_control=20",
                "-print_final_stats=1",
            )
            _engine(target, [*arguments, str(learnt)], log.fileno(), seconds + _GRACE_SECONDS)
        text = (findings / "log").read_text("utf-8", "replace")
        merge(target, learnt)
    stats = {name: int(value) for name, value in _STAT.findall(text)}
    edges, features, inputs = map(int, (_STATUS.findall(text) or [(0, 0, 0)])[-1])
    executions = stats.get("number_of_executed_units", 0)
    per_second = stats.get("average_exec_per_sec", 0)
    new = sorted(path for path in findings.iterdir() if path.name != "log" and path not in before)
    return Run(target, executions, per_second, edges, features, inputs, new)


def merge(target: Target, learnt: Path) -> int:
    """Make a corpus of what covers as much as ``learnt``, smallest first; return its size."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as work:
        kept = Path(work)
        _engine(target, ["-merge=1", str(kept), str(learnt)], subprocess.DEVNULL, 600)
        files = sorted(kept.iterdir(), key=lambda path: (path.stat().st_size, path.name))
        if not files:
            return len(target.corpus())
        shutil.rmtree(target.folder, ignore_errors=True)
        target.folder.mkdir(parents=True)
        total = 0
        for path in files[:MAX_FILES]:
            total += path.stat().st_size
            if total > MAX_CORPUS_BYTES:
                break
            shutil.copyfile(path, target.folder / path.name[:16])
    return len(target.corpus())


def minimize(target: Target) -> int:
    """Leave the inputs out that cover nothing of their own; return how many stay."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as work:
        _plant(target, Path(work))
        return merge(target, Path(work))


def _plant(target: Target, folder: Path) -> None:
    """Put the corpus and the target's own seeds into a folder."""
    for path in target.corpus():
        shutil.copyfile(path, folder / path.name)
    for index, data in enumerate(target.seeds()):
        (folder / f"seed-{index}").write_bytes(data)


def _engine(target: Target, arguments: list[str], output: int, seconds: float) -> None:
    command = [sys.executable, "-m", "fuzz.engine", target.name, f"-max_len={target.max_bytes}"]
    # Hashes that are the same each time, so that an input does the same each time.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    subprocess.run(
        [*command, *arguments],
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        timeout=seconds,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
