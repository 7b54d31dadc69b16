"""An Endpoint without a network: the test is its peer and decides what it takes."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from frpd.errors import ConnectionLost
from frpd.net.endpoint import Buffer, Callback, Outcome

if TYPE_CHECKING:
    from frpd.net.pipes import Pipe, PipePool
    from frpd.selector_loop import SelectorLoop

PLENTY = 1 << 30


class ScriptedEndpoint:
    """Satisfies frpd.net.endpoint.Endpoint, level-triggered on the loop's turns.

    What read() returns lies in the loop's scratch memory and is overwritten by the next
    callback or read, so whoever keeps a borrowed buffer keeps rubbish.

    Attributes:
        acts: of "end", "close" and "abort", what was done to it, in order.
        capacity: how many more bytes it takes.
        rooms: what room() answers, one after the other.
        tells_room: whether room() knows the capacity, as a stream's window is known and
            a socket's buffer is not.
        write_sizes: the most that one write takes, one after the other.
        reader_calls: how often on_readable was called; writer_calls likewise.
        most_read: the largest limit that a read was called with.
        error: what a callback raised.
    """

    def __init__(self, loop: SelectorLoop, name: str = "scripted") -> None:
        self.on_failure: Callback | None = None
        self.name = name
        self.acts: list[str] = []
        self.capacity = PLENTY
        self.rooms: Iterator[int] = itertools.repeat(len(loop.scratch))
        self.tells_room = False
        self.write_sizes: Iterator[int] = itertools.repeat(PLENTY)
        self.reader_calls = 0
        self.writer_calls = 0
        self.most_read = 0
        self.error: Exception | None = None
        self._loop = loop
        self._got = bytearray()
        self._said: deque[bytes] = deque()
        self._last: Outcome | str = Outcome.EMPTY  # a str is a loss
        self._broken = ""
        self._on_readable: Callback | None = None
        self._on_writable: Callback | None = None
        self._scheduled = False

    # The peer's side.

    def say(self, *chunks: bytes) -> None:
        """Have reads return these; each chunk by a read of its own."""
        self._said.extend(chunk for chunk in chunks if chunk)
        self._schedule()

    def end(self) -> None:
        """End the peer's direction behind what was said."""
        self._last = Outcome.EOF
        self._schedule()

    def reset(self, reason: str = "connection reset by peer") -> None:
        """Lose the connection: what was said can be read, nothing can be written."""
        self._last = self._broken = reason
        self._schedule()

    def break_writes(self, reason: str = "broken pipe") -> None:
        """Take nothing any more; reading goes on."""
        self._broken = reason
        self._schedule()

    def take(self, nbytes: int = PLENTY) -> None:
        """Take so many more bytes."""
        self.capacity += nbytes
        self._schedule()

    @property
    def got(self) -> bytes:
        """Return what was written, in order."""
        return bytes(self._got)

    @property
    def unread_bytes(self) -> int:
        """What was said and is yet to be read."""
        return sum(map(len, self._said))

    @property
    def wants(self) -> str:
        """Which interests are set: a subset of "rw"."""
        return "r" * (self._on_readable is not None) + "w" * (self._on_writable is not None)

    # The Endpoint.

    def describe(self) -> str:
        return self.name

    def read(self, limit: int) -> Buffer | Outcome:
        assert limit > 0
        assert not self._over
        self.most_read = max(self.most_read, limit)
        self._spoil()
        if not self._said:
            if isinstance(self._last, str):
                raise ConnectionLost(self._last)
            return self._last
        chunk = self._said.popleft()
        if len(chunk) > limit:
            self._said.appendleft(chunk[limit:])
            chunk = chunk[:limit]
        self._loop.scratch[: len(chunk)] = chunk
        return self._loop.scratch[: len(chunk)]

    def unread(self, data: Buffer) -> None:
        self._said.appendleft(bytes(data))
        self._schedule()

    def write(self, data: Buffer) -> int:
        assert "end" not in self.acts
        assert not self._over
        if self._broken:
            raise ConnectionLost(self._broken)
        taken = min(len(data), self.capacity, next(self.write_sizes))
        self._got += memoryview(data)[:taken]
        self.capacity -= taken
        return taken

    def room(self) -> int:
        if self._broken:
            return 1  # let the write say so
        room = next(self.rooms)
        return min(room, self.capacity) if self.tells_room else room

    def watch(self, on_readable: Callback | None, on_writable: Callback | None) -> None:
        if not self._over:
            self._on_readable = on_readable
            self._on_writable = on_writable
            self._schedule()

    def shutdown_write(self) -> None:
        self.acts.append("end")

    def close(self) -> None:
        self._drop("close")

    def abort(self) -> None:
        self._drop("abort")

    # It does not splice.

    @property
    def splices(self) -> bool:
        return False

    def splice_with(self, pool: PipePool | None) -> None:
        del pool

    def read_pipe(self, limit: int) -> Pipe | Outcome:
        del limit
        return Outcome.COPY

    def pipe_moved(self, nbytes: int) -> None:
        raise AssertionError(nbytes)

    def write_pipe(self, pipe: Pipe, limit: int) -> int:
        raise AssertionError(pipe, limit)

    @property
    def _over(self) -> bool:
        return "close" in self.acts or "abort" in self.acts

    def _drop(self, act: str) -> None:
        if not self._over:
            self._on_readable = self._on_writable = None
            self.acts.append(act)

    def _spoil(self) -> None:
        self._loop.scratch[:] = b"\xee" * len(self._loop.scratch)

    def _is_ready(self) -> tuple[bool, bool]:
        readable = bool(self._said) or self._last is not Outcome.EMPTY
        return readable, bool(self.capacity or self._broken)

    def _schedule(self) -> None:
        readable, writable = self._is_ready()
        wanted = (self._on_readable and readable) or (self._on_writable and writable)
        if wanted and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._serve)

    def _serve(self) -> None:
        self._scheduled = False
        self._spoil()
        readable, writable = self._is_ready()
        try:
            if readable and self._on_readable is not None:
                self.reader_calls += 1
                self._on_readable()
            if writable and self._on_writable is not None:
                self.writer_calls += 1
                self._on_writable()
        except Exception as error:
            self.error = error
            self.abort()
            if self.on_failure is not None:
                self.on_failure()
        self._schedule()
