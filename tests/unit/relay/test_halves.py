"""One half alone, with a relay that only takes notes; test_relay.py plays both together."""

from __future__ import annotations

import pytest

from frpd.relay.halves import FULL_BYTES, FULL_READS, READ_LIMIT, CopyHalf
from frpd.selector_loop import SelectorLoop
from tests.helpers.endpoint import ScriptedEndpoint


class Notes:
    """Satisfies RelayCore."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def update(self) -> None:
        self.taken.append("update")

    def half_ended(self, half: CopyHalf) -> None:
        self.taken.append("ended")

    def bulky(self, half: CopyHalf) -> None:
        self.taken.append("bulky")

    def not_bulky(self, half: CopyHalf) -> None:
        self.taken.append("not bulky")

    def source_lost(self, half: CopyHalf, reason: str) -> None:
        self.taken.append(f"source lost: {reason}")

    def sink_lost(self, half: CopyHalf, reason: str) -> None:
        half.stop()
        self.taken.append(f"sink lost: {reason}")


class Half:
    """A CopyHalf and all that it touches."""

    def __init__(self, loop: SelectorLoop) -> None:
        self.notes = Notes()
        self.source = ScriptedEndpoint(loop, "source")
        self.sink = ScriptedEndpoint(loop, "sink")
        self.half = CopyHalf(self.notes, self.source, self.sink)

    @property
    def state(self) -> str:
        names = ("reading", "blocked", "over", "stopped")
        return " ".join(name for name in names if getattr(self.half, name))


@pytest.fixture
def it(loop: SelectorLoop) -> Half:
    return Half(loop)


def test_a_fresh_half_reads(it: Half) -> None:
    assert it.state == "reading"


def test_a_call_without_bytes_changes_nothing(it: Half) -> None:
    it.half.on_readable()
    it.half.on_writable()
    assert it.state == "reading"
    assert it.sink.got == b""


def test_a_read_is_as_large_as_the_sink_has_room_for(it: Half) -> None:
    it.sink.tells_room = True
    for capacity, limit in ((10, 10), (1 << 30, READ_LIMIT)):
        it.sink.capacity = capacity
        it.half.on_readable()
        assert it.source.most_read == limit


def test_what_a_sink_leaves_is_kept_and_offered_first(it: Half) -> None:
    it.source.say(b"abcdef", b"ghi")
    it.sink.capacity = 2
    it.half.on_readable()
    assert it.state == "blocked"
    it.sink.capacity = 3
    it.half.on_writable()
    assert (it.state, it.sink.got, it.half.moved) == ("blocked", b"abcde", 5)
    it.sink.capacity = 100
    it.half.on_writable()
    it.half.on_readable()
    assert (it.state, it.sink.got, it.half.moved) == ("reading", b"abcdefghi", 9)
    assert it.notes.taken == ["update", "update"]


def test_an_end_is_reported_once_everything_is_out(it: Half) -> None:
    it.source.say(b"last")
    it.source.end()
    it.half.on_readable()
    it.half.on_readable()
    assert it.notes.taken == ["ended"]
    assert (it.state, it.sink.got) == ("over", b"last")


def test_losses_name_their_side(it: Half) -> None:
    it.source.say(b"x")
    it.sink.break_writes("deaf")
    it.half.on_readable()
    assert it.state == "over stopped"
    it.source.reset("mute")
    it.half.on_readable()
    assert it.notes.taken == ["sink lost: deaf", "source lost: mute"]


def test_a_sink_lost_while_bytes_wait_stays_stopped(it: Half) -> None:
    it.source.say(b"abc")
    it.sink.capacity = 1
    it.half.on_readable()
    it.sink.break_writes("deaf")
    it.half.on_writable()
    assert it.state == "over stopped"
    assert it.notes.taken == ["update", "sink lost: deaf"]


def test_a_discarding_half_reads_to_the_end_and_tells_the_sink_nothing(it: Half) -> None:
    it.source.say(b"abc", b"def")
    it.sink.capacity = 1
    it.half.on_readable()
    it.half.stop()
    it.half.discard()
    assert it.state == "reading"
    it.sink.capacity = 0
    it.half.on_readable()
    it.source.end()
    it.half.on_readable()
    assert (it.sink.got, it.sink.acts, it.half.moved) == (b"a", [], 1)
    assert it.notes.taken[-1] == "ended"
    assert it.source.unread_bytes == 0


def test_full_reads_in_a_row_are_bulk(it: Half) -> None:
    full, short = bytes(FULL_BYTES), bytes(FULL_BYTES - 1)
    for chunk in [full] * (FULL_READS - 1) + [short] + [full] * FULL_READS:
        assert it.notes.taken == []
        it.source.say(chunk)
        it.half.on_readable()
    assert it.notes.taken == ["bulky"]
