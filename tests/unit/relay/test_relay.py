from __future__ import annotations

import pytest

from frpd.relay.halves import READ_LIMIT
from frpd.relay.relay import LINGER_SECONDS, Ending, Relay, RelayResult
from frpd.selector_loop import SelectorLoop
from tests.helpers.clock import MockClock
from tests.helpers.endpoint import ScriptedEndpoint
from tests.unit.relay.plays import Play


@pytest.fixture
def play(loop: SelectorLoop, clock: MockClock) -> Play:
    return Play(loop, clock)


@pytest.fixture
def go_play(loop: SelectorLoop, clock: MockClock) -> Play:
    """``b`` is a Go peer: when it ends, it has closed."""
    return Play(loop, clock, b_half_closes=False)


# Clean ends.


def test_bytes_pass_both_ways_and_are_counted(play: Play) -> None:
    play.a.say(b"GET /", b" HTTP")
    play.b.say(b"200")
    play.run()
    assert (play.b.got, play.a.got) == (b"GET / HTTP", b"200")
    assert (play.relay.a_to_b, play.relay.b_to_a) == (10, 3)
    assert play.ending is None


def test_an_idle_relay_reads_both_sides_and_is_not_called(play: Play) -> None:
    play.run(50)
    assert (play.a.wants, play.b.wants) == ("r", "r")
    assert play.a.reader_calls == play.b.reader_calls == 0


def test_an_end_of_a_travels_and_the_late_answer_still_comes(play: Play) -> None:
    play.a.say(b"question")
    play.a.end()
    play.run()
    assert play.b.got == b"question"
    assert play.b.acts == ["end"]
    assert (play.a.acts, play.ending) == ([], None)
    play.wait(3600.0)
    play.b.say(b"late answer")
    play.run()
    assert play.a.got == b"late answer"
    play.b.end()
    play.run()
    assert (play.a.acts, play.b.acts) == (["close"], ["end", "close"])
    assert play.results == [RelayResult(8, 11, Ending.CLEAN, "")]


def test_an_end_of_b_travels_and_a_goes_on(play: Play) -> None:
    play.b.say(b"banner")
    play.b.end()
    play.run()
    assert (play.a.got, play.a.acts) == (b"banner", ["end"])
    play.wait(3600.0)
    play.a.say(b"upload")
    play.a.end()
    play.run()
    assert play.b.got == b"upload"
    assert (play.a.acts, play.b.acts) == (["end", "close"], ["close"])
    assert play.results == [RelayResult(6, 6, Ending.CLEAN, "")]


def test_a_half_that_has_ended_is_not_watched_any_more(play: Play) -> None:
    play.a.end()
    play.run(50)
    assert play.a.reader_calls == 1
    assert (play.a.wants, play.b.wants) == ("", "r")


def test_an_end_waits_until_the_sink_has_everything(play: Play) -> None:
    play.b.capacity = 3
    play.a.say(b"question")
    play.a.end()
    play.run()
    assert (play.b.got, play.b.acts) == (b"que", [])
    play.b.take()
    play.run()
    assert (play.b.got, play.b.acts) == (b"question", ["end"])


# A Go peer's end.


def test_an_end_of_a_go_peer_closes_both_within_the_linger_second(go_play: Play) -> None:
    play = go_play
    play.b.say(b"all ", b"of it")
    play.b.end()
    play.run()
    assert (play.a.got, play.a.acts) == (b"all of it", ["end"])
    play.wait(LINGER_SECONDS - 0.01)
    assert play.ending is None
    play.wait(0.01)
    assert play.a.acts == ["end", "close"]
    assert play.b.acts == ["close"]
    assert play.results == [RelayResult(0, 9, Ending.CLEAN, "")]


def test_what_a_user_sends_to_a_closed_go_peer_is_discarded(go_play: Play) -> None:
    play = go_play
    play.b.end()
    play.run()
    for _ in range(5):
        play.a.say(b"x" * 1000)
        play.run()
        assert play.a.unread_bytes == 0
    assert play.b.got == b""
    assert play.relay.a_to_b == 0
    play.a.end()
    play.run()
    assert play.results == [RelayResult(0, 0, Ending.CLEAN, "")]
    assert play.b.acts == ["close"]
    assert play.loop.timer_count == 0


def test_a_user_who_waits_to_be_written_is_discarded_too(go_play: Play) -> None:
    play = go_play
    play.b.capacity = 1
    play.a.say(b"stuck in the relay", b"not even read")
    play.run()
    play.b.end()
    play.run()
    assert (play.a.unread_bytes, play.b.got) == (0, b"s")
    play.wait(LINGER_SECONDS)
    assert play.results == [RelayResult(1, 0, Ending.CLEAN, "")]


def test_a_slow_user_gets_all_that_a_go_peer_sent_before_its_end(go_play: Play) -> None:
    play = go_play
    play.a.capacity = 4
    play.b.say(b"a long answer")
    play.b.end()
    play.run()
    play.wait(3600.0)
    assert play.ending is None, "the end is not even known while bytes wait"
    play.a.take()
    play.run()
    assert (play.a.got, play.a.acts) == (b"a long answer", ["end"])
    play.wait(LINGER_SECONDS)
    assert play.ending is Ending.CLEAN


def test_a_go_peer_that_ends_after_the_user_needs_no_linger(go_play: Play) -> None:
    play = go_play
    play.a.say(b"bye")
    play.a.end()
    play.run()
    assert play.b.acts == ["end"]
    play.b.say(b"good")
    play.b.end()
    play.run()
    assert play.results == [RelayResult(3, 4, Ending.CLEAN, "")]
    assert play.loop.timer_count == 0


def test_a_user_who_resets_while_we_linger_ends_it(go_play: Play) -> None:
    play = go_play
    play.b.end()
    play.run()
    play.a.reset()
    play.run()
    assert play.results == [RelayResult(0, 0, Ending.RESET, "connection reset by peer")]
    assert play.loop.timer_count == 0


# A Go visitor's end.


@pytest.fixture
def go_visit(loop: SelectorLoop, clock: MockClock) -> Play:
    """``a`` is a Go visitor's stream: when it ends, it has closed."""
    return Play(loop, clock, a_half_closes=False)


def test_an_end_of_a_go_visitor_closes_both_within_the_linger_second(go_visit: Play) -> None:
    play = go_visit
    play.a.say(b"all of it")
    play.a.end()
    play.run()
    assert (play.b.got, play.b.acts) == (b"all of it", ["end"])
    play.b.say(b"nobody reads this")
    play.run()
    assert (play.a.got, play.b.unread_bytes, play.ending) == (b"", 0, None)
    play.b.end()
    play.run()
    assert (play.a.acts, play.b.acts) == (["close"], ["end", "close"])
    assert play.results == [RelayResult(9, 0, Ending.CLEAN, "")]


def test_a_service_that_goes_on_behind_a_go_visitor_is_cut(go_visit: Play) -> None:
    play = go_visit
    play.a.end()
    play.run()
    play.wait(LINGER_SECONDS)
    assert play.b.acts[:2] == ["end", "abort"], "an end alone would let it talk for ever"
    assert play.a.acts == ["close"]
    assert play.ending is Ending.CLEAN


# Losses.


def test_a_reset_of_a_is_passed_on(play: Play) -> None:
    play.a.say(b"half a quest")
    play.a.reset()
    play.run()
    assert (play.b.got, play.b.acts) == (b"half a quest", ["abort"])
    assert play.a.acts == ["abort"]
    assert play.results == [RelayResult(12, 0, Ending.RESET, "connection reset by peer")]


def test_a_reset_of_b_is_passed_on_once_it_has_said_something(play: Play) -> None:
    play.b.say(b"half an ans")
    play.b.reset("broken")
    play.run()
    assert (play.a.got, play.a.acts) == (b"half an ans", ["abort"])
    assert play.results == [RelayResult(0, 11, Ending.RESET, "broken")]


@pytest.mark.parametrize("written", [False, True])
def test_a_work_connection_lost_before_its_first_byte_is_a_quiet_end(
    play: Play, written: bool
) -> None:
    if written:
        play.a.say(b"request")
        play.run()
    play.b.reset("refused")
    play.run()
    assert (play.a.acts, play.b.acts) == (["close"], ["abort"])
    assert play.results == [RelayResult(7 * written, 0, Ending.RESET, "refused")]


def test_a_work_connection_found_lost_by_a_write_is_a_quiet_end_too(play: Play) -> None:
    play.b.break_writes()
    play.a.say(b"request")
    play.run()
    play.b.reset("refused")
    play.run()
    assert (play.a.acts, play.b.acts) == (["close"], ["abort"])
    assert play.results == [RelayResult(0, 0, Ending.RESET, "broken pipe")]


def test_a_user_who_resets_before_any_byte_is_no_quiet_end(play: Play) -> None:
    play.a.reset()
    play.run()
    assert play.a.acts == play.b.acts == ["abort"]


def test_a_sink_that_takes_nothing_more_is_heard_out_first(play: Play) -> None:
    play.b.say(b"part one, ")
    play.run()
    play.a.capacity = 0
    play.b.say(b"part two, ")
    play.run()
    play.b.break_writes()
    play.a.say(b"into the void", b"more")
    play.run()
    play.b.say(b"part three")
    play.run()
    assert (play.ending, play.a.acts) == (None, [])
    play.a.take()
    play.run()
    assert play.a.got == b"part one, part two, part three"
    assert play.ending is None
    play.b.reset("gone")
    play.run()
    assert play.a.acts == play.b.acts == ["abort"]
    assert play.results == [RelayResult(0, 30, Ending.RESET, "broken pipe")]


def test_a_user_that_takes_nothing_more_is_heard_out_first(play: Play) -> None:
    play.a.break_writes()
    play.b.say(b"nobody reads this")
    play.run()
    play.a.say(b"last words")
    play.a.reset("gone")
    play.run()
    assert (play.b.got, play.b.acts) == (b"last words", ["abort"])
    assert play.results == [RelayResult(10, 0, Ending.RESET, "broken pipe")]


def test_a_user_who_only_talked_and_left_is_delivered_without_a_reset(play: Play) -> None:
    """Such as a log shipper: it sends, closes, and never reads the service's greeting."""
    play.a.break_writes()
    play.b.say(b"220 welcome")
    play.a.say(b"all I have to say")
    play.a.end()
    play.run()
    assert (play.b.got, play.b.acts) == (b"all I have to say", ["end"])
    play.b.say(b"250 thank you")
    play.b.end()
    play.run()
    assert play.b.acts == ["end", "close"]
    assert play.results == [RelayResult(17, 0, Ending.RESET, "broken pipe")]
    assert play.loop.timer_count == 0


def test_a_service_that_answers_early_and_leaves_is_heard_without_a_reset(play: Play) -> None:
    play.b.say(b"413 too large")
    play.b.end()
    play.run()
    play.b.break_writes()
    for _ in range(5):
        play.a.say(b"upload")
        play.run()
    assert (play.a.got, play.a.acts, play.a.unread_bytes) == (b"413 too large", ["end"], 0)
    play.a.end()
    play.run()
    assert play.a.acts == ["end", "close"]
    assert play.results == [RelayResult(0, 13, Ending.RESET, "broken pipe")]
    assert play.loop.timer_count == 0


@pytest.mark.parametrize("ends_first", [False, True])
def test_who_talks_on_to_a_lost_side_is_reset_after_the_linger_second(
    play: Play, ends_first: bool
) -> None:
    if ends_first:
        play.a.end()
        play.run()
    play.a.break_writes()
    play.a.end()
    play.b.say(b"for ")
    play.run()
    for _ in range(3):
        play.b.say(b"nobody")
        play.wait(LINGER_SECONDS / 4)
    assert (play.b.acts, play.b.unread_bytes, play.ending) == (["end"], 0, None)
    play.wait(LINGER_SECONDS / 4)
    assert play.b.acts == ["end", "abort"]
    assert play.results == [RelayResult(0, 0, Ending.RESET, "broken pipe")]


def test_two_sides_that_take_nothing_more_are_let_go_at_once(play: Play) -> None:
    play.a.break_writes("a is deaf")
    play.b.break_writes("b is deaf")
    play.a.say(b"1", b"2")
    play.b.say(b"3", b"4")
    play.run()
    assert play.a.acts == play.b.acts == ["abort"]
    assert play.results == [RelayResult(0, 0, Ending.RESET, "b is deaf")]


def test_a_lost_sink_costs_its_source_nothing_more(play: Play) -> None:
    play.b.break_writes()
    play.a.say(b"1", b"2", b"3")
    play.run(50)
    assert (play.a.wants, play.b.wants) == ("", "r")
    assert play.a.reader_calls == 1


# Stalls.


def test_a_stalled_sink_costs_one_read_and_drops_read_interest(play: Play) -> None:
    play.b.capacity = 100
    play.a.say(*[bytes(READ_LIMIT)] * 8)
    play.run(200)
    assert play.a.unread_bytes == 7 * READ_LIMIT
    assert play.a.reader_calls == 1
    assert (play.a.wants, play.b.wants) == ("", "rw")
    assert play.b.writer_calls == 0
    assert play.relay.a_to_b == 100


def test_a_sink_without_room_is_not_read_for(play: Play) -> None:
    play.b.tells_room = True
    play.b.capacity = 0
    play.a.say(b"waits where it is")
    play.run(200)
    assert (play.a.unread_bytes, play.a.reader_calls) == (17, 1)
    play.b.take(4)
    play.run()
    assert (play.b.got, play.a.unread_bytes) == (b"wait", 13)
    play.b.take()
    play.run()
    assert play.b.got == b"waits where it is"


def test_a_stalled_sink_does_not_stop_the_other_direction(play: Play) -> None:
    play.b.capacity = 0
    play.a.say(b"stalled")
    for _ in range(5):
        play.b.say(b"flows ")
        play.run()
    assert play.a.got == b"flows " * 5


def test_a_stalled_sink_resumes_in_order(play: Play) -> None:
    expected = bytes(index * 7 % 251 for index in range(3 * READ_LIMIT))
    play.b.capacity = 0
    play.a.say(expected)
    play.a.end()
    while play.b.acts == []:
        play.b.take(50_000)
        play.run(3)
    assert play.b.got == expected
    assert play.relay.a_to_b == len(expected)
    assert play.a.most_read <= READ_LIMIT


def test_one_turn_reads_once(play: Play) -> None:
    play.a.say(*[b"x" * 10] * 5)
    for turn in range(1, 6):
        play.loop.run_turn()
        assert len(play.b.got) == 10 * turn


# Ends of our own.


def test_an_abort_resets_both_once(play: Play) -> None:
    play.a.say(b"x")
    play.run()
    play.relay.abort("the client stops")
    play.relay.abort("again")
    play.run()
    assert play.a.acts == play.b.acts == ["abort"]
    assert play.results == [RelayResult(1, 0, Ending.ABORTED, "the client stops")]


def test_an_abort_while_we_linger_leaves_no_timer(go_play: Play) -> None:
    go_play.b.end()
    go_play.run()
    go_play.relay.abort("stop")
    assert go_play.ending is Ending.ABORTED
    assert go_play.loop.timer_count == 0


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_bug_in_a_callback_aborts_both(
    play: Play, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, sink = (play.a, play.b) if side == "a" else (play.b, play.a)

    def fail(data: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(sink, "write", fail)
    source.say(b"x")
    play.run()
    assert isinstance(source.error, ZeroDivisionError)
    assert play.a.acts == play.b.acts == ["abort"]
    assert play.results == [RelayResult(0, 0, Ending.ABORTED, "connection lost")]


@pytest.mark.parametrize("ending", ["clean", "reset"])
def test_on_done_is_called_once_even_if_it_fails(
    loop: SelectorLoop, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[RelayResult] = []

    def on_done(result: RelayResult) -> None:
        calls.append(result)
        raise ZeroDivisionError

    a, b = ScriptedEndpoint(loop, "a"), ScriptedEndpoint(loop, "b")
    Relay(loop, a, b, b_half_closes=True, on_done=on_done)
    if ending == "clean":
        a.end()
        b.end()
    else:
        a.reset()
    for _ in range(10):
        loop.run_turn()
    assert len(calls) == 1
    assert len({*a.acts} & {"close", "abort"}) == 1
    assert len({*b.acts} & {"close", "abort"}) == 1


def test_both_are_let_go_before_on_done_is_called(loop: SelectorLoop) -> None:
    a, b = ScriptedEndpoint(loop, "a"), ScriptedEndpoint(loop, "b")
    seen: list[list[str]] = []
    relay = Relay(
        loop, a, b, b_half_closes=True, on_done=lambda _: seen.extend([list(a.acts), list(b.acts)])
    )
    relay.abort("now")
    assert seen == [["abort"], ["abort"]]
    assert a.on_failure is b.on_failure is None


def test_nothing_runs_inside_the_constructor(loop: SelectorLoop) -> None:
    a, b = ScriptedEndpoint(loop, "a"), ScriptedEndpoint(loop, "b")
    a.reset()
    b.reset()
    results: list[RelayResult] = []
    Relay(loop, a, b, b_half_closes=True, on_done=results.append)
    assert results == []
    loop.run_turn()
    assert len(results) == 1


# Who was first, for the access log.


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("how", ["ends", "resets", "takes nothing"])
def test_the_side_that_ended_or_was_lost_first_is_told(play: Play, side: str, how: str) -> None:
    first, other = (play.a, play.b) if side == "a" else (play.b, play.a)
    if how == "ends":
        first.end()
    elif how == "resets":
        first.reset()
    else:
        first.break_writes()
        other.say(b"for nobody")
    for side_ending in (other, first):
        play.run()
        side_ending.end()
    play.run()
    play.wait(LINGER_SECONDS)
    assert [result.ended_by for result in play.results] == [side]


def test_nobody_was_first_where_we_have_ended_it(play: Play) -> None:
    play.a.end()
    play.run()
    play.relay.abort("the client stops")
    assert [result.ended_by for result in play.results] == [""]
