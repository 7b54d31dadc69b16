"""How many files the daemon may have open: each connection is one, or more."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Finding, fault, ok, warning

LEAST_FILES: Final = 256
"""With fewer a handful of visitors is too much: loop, log, listeners and pipes come first."""
GOOD_FILES: Final[Mapping[str, int]] = {"frps": 4096, "frpc": 1024}
ADVISED_FILES: Final = 65536
FILES_OF_A_CONNECTION: Final = 2
"""A visitor and its local service, or a work connection; and pipes, for some."""
RESERVE_FILES: Final = 64
FULL: Final = 0.9

_MAX_OPEN = re.compile(r"^Max open files +(\d+|unlimited) +(\d+|unlimited)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FileLimit:
    """A limit, and how much of it is used.

    Attributes:
        limit: of files that may be open.
        used: now; None if that cannot be seen, or nothing runs.
        needed: what it comes to with the proxies and connections of now.
        pid: of the daemon; 0 if none runs, and the limit is what it would get.
    """

    limit: int
    used: int | None = None
    needed: int = RESERVE_FILES
    pid: int = 0


def check_limits(case: Case) -> Iterable[Finding]:
    """Look at the limit of the daemon that runs, or what one would get from here."""
    found = read_limit(case.pid, case.status)
    return [] if found is None else [judge_limit(case.program, found)]


def read_limit(pid: int, status: Mapping[str, Any]) -> FileLimit | None:
    """Return the limit; None if that cannot be seen."""
    if not pid:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        return FileLimit(_count("unlimited") if hard == resource.RLIM_INFINITY else hard)
    process = Path(f"/proc/{pid}")
    try:
        match = _MAX_OPEN.search((process / "limits").read_text())
    except OSError:
        return None
    if match is None:
        return None
    try:
        used = len(os.listdir(process / "fd"))
    except OSError:  # somebody else's
        used = None
    return FileLimit(_count(match[1]), used, needed(status), pid)


def needed(status: Mapping[str, Any]) -> int:
    """Return how many files a daemon needs for what it has to do now."""
    proxies = status.get("proxies", ())
    count = sum(proxies.values()) if isinstance(proxies, Mapping) else len(proxies)
    connections = status.get("connections")
    if connections is None and not isinstance(proxies, Mapping):
        connections = sum(row.get("cur_conns", 0) for row in proxies)
    return RESERVE_FILES + count + FILES_OF_A_CONNECTION * int(connections or 0)


def judge_limit(program: str, found: FileLimit) -> Finding:
    """Judge a limit."""
    limit, used, pid = found.limit, found.used, found.pid
    who = f"{program} may have" if pid else f"{program} would get from here"
    remedy = (
        f"set LimitNOFILE={ADVISED_FILES} in the unit (systemctl edit {program}), or raise"
        f" `ulimit -Hn` where it is started, and restart {program}"
    )
    if pid:
        remedy += f"; until then: prlimit --pid {pid} --nofile={ADVISED_FILES}"
    if used is not None and used >= limit * FULL:
        return fault(f"{program} has {used} of at most {limit} files open: it refuses more", remedy)
    if limit < max(LEAST_FILES, found.needed):
        need = max(LEAST_FILES, found.needed)
        return fault(
            f"the limit of open files is too low: {who} {limit}, and {need} are needed", remedy
        )
    if limit < GOOD_FILES[program]:
        return warning(
            f"the limit of open files is low: {who} {limit}, enough for about"
            f" {(limit - RESERVE_FILES) // FILES_OF_A_CONNECTION} connections",
            remedy,
        )
    count = f"; {used} are open" if used is not None else ""
    return ok(f"{who} {limit} files open{count}")


def _count(text: str) -> int:
    return 1 << 30 if text == "unlimited" else int(text)
