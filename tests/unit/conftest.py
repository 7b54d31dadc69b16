"""What is left out where a library is missing, and what each test waits for at its end."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Iterator

import pytest

WORKERS_SECONDS = 2.0
"""Some tests leave a worker stuck on purpose."""

_OPTIONAL = {"aioquic": "*/test_quic*.py", "asyncssh": "*/ssh_gateway/test_*.py"}
collect_ignore_glob = [
    files for library, files in _OPTIONAL.items() if not importlib.util.find_spec(library)
]


@pytest.fixture(autouse=True)
def _workers_go_home() -> Iterator[None]:
    """Wait for a test's workers: a file that one of them closes late is the next test's to miss."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + WORKERS_SECONDS
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("frpd-worker"):
            thread.join(max(0.0, deadline - time.monotonic()))
