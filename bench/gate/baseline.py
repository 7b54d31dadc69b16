"""The baseline: a commit, the machine it is good on, and its tree when it is needed."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import tomllib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from bench.tunnel import report
from bench.tunnel.implementations import Implementation
from bench.tunnel.processes import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_GIT_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Baseline:
    """What ``make bench-baseline`` stores."""

    commit: str
    machine: dict[str, str]
    date: str


def fingerprint() -> dict[str, str]:
    """Return what has to be the same for a comparison to be worth anything."""
    about = report.machine()
    return {name: str(about[name]) for name in ("processor", "cores", "python")}


def store(file: Path, root: Path, revision: str) -> Baseline:
    """Make a revision the baseline on this machine.

    Raises:
        MeasurementError: git does not know it.
    """
    commit = git(root, "rev-parse", "--verify", f"{revision}^{{commit}}").strip()
    baseline = Baseline(commit, fingerprint(), time.strftime("%Y-%m-%d %H:%M:%S"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(baseline), indent=1) + "\n", encoding="utf-8")
    return baseline


def load(file: Path) -> Baseline:
    """Read the baseline of this machine.

    Raises:
        MeasurementError: there is none, or it is another machine's.
    """
    try:
        baseline = Baseline(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise MeasurementError(f"no baseline in {file}; make bench-baseline stores one") from None
    except (ValueError, TypeError) as error:
        raise MeasurementError(f"{file} is no baseline: {error}") from None
    here = fingerprint()
    other = [name for name in here if here[name] != baseline.machine.get(name)]
    if other:
        raise MeasurementError(f"{file} is of another machine: {', '.join(other)} differ")
    return baseline


@contextlib.contextmanager
def checked_out(root: Path, commit: str, folder: Path) -> Iterator[Path]:
    """Have the commit's tree in ``folder`` for as long as the block lasts.

    Raises:
        MeasurementError: git does not have it.
    """
    git(root, "worktree", "add", "--detach", str(folder), commit)
    try:
        yield folder
    finally:
        git(root, "worktree", "remove", "--force", str(folder))


def programs(name: str, tree: Path) -> Implementation:
    """Return frps and frpc of this very tree, run by the Python at hand.

    Raises:
        MeasurementError: that Python would take frpd from elsewhere.
    """
    # -P: the folder we stand in is not looked at before the tree
    python = ["env", f"PYTHONPATH={tree}", sys.executable, "-P", "-c"]
    command = [*python, "import frpd; print(frpd.__file__)"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.stdout.strip() != str(tree / "frpd" / "__init__.py"):
        raise MeasurementError(f"{tree}: frpd comes from {done.stdout or done.stderr}")
    with (tree / "pyproject.toml").open("rb") as file:
        scripts = tomllib.load(file)["project"]["scripts"]

    def command_of(end: str) -> tuple[str, ...]:
        module, _, function = scripts[end].partition(":")
        return (*python, f"from {module} import {function}; {function}()", "-c")

    return Implementation(name, command_of("frps"), command_of("frpc"))


def with_bytecode(tree: Path) -> None:
    """Write the bytecode of the tree, as an installation has it: no start shall compile."""
    command = [sys.executable, "-m", "compileall", "-q", str(tree / "frpd")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise MeasurementError(f"{tree} does not compile: {done.stdout.strip()}")


def compiled(tree: Path) -> int:
    """Return how many modules of the tree are extensions."""
    return sum(1 for _ in (tree / "frpd").rglob("*.so"))


def git(root: Path, *arguments: str) -> str:
    """Return what git says.

    Raises:
        MeasurementError: it refuses.
    """
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False
    )
    if done.returncode:
        raise MeasurementError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
