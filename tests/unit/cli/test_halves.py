"""A start imports what its end needs: see "Start" in docs/performance.md."""

from __future__ import annotations

import subprocess
import sys

import pytest

STARTS = {
    "frps": ("frpd.cli.frps", "frpd.config.load_server", "frpd.cli.assemble_server"),
    "frpc": ("frpd.cli.frpc", "frpd.config.load_client", "frpd.cli.assemble_client"),
}
# The office counts its visitors by source, as the server counts its own.
OF_BOTH = {"frpd.server", "frpd.server.guard", "frpd.server.guard.sources"}
OTHER_END = {"frps": "frpd.client", "frpc": "frpd.server"}
LATE = (
    *("aioquic", "asyncio", "asyncssh", "bottle", "crc32c", "cryptography", "ctypes", "email"),
    *("http.client", "importlib.metadata", "jwt", "psutil", "pyroute2", "snappy", "ssl"),
    *("waitress", "frpd.client.plugins.socks5", "frpd.server.nathole.desk"),
)


def imported_by(program: str) -> set[str]:
    code = f"import sys, {', '.join(STARTS[program])}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("program", STARTS)
def test_a_start_takes_its_own_half_and_nothing_that_may_not_be_used(program: str) -> None:
    modules = imported_by(program)
    assert set(STARTS[program]) <= modules
    end = OTHER_END[program]
    assert {m for m in modules if m == end or m.startswith(f"{end}.")} <= OF_BOTH
    assert modules.intersection(LATE) == set()
