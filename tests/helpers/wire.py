"""A wire with a character between two network namespaces, and a word that changes it at any time.

Each end is a TAP device. A process of its own carries the frames, late, in another order, twice
or never, as the Character says. Run as a program it takes characters as lines of JSON from stdin
and answers each with ``ok`` once it holds; the end of stdin is its end, and that of the devices.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import itertools
import json
import os
import random
import selectors
import struct
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from tests.helpers.programs import SECONDS, need_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

Value = TypeVar("Value")

ROOT = Path(__file__).parents[2]
TUN = Path("/dev/net/tun")
_CLONE_NEWNET = 0x4000_0000
_TUNSETIFF = 0x4004_54CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_HEADER_BYTES = 14  # of Ethernet
_FRAME_BYTES = 65_536
_QUEUE_FRAMES = 1000
_AT_ONCE = 64
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Character:
    """What a wire does to frames, the same both ways but for the cuts.

    Attributes:
        delay: milliseconds one way.
        jitter: so many more or less; does not change the order.
        loss: percent that never arrive,
        twice: that arrive twice,
        overtakes: and that are not delayed, so that they pass those before them.
        rate: megabits a second; 0 for no limit.
        largest: of IP, in bytes; larger packets are dropped without a word.
        cut_there: nothing goes from the first end to the second,
        cut_back: or the other way.
    """

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    twice: float = 0.0
    overtakes: float = 0.0
    rate: float = 0.0
    largest: int = _FRAME_BYTES
    cut_there: bool = False
    cut_back: bool = False


class Direction:
    """Frames on their way to one end.

    Args:
        end: the device that they come out of.
        back: whether it is the way from the second end to the first.
        chance: returns a number from 0 to 1.
    """

    def __init__(self, end: int, back: bool, chance: Callable[[], float]) -> None:
        self._end = end
        self._back = back
        self._chance = chance
        self._numbers = itertools.count()
        self._frames: list[tuple[float, int, bytes]] = []
        self._last = self._idle = 0.0

    @property
    def due(self) -> float:
        """When the next frame is to come out; never is infinite."""
        return self._frames[0][0] if self._frames else float("inf")

    def take(self, frame: bytes, now: float, character: Character) -> None:
        """Put a frame on the wire, or lose it."""
        cut = character.cut_back if self._back else character.cut_there
        if (
            cut
            or len(frame) > character.largest + _HEADER_BYTES
            or len(self._frames) >= _QUEUE_FRAMES
            or self._is(character.loss)
        ):
            return
        if character.rate:
            self._idle = max(now, self._idle) + len(frame) * 8 / (character.rate * 1e6)
            now = self._idle
        if not self._is(character.overtakes):
            milliseconds = character.delay + (2 * self._chance() - 1) * character.jitter
            now = self._last = max(self._last, now + milliseconds / 1000)
        for _ in range(2 if self._is(character.twice) else 1):
            heapq.heappush(self._frames, (now, next(self._numbers), frame))

    def deliver(self, now: float) -> None:
        """Let out what is due."""
        while self.due <= now:
            frame = heapq.heappop(self._frames)[2]
            try:
                os.write(self._end, frame)
            except OSError:
                continue  # a device that is down loses frames, as any does

    def _is(self, percent: float) -> bool:
        return percent > 0 and self._chance() * 100 < percent


class Carrier:
    """The process: carries frames between two devices until stdin ends."""

    def __init__(self, ends: tuple[int, int]) -> None:
        chance = random.Random(11).random
        self._character = Character()
        self._ways = {
            ends[0]: Direction(ends[1], False, chance),
            ends[1]: Direction(ends[0], True, chance),
        }
        self._selector = selectors.DefaultSelector()
        for end in ends:
            self._selector.register(end, selectors.EVENT_READ)
        self._selector.register(0, selectors.EVENT_READ)

    def run(self) -> None:
        """Carry, and obey."""
        while True:
            now = time.monotonic()
            for way in self._ways.values():
                way.deliver(now)
            wait = min(way.due for way in self._ways.values()) - time.monotonic()
            for key, _ in self._selector.select(min(max(wait, 0.0), 1.0)):
                if key.fd:
                    self._read(key.fd)
                elif not self._obey():
                    return

    def _read(self, end: int) -> None:
        for _ in range(_AT_ONCE):
            try:
                frame = os.read(end, _FRAME_BYTES)
            except BlockingIOError:
                return
            self._ways[end].take(frame, time.monotonic(), self._character)

    def _obey(self) -> bool:
        line = os.read(0, _FRAME_BYTES)  # one at a time: the next comes after our answer
        if line:
            self._character = Character(**json.loads(line))
            os.write(1, b"ok\n")
        return bool(line)


class Wire:
    """A wire between two namespaces, used by ``with``.

    Args:
        ends: their names.
        device: the name of its device in each.
    """

    def __init__(self, ends: tuple[str, str], device: str = "wire0") -> None:
        self.character = Character()
        command = [sys.executable, "-m", __name__, device, *ends]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.be()

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def be(self, **changes: Any) -> None:
        """Take a character of these attributes, and of the defaults in all others."""
        self.character = replace(Character(), **changes)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(self.character)) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "ok\n", "the wire has ended"


def need_wires() -> None:
    """Skip the test where there can be no wire."""
    if os.geteuid() != 0:
        pytest.skip("a wire between namespaces needs root")
    need_tool("ip")
    try:
        os.close(os.open(TUN, os.O_RDWR))
    except OSError as error:
        pytest.skip(f"no TAP devices here: {error}")
    probe = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("no network namespaces here")


def enter(namespace: str) -> None:
    """Move the thread that calls into a namespace."""
    with open(f"/run/netns/{namespace}") as door:
        if _libc.setns(door.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")


def inside(namespace: str, call: Callable[[], Value]) -> Value:
    """Call in a thread that has moved into a namespace: sockets belong where they were made.

    So do the threads that it starts.
    """
    results: list[Value] = []

    def move_and_call() -> None:
        enter(namespace)
        results.append(call())

    thread = threading.Thread(target=move_and_call)
    thread.start()
    thread.join(4 * SECONDS)
    assert results, "the call failed, see the thread's exception"
    return results[0]


def _device(name: str, namespace: str) -> int:
    enter(namespace)
    device = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI)
    fcntl.ioctl(device, _TUNSETIFF, request)
    return device


if __name__ == "__main__":
    Carrier((_device(*sys.argv[1:3]), _device(sys.argv[1], sys.argv[3]))).run()
