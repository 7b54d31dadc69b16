"""Limited endpoints: what waits where, who resumes it, and that it costs nothing meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from frpd.errors import LocalProtocolError
from frpd.net.endpoint import Outcome
from frpd.net.pipes import PipePool
from frpd.net.transform import TransformEndpoint
from frpd.relay.limiter import Limiter, limiter_for
from frpd.relay.relay import Ending, Relay, RelayResult
from tests.helpers.endpoint import ScriptedEndpoint

if TYPE_CHECKING:
    from frpd.net.endpoint import Callback, Endpoint
    from frpd.selector_loop import SelectorLoop
    from tests.helpers.clock import MockClock

RATE = 10_000
BURST = RATE // 10


class OnceTold(ScriptedEndpoint):
    """Says only once for each watch that it takes bytes, as streams of yamux do."""

    def watch(self, on_readable: Callback | None, on_writable: Callback | None) -> None:
        def once() -> None:
            self._on_writable = None
            assert on_writable is not None
            on_writable()

        super().watch(on_readable, once if on_writable else None)


class Pair:
    """A service and a limited work connection, joined."""

    def __init__(self, loop: SelectorLoop, limiter: Limiter, *, wrapped: bool = False) -> None:
        self.local, self.work = ScriptedEndpoint(loop, "a"), OnceTold(loop, "b")
        limited: Endpoint = limiter.limit(self.work)
        self.results: list[RelayResult] = []
        self.relay = Relay(
            loop,
            self.local,
            TransformEndpoint(limited, []) if wrapped else limited,
            b_half_closes=True,
            on_done=self.results.append,
        )

    @property
    def moved(self) -> int:
        return self.relay.a_to_b + self.relay.b_to_a


def pass_time(loop: SelectorLoop, clock: MockClock, seconds: float) -> None:
    for _ in range(round(seconds / 0.01)):
        clock.advance(0.01)
        for _ in range(6):
            loop.run_turn()


def test_no_limit_is_nobody(loop: SelectorLoop) -> None:
    assert limiter_for(loop, 0) is None
    assert limiter_for(loop, 1) is not None


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "coded"])
@pytest.mark.parametrize("towards", ["service", "visitor", "both"])
def test_both_directions_together_keep_to_the_rate_and_nothing_is_lost(
    loop: SelectorLoop, clock: MockClock, towards: str, wrapped: bool
) -> None:
    limiter = Limiter(loop, RATE)
    pair = Pair(loop, limiter, wrapped=wrapped)
    data = bytes(range(250)) * 160
    if towards != "visitor":
        pair.work.say(data)
        pair.work.end()
    if towards != "service":
        pair.local.say(data)
        pair.local.end()
    pass_time(loop, clock, 2.0)
    assert 0.95 * 2 * RATE <= pair.moved <= 1.1 * 2 * RATE + BURST
    pass_time(loop, clock, 8.0)
    assert pair.local.got == (b"" if towards == "visitor" else data)
    assert pair.work.got == (b"" if towards == "service" else data)


def test_connections_of_one_proxy_share_it_evenly(loop: SelectorLoop, clock: MockClock) -> None:
    limiter = Limiter(loop, RATE)
    pairs = [Pair(loop, limiter) for _ in range(4)]
    for pair in pairs:
        pair.work.say(bytes(100_000))
    pass_time(loop, clock, 1.0)
    before = [pair.moved for pair in pairs]
    pass_time(loop, clock, 4.0)
    gains = [pair.moved - was for pair, was in zip(pairs, before, strict=True)]
    assert max(gains) - min(gains) <= RATE // 10
    assert 0.95 * 4 * RATE <= sum(gains) <= 1.05 * 4 * RATE


def test_nothing_happens_while_the_bucket_is_empty(loop: SelectorLoop, clock: MockClock) -> None:
    pair = Pair(loop, Limiter(loop, RATE))
    pair.work.say(bytes(50_000))
    pair.local.say(bytes(50_000))
    for _ in range(20):
        loop.run_turn()
    calls = pair.work.reader_calls, pair.local.reader_calls
    for _ in range(20):
        loop.run_turn()
    assert (pair.work.reader_calls, pair.local.reader_calls) == calls
    assert pair.moved == BURST


def test_a_relay_that_was_cut_leaves_the_line(loop: SelectorLoop, clock: MockClock) -> None:
    limiter = Limiter(loop, RATE)
    gone, stays = Pair(loop, limiter), Pair(loop, limiter)
    for pair in (gone, stays):
        pair.work.say(bytes(50_000))
    for _ in range(10):
        loop.run_turn()
    gone.relay.abort("test")
    assert gone.results[0].ending is Ending.ABORTED
    before = stays.moved
    pass_time(loop, clock, 1.0)
    assert stays.moved - before >= 0.95 * RATE
    assert loop.timer_count == 1
    stays.relay.abort("test")
    assert loop.timer_count == 0


def test_a_short_write_goes_on_by_itself(loop: SelectorLoop, clock: MockClock) -> None:
    limiter = Limiter(loop, RATE)
    others = [Pair(loop, limiter) for _ in range(2)]
    for pair in others:
        pair.work.say(bytes(50_000))
    inner = OnceTold(loop)
    limited = limiter.limit(inner)
    unsent = bytearray(5 * BURST)

    def writable() -> None:
        del unsent[: limited.write(unsent)]

    limited.watch(None, writable)
    pass_time(loop, clock, 2.0)
    assert inner.got == bytes(5 * BURST)


def test_what_is_put_back_is_not_counted_twice(loop: SelectorLoop) -> None:
    inner = ScriptedEndpoint(loop)
    limited = Limiter(loop, RATE).limit(inner)
    inner.say(bytes(BURST))
    for _ in range(3):
        data = limited.read(BURST)
        assert not isinstance(data, Outcome)
        assert len(data) == BURST
        limited.unread(bytes(data))


def test_a_loss_is_passed_on(loop: SelectorLoop) -> None:
    inner = ScriptedEndpoint(loop, "far")
    limited = Limiter(loop, RATE).limit(inner)
    lost: list[bool] = []
    limited.on_failure = lambda: lost.append(True)
    assert inner.on_failure is not None
    inner.on_failure()
    assert lost == [True]
    assert limited.describe() == "far"


def test_it_does_not_splice(loop: SelectorLoop) -> None:
    limited = Limiter(loop, RATE).limit(ScriptedEndpoint(loop))
    assert not limited.splices
    limited.splice_with(None)
    with pytest.raises(LocalProtocolError):
        limited.read_pipe(1)
    with pytest.raises(LocalProtocolError):
        limited.pipe_moved(1)
    pool = PipePool(65536, 1 << 20)
    pipe = pool.acquire()
    assert pipe is not None
    with pytest.raises(LocalProtocolError):
        limited.write_pipe(pipe, 1)
    pipe.give_back()
    pool.close()
