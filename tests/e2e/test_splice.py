"""Bulk through pipes, on real programs: nothing is lost, nothing spins, every pipe comes home."""

from __future__ import annotations

import hashlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from frpd.net.pipes import MAX_SPARE
from tests.helpers.modes import MODES
from tests.helpers.programs import BIN, need_tool, wait_until, want_descriptors
from tests.helpers.services import Service, flood, late_answer, late_answer_to
from tests.helpers.stage import Stage
from tests.helpers.visitors import exchange, read_all, read_to_end, reset, visit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.helpers.programs import Program
    from tests.helpers.stage import Tunnel

    Record = Callable[[str, object], None]

KIB = 1024
MIB = 1024 * KIB
CHUNK = 128 * KIB
NOBODY = 65_534
BLOCK = os.urandom(4 * MIB)

# A visitor that talks until it is killed.
TALKER = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as sock:
    print("connected", flush=True)
    while True:
        sock.sendall(bytes(1 << 16))
"""


class Visitor:
    """Sends its part of BLOCK to an echo, and checks each byte that comes back."""

    def __init__(self, port: int, number: int, size: int) -> None:
        self.sock = visit(port)
        self.sock.setblocking(False)
        start = number * 4099 % (len(BLOCK) - size)
        self._unsent = self._expected = memoryview(BLOCK)[start : start + size]
        self.size = size
        self.got = 0
        self.reads = True

    @property
    def interest(self) -> int:
        wants_more = self.reads and self.got < self.size
        return (select.POLLIN if wants_more else 0) | (select.POLLOUT if self._unsent else 0)

    @property
    def is_done(self) -> bool:
        return self.got == self.size

    def serve(self, events: int) -> None:
        with suppress(BlockingIOError):
            if events & select.POLLOUT:
                self._unsent = self._unsent[self.sock.send(self._unsent[:CHUNK]) :]
            if events & select.POLLIN:
                part = self.sock.recv(CHUNK)
                assert part, f"the end came after {self.got} of {self.size} bytes"
                assert part == self._expected[self.got : self.got + len(part)]
                self.got += len(part)


def drive(visitors: list[Visitor], until: Callable[[], bool], seconds: float) -> None:
    """Let visitors send and read side by side until a fact is true."""
    deadline = time.monotonic() + seconds
    by_number = {visitor.sock.fileno(): visitor for visitor in visitors}
    while not until():
        assert time.monotonic() < deadline, [visitor.got for visitor in visitors]
        poller = select.poll()
        for number, visitor in by_number.items():
            if visitor.interest:
                poller.register(number, visitor.interest)
        for number, events in poller.poll(50):
            by_number[number].serve(events)


def cpu_seconds(program: Program) -> float:
    """Return what a process has used, in user and system mode."""
    fields = Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pipe_ends(program: Program) -> int:
    """Return how many descriptors of a process are ends of pipes."""
    count = 0
    for path in Path(f"/proc/{program.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            count += os.readlink(path).startswith("pipe:")
    return count


def holds_no_more(program: Program, files: int, ends: int, stock: int) -> bool:
    """Return whether only spare pipes, and work connections in stock, have been added."""
    now = pipe_ends(program)
    others = program.descriptors() - now
    return now <= ends + 2 * MAX_SPARE and others <= files - ends + stock


def plain_user_folder(folder: Path) -> Path:
    """Return a folder with frps and frpc that run as nobody; for a plain user, the usual one."""
    if os.geteuid() != 0:
        return BIN
    setpriv = need_tool("setpriv")
    probe = subprocess.run(
        [setpriv, f"--reuid={NOBODY}", "--clear-groups", str(BIN / "python"), "-c", "import frpd"],
        check=False,
        capture_output=True,
    )
    if probe.returncode:
        pytest.skip("nobody cannot read this checkout")
    made = folder / "as-nobody"
    made.mkdir()
    for name in ("frps", "frpc"):
        script = made / name
        script.write_text(
            f"#!/bin/sh\nexec {setpriv} --reuid={NOBODY} --regid={NOBODY} --clear-groups "
            f'{BIN / name} "$@"\n'
        )
        script.chmod(0o755)
    return made


@pytest.fixture
def open_stage() -> Iterator[Stage]:
    """A stage whose folder every user may read."""
    folder = Path(tempfile.mkdtemp(prefix="frpd-splice-"))
    folder.chmod(0o755)
    stage = Stage(folder)
    stage.file_mode = 0o644
    yield stage
    stage.close()
    shutil.rmtree(folder)


def rough_crowd(tunnel: Tunnel, count: int, size: int) -> dict[str, object]:
    """Let visitors echo bulk while some stall, one resets and one is killed; return figures."""
    ends = (tunnel.frps, tunnel.frpc)
    port = tunnel.ports["echo"]
    with ExitStack() as stack:
        visitors = [Visitor(port, number, size) for number in range(count)]
        for visitor in visitors:
            stack.enter_context(visitor.sock)
        stalled, others = visitors[: count // 10], visitors[count // 10 :]
        for visitor in stalled:
            visitor.reads = False
        talker = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", TALKER, str(port)], stdout=subprocess.PIPE)
        )
        stack.callback(talker.kill)
        assert talker.stdout is not None
        assert talker.stdout.readline() == b"connected\n"
        rude = others.pop()
        drive([*visitors], lambda: 0 < rude.got < size // 2 or rude.is_done, 60)
        rude.reads = False
        drive([*stalled, *others, rude], lambda: others[0].got > size // 2, 60)
        reset(rude.sock)
        talker.kill()
        drive([*stalled, *others], lambda: all(one.is_done for one in others), 120)
        spent = [cpu_seconds(end) for end in ends]
        time.sleep(1.0)  # what is measured: a second in which nothing can move
        idle = [cpu_seconds(end) - before for end, before in zip(ends, spent, strict=True)]
        for visitor in stalled:
            assert not visitor.is_done
            visitor.reads = True
        drive(stalled, lambda: all(one.is_done for one in stalled), 60)
    return {"idle_cpu_frps": round(idle[0], 3), "idle_cpu_frpc": round(idle[1], 3)}


@dataclass(frozen=True)
class Mode:
    """How the programs run; a plain user has nearly no budget for pipes either."""

    mux: bool
    pipe_bytes: int
    plain: bool


def check_rough_crowd(stage: Stage, mode: Mode, count: int, echo_port: int) -> dict[str, object]:
    want_descriptors(4096)
    settings = {"splice_pipe_bytes": mode.pipe_bytes}
    if mode.plain:
        settings["splice_budget_bytes"] = 2 * mode.pipe_bytes
    folder = plain_user_folder(stage.folder) if mode.plain else BIN
    tunnel = stage.tunnel(
        {"echo": echo_port},
        mux=mode.mux,
        server=settings,
        client=settings,
        folders=(folder, folder),
    )
    ends = (tunnel.frps, tunnel.frpc)
    before = [(end.descriptors(), pipe_ends(end)) for end in ends]
    figures = rough_crowd(tunnel, count, 3 * MIB)
    for end, (files, pipes) in zip(ends, before, strict=True):
        wait_until(
            lambda end=end, files=files, pipes=pipes: holds_no_more(  # type: ignore[misc]
                end, files, pipes, 0 if mode.mux else 11
            ),
            f"{end.name} has no more files than {files}, of them {pipes} pipes; and a few spare",
        )
        assert end.count("(?i)traceback|internal error") == 0
    assert float(str(figures["idle_cpu_frps"])) < 0.2
    assert float(str(figures["idle_cpu_frpc"])) < 0.2
    return figures


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(Mode(mux=True, pipe_bytes=64 * KIB, plain=False), id="mux-64k"),
        pytest.param(Mode(mux=True, pipe_bytes=MIB, plain=True), id="mux-1m-plain-user"),
        pytest.param(Mode(mux=False, pipe_bytes=MIB, plain=False), id="direct-1m"),
    ],
)
def test_forty_rough_visitors_lose_no_byte_and_leave_no_pipe(
    open_stage: Stage, mode: Mode, echo_port: int, record_property: Record
) -> None:
    record_property("figures", check_rough_crowd(open_stage, mode, 40, echo_port))


@pytest.mark.full
@pytest.mark.timeout(400)
@MODES
@pytest.mark.parametrize("pipe_bytes", [64 * KIB, MIB])
@pytest.mark.parametrize("plain", [False, True], ids=["as-started", "plain-user"])
def test_two_hundred_rough_visitors_lose_no_byte_and_leave_no_pipe(
    request: pytest.FixtureRequest, mux: bool, pipe_bytes: int, plain: bool, echo_port: int
) -> None:
    stage: Stage = request.getfixturevalue("open_stage")
    figures = check_rough_crowd(stage, Mode(mux, pipe_bytes, plain), 200, echo_port)
    request.node.user_properties.append(("figures", figures))


# What the programs ask of the kernel.

_CALL = re.compile(r"(?:^|[ .])(sendto|sendmsg|recvfrom|recvmsg|splice)(?:\(| resumed).* = (-?\d+)")


class Trace:
    """strace on a running program: calls and bytes by system call, failed calls counted too."""

    def __init__(self, stage: Stage, program: Program) -> None:
        self._file = stage.folder / f"{program.name}.strace"
        names = "trace=sendto,sendmsg,recvfrom,recvmsg,splice"
        self._strace = subprocess.Popen(
            [
                *(need_tool("strace"), "-f", "-s", "0", "-e", names),
                *("-o", str(self._file), "-p", str(program.pid)),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._strace.stderr is not None
        line = self._strace.stderr.readline()
        if "attached" not in line:
            self._strace.wait()
            pytest.skip(f"strace may not attach: {line}")
        self.calls: dict[str, int] = {}
        self.bytes: dict[str, int] = {}

    def finish(self) -> None:
        """Let go of the program and count."""
        self._strace.send_signal(signal.SIGINT)
        self._strace.communicate(timeout=30)
        for line in self._file.read_text().splitlines():
            found = _CALL.search(line)
            if found:
                name = {"s": "send", "r": "recv"}[found[1][0]] if found[1] != "splice" else "splice"
                self.calls[name] = self.calls.get(name, 0) + 1
                self.bytes[name] = self.bytes.get(name, 0) + max(int(found[2]), 0)


def upload(port: int, size: int) -> None:
    """Send so much and check what the service says of it."""
    digest = hashlib.sha256()
    with visit(port, seconds=60) as visitor:
        for start in range(0, size, MIB):
            part = BLOCK[start % len(BLOCK) : start % len(BLOCK) + MIB]
            visitor.sendall(part)
            digest.update(part)
        visitor.shutdown(socket.SHUT_WR)
        assert read_to_end(visitor) == late_answer_to(size, digest)


@pytest.mark.timeout(120)
@MODES
def test_bulk_is_moved_by_splice_and_copied_nowhere(
    stage: Stage, mux: bool, record_property: Record
) -> None:
    need_tool("strace")
    data = BLOCK * 40
    size = len(data)
    with Service(late_answer) as sink, Service(flood(data)) as source, ExitStack() as stack:
        tunnel = stage.tunnel({"sink": sink.port, "source": source.port}, mux=mux)
        upload(tunnel.ports["sink"], 4 * MIB)
        traces = [Trace(stage, end) for end in (tunnel.frps, tunnel.frpc)]
        upload(tunnel.ports["sink"], size)
        read_all([stack.enter_context(visit(tunnel.ports["source"]))], data, 60)
        for trace in traces:
            trace.finish()
    for trace in traces:
        record_property("calls", trace.calls)
        record_property("bytes", trace.bytes)
        copied = trace.bytes.get("send", 0) + trace.bytes.get("recv", 0)
        assert copied < 2 * size * 0.05
        assert trace.bytes["splice"] > 4 * size * 0.95  # in and out of a pipe


@pytest.mark.timeout(120)
@MODES
def test_small_payload_takes_one_recv_and_one_send_for_each_hop(
    stage: Stage, mux: bool, echo_port: int, record_property: Record
) -> None:
    need_tool("strace")
    trips = 200
    tunnel = stage.tunnel({"echo": echo_port}, mux=mux)
    with visit(tunnel.ports["echo"]) as visitor:
        exchange(visitor, b"x" * 64)
        traces = [Trace(stage, end) for end in (tunnel.frps, tunnel.frpc)]
        for _ in range(trips):
            assert exchange(visitor, b"x" * 64) == b"x" * 64
        for trace in traces:
            trace.finish()
    for trace in traces:
        record_property("calls", trace.calls)
        assert trace.calls["recv"] <= 2 * trips + 10  # there and back
        assert trace.calls["send"] <= 2 * trips + 10
        assert "splice" not in trace.calls
