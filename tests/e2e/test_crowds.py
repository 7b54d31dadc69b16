"""Many visitors at once: some that stop reading, thousands that hold idle connections."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.modes import MODES
from tests.helpers.programs import want_descriptors
from tests.helpers.services import Service, flood
from tests.helpers.stage import WRAPPERS
from tests.helpers.visitors import exchange, median, read_all, visit

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tests.helpers.programs import Program
    from tests.helpers.stage import Stage, Tunnel

    Record = Callable[[str, object], None]

MEBIBYTE = 1 << 20
MOST_PIPE_ENDS = 80  # the pool keeps pipes of 32 MiB together, and a pipe has two ends


def download(tunnel: Tunnel, readers: int, data: bytes) -> float:
    """Let so many visitors read side by side; return the seconds it took."""
    with contextlib.ExitStack() as stack:
        visitors = [stack.enter_context(visit(tunnel.ports["flood"])) for _ in range(readers)]
        return read_all(visitors, data, 100)


def beside_stalled(
    stage: Stage, *, mux: bool, wrapper: str, readers: int, stalled: int, size: int
) -> dict[str, object]:
    """Compare downloads without and with visitors that never read."""
    data = os.urandom(size)
    with Service(flood(data)) as service:
        tunnel = stage.tunnel({"flood": service.port}, mux=mux, proxy=WRAPPERS[wrapper])
        download(tunnel, readers, data)
        alone = min([download(tunnel, readers, data) for _ in range(3)])
        memory = tunnel.frps.pss() + tunnel.frpc.pss()
        with contextlib.ExitStack() as stack:
            for _ in range(stalled):
                stack.enter_context(visit(tunnel.ports["flood"]))
            beside = min([download(tunnel, readers, data) for _ in range(3)])
            grown = tunnel.frps.pss() + tunnel.frpc.pss() - memory
    return {
        "alone_seconds": round(alone, 2),
        "beside_seconds": round(beside, 2),
        "ratio": beside / alone,
        "grown_kib_per_stalled": grown // stalled // 1024,
    }


@MODES
@pytest.mark.timeout(120)
def test_visitors_that_stop_reading_stop_nobody_else(
    stage: Stage, mux: bool, record_property: Record
) -> None:
    figures = beside_stalled(stage, mux=mux, wrapper="plain", readers=40, stalled=10, size=MEBIBYTE)
    record_property("figures", figures)
    assert float(str(figures["ratio"])) < 6  # a busy machine; the figure is in the full runs
    assert int(str(figures["grown_kib_per_stalled"])) < 2048


@pytest.mark.full
@pytest.mark.timeout(300)
@MODES
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_twenty_of_two_hundred_that_stop_reading_slow_nobody(
    stage: Stage, mux: bool, wrapper: str, record_property: Record
) -> None:
    want_descriptors(2000)
    figures = beside_stalled(
        stage, mux=mux, wrapper=wrapper, readers=180, stalled=20, size=MEBIBYTE
    )
    record_property("figures", figures)
    assert float(str(figures["ratio"])) < 1.5
    assert int(str(figures["grown_kib_per_stalled"])) < 2048


def test_one_visitor_that_stops_leaves_others_quick(stage: Stage, echo_port: int) -> None:
    """Not only bulk: the round trips of one beside five that stand still."""
    with Service(flood(os.urandom(8 * MEBIBYTE))) as service, contextlib.ExitStack() as stack:
        tunnel = stage.tunnel({"flood": service.port, "echo": echo_port})
        for _ in range(5):
            stack.enter_context(visit(tunnel.ports["flood"]))
        visitor = stack.enter_context(visit(tunnel.ports["echo"]))
        trips = []
        for _ in range(200):
            begun = time.monotonic()
            assert exchange(visitor, b"quick") == b"quick"
            trips.append(time.monotonic() - begun)
    assert median(trips) < 0.5  # not when one of the five goes on


def hold(
    tunnel: Tunnel, count: int, stack: contextlib.ExitStack
) -> tuple[list[socket.socket], float]:
    """Let so many visitors come and echo once; return them and the seconds it took."""
    begun = time.monotonic()
    visitors = []
    for number in range(count):
        visitor = stack.enter_context(visit(tunnel.ports["echo"], seconds=30))
        visitor.sendall(number.to_bytes(4, "big"))
        visitors.append(visitor)
    for number, visitor in enumerate(visitors):
        assert exchange_rest(visitor) == number
    return visitors, time.monotonic() - begun


def exchange_rest(visitor: socket.socket) -> int:
    word = b""
    while len(word) < 4:
        word += visitor.recv(4 - len(word)) or pytest.fail("the end came too early")
    return int.from_bytes(word, "big")


def idle_visitors(tunnel: Tunnel, count: int) -> dict[str, object]:
    """Let visitors hold idle connections, and each echo again; return figures."""
    want_descriptors(2 * count + 500)
    with contextlib.ExitStack() as stack:
        hold(tunnel, 10, stack)
        before = (tunnel.frps.pss(), tunnel.frpc.pss())
        visitors, seconds = hold(tunnel, count, stack)
        after = (tunnel.frps.pss(), tunnel.frpc.pss())
        word = os.urandom(64)
        for visitor in visitors:
            assert exchange(visitor, word) == word
    return {
        "came_in_seconds": round(seconds, 2),
        "frps_bytes_each": (after[0] - before[0]) // count,
        "frpc_bytes_each": (after[1] - before[1]) // count,
    }


@MODES
def test_three_hundred_idle_visitors_each_still_echo(
    stage: Stage, echo_port: int, mux: bool, record_property: Record
) -> None:
    want_descriptors(2000)
    tunnel = stage.tunnel({"echo": echo_port}, mux=mux)
    before = (tunnel.frps.descriptors(), tunnel.frpc.descriptors())
    record_property("figures", idle_visitors(tunnel, 300))
    tunnel.frps.wait_for_descriptors(before[0] + (0 if mux else 11))  # some work stays in stock
    tunnel.frpc.wait_for_descriptors(before[1] + (0 if mux else 11))


@pytest.mark.full
@pytest.mark.timeout(180)
@MODES
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_three_thousand_idle_visitors_each_still_echo(
    stage: Stage, echo_port: int, mux: bool, wrapper: str, record_property: Record
) -> None:
    want_descriptors(10_000)
    tunnel = stage.tunnel({"echo": echo_port}, mux=mux, proxy=WRAPPERS[wrapper])
    figures = idle_visitors(tunnel, 3000)
    record_property("figures", figures)
    assert int(str(figures["frps_bytes_each"])) + int(str(figures["frpc_bytes_each"])) < 32_768


def pipes(program: Program) -> int:
    links = (os.readlink(path) for path in Path(f"/proc/{program.pid}/fd").iterdir())
    return sum(link.startswith("pipe:") for link in links)


@pytest.mark.full
@pytest.mark.timeout(300)
@MODES
def test_bursts_of_a_thousand_downloads_give_files_and_pipes_back_and_let_no_memory_grow(
    stage: Stage, mux: bool, record_property: Record
) -> None:
    """What the C library keeps after the first burst, it uses again in the next ones."""
    want_descriptors(5000)
    data = os.urandom(MEBIBYTE // 4)
    with Service(flood(data)) as service:
        tunnel = stage.tunnel({"flood": service.port}, mux=mux)
        ends = (tunnel.frps, tunnel.frpc)
        download(tunnel, 5, data)
        files = [end.descriptors() for end in ends]
        memory = []
        for _ in range(3):
            download(tunnel, 1000, data)
            for end, before in zip(ends, files, strict=True):
                end.wait_for_descriptors(before + (0 if mux else 11))  # some work stays in stock
                assert pipes(end) <= MOST_PIPE_ENDS
            memory.append([end.pss() for end in ends])
    record_property("figures", memory)
    for first, last in zip(memory[0], memory[-1], strict=True):
        assert last - first < 16 * MEBIBYTE
