"""What an administrator types, and waiting until it has come true."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_SECONDS = 90.0


class Failed(Exception):
    """Something is not as it has to be."""


def run(*command: str, ok: bool = True) -> str:
    """Run a command and return what it printed.

    Raises:
        Failed: its status is not 0, or is 0 and `ok` is False.
    """
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if (done.returncode == 0) != ok:
        expected = "0" if ok else "another than 0"
        raise Failed(
            f"{' '.join(command)}: status {done.returncode}, not {expected}\n{done.stdout}"
        )
    return done.stdout


def check(is_true: object, what: str) -> None:
    """Raise Failed unless it is true."""
    if not is_true:
        raise Failed(what)


def wait_until(
    is_true: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS
) -> float:
    """Wait for something to become true; return how many seconds that took."""
    begin = time.monotonic()
    while not is_true():
        if time.monotonic() - begin > seconds:
            raise Failed(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - begin


def apt(*arguments: str) -> str:
    """Run apt-get as a script would."""
    return run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", *arguments)


def systemctl(*arguments: str, ok: bool = True) -> str:
    """Run systemctl."""
    return run("systemctl", *arguments, ok=ok)


def shown(unit: str, name: str) -> str:
    """Return a property of a unit."""
    return systemctl("show", "--value", f"--property={name}", unit).strip()


def main_pid(unit: str) -> int:
    """Return the process id of a service; 0 if none runs."""
    return int(shown(unit, "MainPID"))


def is_active(unit: str) -> bool:
    """Whether a service is up, by its own word."""
    return shown(unit, "ActiveState") == "active"


def journal(unit: str, lines: int = 200) -> str:
    """Return the end of a unit's log."""
    return run("journalctl", "--no-pager", "--output=cat", f"--lines={lines}", f"--unit={unit}")


def files() -> set[str]:
    """Return every path that a package could have left, directories included."""
    skipped = ("/proc", "/sys", "/dev", "/run", "/tmp", "/v", "/var/tmp", "/var/cache", "/var/log")
    own = ("/var/lib/dpkg", "/var/lib/apt", "/var/lib/systemd", "/etc/.pwd.lock")
    found = run("find", "/", "-xdev", *_pruned(skipped + own), "-print").splitlines()
    return {path for path in found if "__pycache__" not in path}


def _pruned(places: tuple[str, ...]) -> list[str]:
    words = ["("]
    for place in places:
        words += ["-path", place, "-o"]
    return [*words[:-1], ")", "-prune", "-o"]


def write(path: str, text: str) -> None:
    """Replace a file's text; owner and mode stay."""
    with Path(path).open("w", encoding="utf-8") as file:
        file.write(text)


def add(path: str, text: str) -> None:
    """Add to the end of a file."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(text)
