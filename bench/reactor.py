"""What an event, a registration and a timer cost on each kind of loop (ADR 1).

    python bench/reactor.py [--runs 5] [--events 40000]

Figures are operations per second of CPU time of this process, system calls included,
so a busy machine does not bend them much. Runs of all kinds are interleaved.
"""

# ruff: noqa: D102 - the methods are the loops' own

from __future__ import annotations

import argparse
import asyncio
import platform
import select
import selectors
import socket
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from frpd import selector_loop
from frpd.selector_loop import SelectorLoop, Watch

Pairs = list[tuple[socket.socket, socket.socket]]
Bench = Callable[[int], float]
MESSAGE = bytes(64)


class SelectorsLoop(SelectorLoop):
    """The same loop on selectors.EpollSelector, its look-up instead of ours."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = selectors.EpollSelector()
        self._epoll.close()
        self._epoll = self  # type: ignore[assignment]  # takes the four calls below
        self._poll = self.poll  # type: ignore[assignment]  # yields keys for fds

    def register(self, fd: int, mask: int) -> None:
        self._selector.register(fd, _sides(mask), self._watches[fd])

    def modify(self, fd: int, mask: int) -> None:
        self._selector.modify(fd, _sides(mask), self._watches[fd])

    def unregister(self, fd: int) -> None:
        self._selector.unregister(fd)

    def poll(self, timeout: float | None, _max_events: int) -> Any:
        return self._selector.select(timeout)

    def close(self) -> None:
        if not self._closed:
            super().close()
            self._selector.close()

    def _dispatch(self, events: Any) -> None:
        for key, mask in events:
            watch: Watch = key.data
            if not watch._mask:
                continue
            try:
                if mask & selectors.EVENT_READ and (reader := watch._on_readable) is not None:
                    reader()
                if mask & selectors.EVENT_WRITE and (writer := watch._on_writable) is not None:
                    writer()
            except Exception as exc:
                self._watch_failed(watch, exc)


def _sides(mask: int) -> int:
    readable = selectors.EVENT_READ if mask & select.EPOLLIN else 0
    return readable | (selectors.EVENT_WRITE if mask & select.EPOLLOUT else 0)


class PingPong:
    """Every socket answers what it reads; one message is under way on each pair."""

    def __init__(self, pairs: Pairs, events: int, on_over: Callable[[], None]) -> None:
        self.left = events
        self._pairs = pairs
        self._on_over = on_over
        self._buffer = memoryview(bytearray(65536))

    def callbacks(self) -> list[tuple[int, Callable[[], None]]]:
        ends = [end for pair in self._pairs for end in pair]
        return [(end.fileno(), self._echo(end)) for end in ends]

    def start(self) -> None:
        for near, _ in self._pairs:
            near.send(MESSAGE)

    def _echo(self, end: socket.socket) -> Callable[[], None]:
        recv_into, send, buffer = end.recv_into, end.send, self._buffer

        def on_readable() -> None:
            send(buffer[: recv_into(buffer)])
            self.left -= 1
            if not self.left:
                self._on_over()

        return on_readable


def _open_pairs(count: int) -> Pairs:
    pairs = [socket.socketpair() for _ in range(count)]
    for pair in pairs:
        for end in pair:
            end.setblocking(False)
    return pairs


def _close_pairs(pairs: Pairs) -> None:
    for pair in pairs:
        for end in pair:
            end.close()


def _ignore(exc: BaseException) -> None:
    raise exc


# Events: each returns operations per CPU second


def events_bare(pairs: Pairs, events: int) -> float:
    """Nothing but epoll and a dict: what no loop can beat."""
    over: list[bool] = []
    game = PingPong(pairs, events, lambda: over.append(True))
    epoll = select.epoll()
    readers = dict(game.callbacks())
    for fd in readers:
        epoll.register(fd, select.EPOLLIN)
    game.start()
    began = time.process_time()
    while not over:
        for fd, _mask in epoll.poll():
            readers[fd]()
    spent = time.process_time() - began
    epoll.close()
    return events / spent


def events_ours(make: Callable[[], SelectorLoop], pairs: Pairs, events: int) -> float:
    loop = make()
    game = PingPong(pairs, events, loop.stop)
    for fd, on_readable in game.callbacks():
        loop.watch(fd, _ignore).set(on_readable, None)
    game.start()
    began = time.process_time()
    loop.run()
    spent = time.process_time() - began
    loop.close()
    return events / spent


def events_asyncio(pairs: Pairs, events: int) -> float:
    loop = asyncio.new_event_loop()
    game = PingPong(pairs, events, loop.stop)
    for fd, on_readable in game.callbacks():
        loop.add_reader(fd, on_readable)
    game.start()
    began = time.process_time()
    loop.run_forever()
    spent = time.process_time() - began
    for pair in pairs:
        for end in pair:
            loop.remove_reader(end.fileno())
    loop.close()
    return events / spent


def _with_pairs(count: int, bench: Callable[[Pairs, int], float]) -> Bench:
    def run(events: int) -> float:
        pairs = _open_pairs(count)
        try:
            return bench(pairs, events)
        finally:
            _close_pairs(pairs)

    return run


# Registrations: read interest, then a turn, then write interest too, a turn, then gone


def churn_ours(make: Callable[[], SelectorLoop], pairs: Pairs, events: int) -> float:
    loop = make()
    fds = [near.fileno() for near, _ in pairs]
    rounds = max(1, events // (4 * len(fds)))
    began = time.process_time()
    for _ in range(rounds):
        watches = [loop.watch(fd, _ignore) for fd in fds]
        for watch in watches:
            watch.set(_nothing, None)
        loop.run_turn()
        for watch in watches:
            watch.set(_nothing, _nothing)
        loop.run_turn()
        for watch in watches:
            watch.close()
    spent = time.process_time() - began
    loop.close()
    return rounds * len(fds) / spent


def churn_asyncio(pairs: Pairs, events: int) -> float:
    loop = asyncio.new_event_loop()
    fds = [near.fileno() for near, _ in pairs]
    rounds = max(1, events // (4 * len(fds)))
    began = time.process_time()
    for _ in range(rounds):
        for fd in fds:
            loop.add_reader(fd, _nothing)
        _one_turn(loop)
        for fd in fds:
            loop.add_writer(fd, _nothing)
        _one_turn(loop)
        for fd in fds:
            loop.remove_reader(fd)
            loop.remove_writer(fd)
    spent = time.process_time() - began
    loop.close()
    return rounds * len(fds) / spent


def _one_turn(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_soon(loop.stop)
    loop.run_forever()


def _nothing() -> None:
    """Be called."""


# Timers: 10 s deadlines set and cancelled, 1000 of them at a time, a turn between


def timers(loop: Any, turn: Callable[[], None], events: int) -> float:
    rounds = max(1, events // 1000)
    began = time.process_time()
    for _ in range(rounds):
        deadlines = [loop.call_later(10.0, _nothing) for _ in range(1000)]
        turn()
        for deadline in deadlines:
            deadline.cancel()
    spent = time.process_time() - began
    loop.close()
    return rounds * 1000 / spent


def timers_ours(events: int) -> float:
    loop = SelectorLoop()
    return timers(loop, loop.run_turn, events)


def timers_asyncio(events: int) -> float:
    loop = asyncio.new_event_loop()
    return timers(loop, lambda: _one_turn(loop), events)


def _batch(limit: int) -> Callable[[Pairs, int], float]:
    def run(pairs: Pairs, events: int) -> float:
        usual = selector_loop.MAX_EVENTS_PER_TURN
        selector_loop.MAX_EVENTS_PER_TURN = limit  # type: ignore[misc]  # the thing measured
        try:
            return events_ours(SelectorLoop, pairs, events)
        finally:
            selector_loop.MAX_EVENTS_PER_TURN = usual  # type: ignore[misc]

    return run


def benches() -> dict[str, Bench]:
    """Return every measurement by its row and column."""
    table: dict[str, Bench] = {}
    for count in (1, 64, 1000):
        row = f"events, {count} pairs"
        table[f"{row} | bare epoll"] = _with_pairs(count, events_bare)
        for name, make in (("SelectorLoop", SelectorLoop), ("on selectors", SelectorsLoop)):
            table[f"{row} | {name}"] = _with_pairs(count, partial(events_ours, make))
        table[f"{row} | asyncio"] = _with_pairs(count, events_asyncio)
    for name, make in (("SelectorLoop", SelectorLoop), ("on selectors", SelectorsLoop)):
        table[f"registrations | {name}"] = _with_pairs(100, partial(churn_ours, make))
    table["registrations | asyncio"] = _with_pairs(100, churn_asyncio)
    table["timers | SelectorLoop"] = timers_ours
    table["timers | asyncio"] = timers_asyncio
    for limit in (16, 64, 256, 1023):
        table[f"batch of {limit}, 1000 pairs | SelectorLoop"] = _with_pairs(1000, _batch(limit))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--events", type=int, default=40_000, help="per run")
    options = parser.parse_args()
    table = benches()
    figures: dict[str, list[float]] = {name: [] for name in table}
    for _ in range(options.runs):
        for name, bench in table.items():
            figures[name].append(bench(options.events))
    print(f"{platform.python_implementation()} {platform.python_version()}, 1000 per CPU second")
    print(f"{'what':<28} {'loop':<13} {'median':>8} {'lowest':>8} {'highest':>8}")
    for name, values in figures.items():
        what, kind = name.split(" | ")
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{what:<28} {kind:<13} {middle / 1e3:8.1f} {low / 1e3:8.1f} {high / 1e3:8.1f}")


if __name__ == "__main__":
    main()
