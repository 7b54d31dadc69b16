from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from bench.cost.ends import Cpu, counted, parse_counts, parse_stat
from bench.tunnel.processes import MeasurementError

if TYPE_CHECKING:
    from pathlib import Path

STRACE = """\
    calls syscall
--------- ----------------
     1203 recvfrom
       17 epoll_wait
        1 newfstatat
--------- ----------------
     1221 total
"""


def test_processor_time_is_found_behind_any_name() -> None:
    tick_us = 1e6 / os.sysconf("SC_CLK_TCK")
    fields = ["S", *(str(number) for number in range(4, 52))]
    assert parse_stat(f"7 (a (b) c) {' '.join(fields)}") == Cpu(14 * tick_us, 15 * tick_us)


def test_what_was_used_since_is_shared_out() -> None:
    used = Cpu(50.0, 30.0).per(Cpu(10.0, 10.0), 10)
    assert used == Cpu(4.0, 2.0)
    assert used.total == 6.0


def test_calls_are_read_without_their_sum() -> None:
    assert parse_counts(STRACE) == {"recvfrom": 1203, "epoll_wait": 17, "newfstatat": 1}
    assert parse_counts("") == {}


def test_who_lacks_strace_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(MeasurementError, match="strace is missing"), counted([], tmp_path):
        pass
