"""Real programs that use a tunnel as people do: ssh, scp, wrk, iperf3."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

from tests.helpers.programs import need_tool, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.services import Sshd

MEBIBYTE = 1 << 20


def ssh(sshd: Sshd, port: int, command: str) -> str:
    """Run a command behind sshd; return what it printed."""
    words = [need_tool("ssh"), *sshd.options("-p", port), f"{sshd.user}@127.0.0.1", command]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def scp(sshd: Sshd, port: int, source: str, target: str) -> None:
    """Copy a file."""
    words = [need_tool("scp"), "-q", *sshd.options("-P", port), source, target]
    done = subprocess.run(words, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_file(path: Path, mebibytes: int) -> Path:
    """Write a file, half noise, half text that compresses."""
    with path.open("wb") as file:
        for _ in range(mebibytes // 2):
            file.write(os.urandom(MEBIBYTE))
            file.write(b"line of a log file, much like the one before\n" * 23_302)
    return path


def wrk(port: int, seconds: int) -> tuple[int, float]:
    """Return the requests served and their rate; none of them may have failed."""
    command = [need_tool("wrk"), "-t1", "-c32", f"-d{seconds}s", f"http://127.0.0.1:{port}/"]
    said = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + 30, check=True
    ).stdout
    assert "Socket errors" not in said, said
    assert "Non-2xx" not in said, said
    requests = re.search(r"(\d+) requests in", said)
    rate = re.search(r"Requests/sec: +([\d.]+)", said)
    assert requests is not None
    assert rate is not None
    return int(requests[1]), float(rate[1])


def iperf(port: int, seconds: int, *, reverse: bool) -> float:
    """Return the Gbit/s that arrived."""
    command = [need_tool("iperf3"), "-c", "127.0.0.1", "-p", str(port), "-t", str(seconds), "-J"]
    command += ["-R"] if reverse else []
    report: dict[str, Any] = {}

    def has_run() -> object:
        report.clear()
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + 30, check=False
        )
        report.update(json.loads(done.stdout))
        # Between two tests the server is busy for a moment, and then does not listen for another.
        return "error" not in report or report.get("intervals")

    wait_until(has_run, "the iperf3 server is free")
    assert "error" not in report, report["error"]
    received: float = report["end"]["sum_received"]["bits_per_second"]
    return received / 1e9
