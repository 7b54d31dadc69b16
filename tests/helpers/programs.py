"""Real processes for the end-to-end tests: started, listened to, and always killed."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Settings = Mapping[str, object]

SECONDS = 15.0  # for whatever should happen at once, on a machine that is busy
POLL_SECONDS = 0.01
MAX_PIPE_ENDS = 80  # 32 MiB of pipes in use, and some to spare
BIN = Path(sys.executable).parent


def need_tool(name: str) -> str:
    """Return the path of a program; skip the test where it is missing, fail it in CI."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin")
    if path is not None:
        return path
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(f"{name} is not installed, and CI must have it")
    pytest.skip(f"{name} is not installed")


def wait_until(probe: Callable[[], object], what: str, seconds: float = SECONDS) -> float:
    """Poll until the probe holds; return the seconds that it took."""
    begun = time.monotonic()
    while not probe():
        if time.monotonic() - begun > seconds:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - begun


def want_descriptors(count: int) -> None:
    """Raise the limit of open files for this process and its children; skip if it cannot be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        pytest.skip(f"needs {count} open files, the hard limit is {hard}")
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def ini(sections: Mapping[str, Settings]) -> str:
    """Return the text of an ini file."""
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {_text(value)}\n" for key, value in settings.items())
        for name, settings in sections.items()
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def without_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which no proxy of this machine comes between two programs."""
    return {name: value for name, value in environ.items() if not name.lower().endswith("_proxy")}


class Program:
    """A running process whose output, stdout and stderr together, is collected line by line."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=without_proxies(os.environ) if env is None else env,
            cwd=cwd,
            pass_fds=pass_fds,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        """Everything said so far."""
        return "\n".join(self.lines)

    def said(self) -> int:
        """Return a mark for wait_for: what comes from now on."""
        return len(self.lines)

    def wait_for(self, pattern: str, seconds: float = SECONDS, *, since: int = 0) -> str:
        """Return the first line that the pattern is in; fail with the output if none comes."""
        deadline = time.monotonic() + seconds
        with self._news:
            while True:
                while since < len(self.lines):
                    if re.search(pattern, self.lines[since]):
                        return self.lines[since]
                    since += 1
                left = deadline - time.monotonic()
                if left <= 0 or self._ended:
                    why = "ended" if self._ended else f"was silent for {seconds:g} s"
                    pytest.fail(f"{self.name} {why} without {pattern!r}:\n{self.output}")
                self._news.wait(left)

    def count(self, pattern: str) -> int:
        """Return how many lines the pattern is found in."""
        return sum(bool(re.search(pattern, line)) for line in list(self.lines))

    def wait(self, seconds: float = SECONDS) -> int:
        """Return the exit status, with all output read."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{self.name} still runs after {seconds:g} s:\n{self.output}")
        self._reader.join(SECONDS)
        return status

    def terminate(self, seconds: float = SECONDS) -> int:
        """Ask it to end with SIGTERM; return the exit status."""
        self.process.terminate()
        return self.wait(seconds)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it and its children with SIGKILL, also while stopped. Idempotent."""
        if self.process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(SECONDS)

    def open_files(self) -> list[str]:
        """Return what it has open, except pipes: a few of those are kept for reuse."""
        links = [_link(path) for path in Path(f"/proc/{self.pid}/fd").iterdir()]
        pipes = sum(link.startswith("pipe:") for link in links)
        assert pipes < MAX_PIPE_ENDS, f"{self.name} has {pipes} ends of pipes open"
        return sorted(link for link in links if not link.startswith("pipe:"))

    def descriptors(self) -> int:
        """Return how many files it has open, except pipes."""
        return len(self.open_files())

    def wait_for_descriptors(self, count: int, seconds: float = SECONDS) -> None:
        """Wait until it has no more files open than that."""
        try:
            wait_until(lambda: self.descriptors() <= count, "", seconds)
        except pytest.fail.Exception:
            have = self.open_files()
            pytest.fail(f"{self.name} has {len(have)} files open, expected {count}: {have}")

    def pss(self) -> int:
        """Return its share of the machine's memory in bytes."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        match = re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)
        assert match is not None
        return int(match[1]) * 1024

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            for line in stdout:
                with self._news:
                    self.lines.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return "closed meanwhile"


def run(*command: str, seconds: float = SECONDS) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself, with an empty environment."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
        env={},
        stdin=subprocess.DEVNULL,
    )
