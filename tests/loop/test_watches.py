from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from frpd.selector_loop import SelectorLoop, Watch
from tests.helpers.clock import MockClock

if TYPE_CHECKING:
    from tests.loop.conftest import MakePair


def raise_it(exc: BaseException) -> None:
    raise exc


def fill(end: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            end.send(bytes(65536))


def test_a_readable_fd_calls_its_reader_until_it_is_read(
    loop: SelectorLoop, make_pair: MakePair
) -> None:
    near, far = make_pair()
    calls: list[str] = []
    loop.watch(near.fileno(), raise_it).set(lambda: calls.append("read"), None)
    loop.run_turn()
    assert calls == []
    far.send(b"x")
    loop.run_turn()
    loop.run_turn()
    assert calls == ["read", "read"]
    near.recv(10)
    loop.run_turn()
    assert calls == ["read", "read"]


def test_an_fd_that_is_both_calls_its_reader_first(loop: SelectorLoop, make_pair: MakePair) -> None:
    near, far = make_pair()
    far.send(b"x")
    calls: list[str] = []
    loop.watch(near.fileno(), raise_it).set(
        lambda: calls.append("read"), lambda: calls.append("write")
    )
    loop.run_turn()
    assert calls == ["read", "write"]


def test_a_full_socket_calls_its_writer_only_once_there_is_room(
    loop: SelectorLoop, make_pair: MakePair
) -> None:
    near, far = make_pair()
    fill(near)
    calls: list[str] = []
    loop.watch(near.fileno(), raise_it).set(None, lambda: calls.append("write"))
    loop.run_turn()
    assert calls == []
    while len(calls) == 0:
        far.recv(1 << 20)
        loop.run_turn()
    assert calls == ["write"]


def test_the_first_interest_dropped_by_the_reader_spares_the_writer(
    loop: SelectorLoop, make_pair: MakePair
) -> None:
    near, far = make_pair()
    far.send(b"x")
    calls: list[str] = []
    watch = loop.watch(near.fileno(), raise_it)
    watch.set(lambda: watch.set(None, None), lambda: calls.append("write"))
    loop.run_turn()
    assert calls == []


def test_changes_of_one_turn_reach_epoll_as_one(
    loop: SelectorLoop, make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, _ = make_pair()
    asked: list[int] = []
    control = SelectorLoop._control

    def record(self: SelectorLoop, watch: Watch, wanted: int) -> None:
        asked.append(wanted)
        control(self, watch, wanted)

    monkeypatch.setattr(SelectorLoop, "_control", record)
    watch = loop.watch(near.fileno(), raise_it)
    watch.set(lambda: None, None)
    watch.set(None, None)
    watch.set(lambda: None, lambda: None)
    watch.set(lambda: None, None)
    loop.run_turn()
    assert asked[-1:] == [select.EPOLLIN]
    count = len(asked)
    watch.set(None, None)
    watch.set(lambda: None, None)
    loop.run_turn()
    assert len(asked) == count


def test_a_swapped_reader_takes_the_next_event(loop: SelectorLoop, make_pair: MakePair) -> None:
    near, far = make_pair()
    calls: list[str] = []
    watch = loop.watch(near.fileno(), raise_it)
    watch.set(lambda: calls.append("old"), None)
    loop.run_turn()
    far.send(b"x")
    watch.set(lambda: calls.append("new"), None)
    loop.run_turn()
    assert calls == ["new"]


def test_a_watch_closed_earlier_in_the_batch_gets_nothing(
    loop: SelectorLoop, make_pair: MakePair
) -> None:
    pairs = [make_pair(), make_pair()]
    watches = [loop.watch(near.fileno(), raise_it) for near, _ in pairs]
    calls: list[int] = []

    def close_the_other(me: int) -> None:
        calls.append(me)
        watches[1 - me].close()

    watches[0].set(lambda: close_the_other(0), None)
    watches[1].set(lambda: close_the_other(1), None)
    for _, far in pairs:
        far.send(b"x")
    loop.run_turn()
    assert len(calls) == 1
    loop.run_turn()
    assert calls == [calls[0]] * 2


def test_an_interest_dropped_earlier_in_the_batch_is_not_called(
    loop: SelectorLoop, make_pair: MakePair
) -> None:
    pairs = [make_pair(), make_pair()]
    watches = [loop.watch(near.fileno(), raise_it) for near, _ in pairs]
    calls: list[int] = []

    def pause_the_other(me: int) -> None:
        calls.append(me)
        watches[1 - me].set(None, None)

    watches[0].set(lambda: pause_the_other(0), None)
    watches[1].set(lambda: pause_the_other(1), None)
    for _, far in pairs:
        far.send(b"x")
    loop.run_turn()
    assert len(calls) == 1


def test_a_recycled_fd_number_inherits_no_event_of_the_batch(
    loop: SelectorLoop, make_pair: MakePair
) -> None:
    """Both are readable; whoever comes first replaces the other's fd by a quiet one."""
    pairs = [make_pair(), make_pair()]
    quiet, _peer = make_pair()
    watches = [loop.watch(near.fileno(), raise_it) for near, _ in pairs]
    calls: list[str] = []

    def replace_the_other(me: int) -> None:
        if calls:
            return
        calls.append("first")
        number = pairs[1 - me][0].fileno()
        watches[1 - me].close()
        os.dup2(quiet.fileno(), number)  # closes the old description, keeps the number
        loop.watch(number, raise_it).set(lambda: calls.append("stale"), None)

    watches[0].set(lambda: replace_the_other(0), None)
    watches[1].set(lambda: replace_the_other(1), None)
    for _, far in pairs:
        far.send(b"x")
    for _ in range(3):
        loop.run_turn()
    assert calls == ["first"]
    _peer.send(b"x")
    loop.run_turn()
    assert calls == ["first", "stale"], "the new watch does get its own events"


def test_a_hung_up_fd_without_interests_does_not_spin(
    loop: SelectorLoop, make_pair: MakePair
) -> None:
    near, far = make_pair()
    watch = loop.watch(near.fileno(), raise_it)
    watch.set(lambda: watch.set(None, None), None)
    far.close()
    loop.run_turn()
    loop.run_turn()
    assert loop.turns == 2
    poll = select.poll()
    poll.register(near, 0)
    assert poll.poll(0) == [(near.fileno(), select.POLLHUP)], "the fd is hung up indeed"
    assert loop._epoll.poll(0) == []


def test_a_loop_with_a_paused_dead_connection_sleeps(make_pair: MakePair) -> None:
    loop = SelectorLoop()
    near, far = make_pair()
    watch = loop.watch(near.fileno(), raise_it)
    watch.set(lambda: watch.set(None, None), None)
    far.close()
    loop.call_later(0.03, loop.stop)
    loop.run()
    assert loop.turns <= 4
    loop.close()


def test_a_hang_up_tells_the_only_callback_that_is_set(
    loop: SelectorLoop, make_pair: MakePair
) -> None:
    near, far = make_pair()
    fill(near)
    calls: list[str] = []
    watch = loop.watch(near.fileno(), raise_it)
    watch.set(None, lambda: calls.append("write"))
    loop.run_turn()
    far.close()
    loop.run_turn()
    assert calls == ["write"]
    watch.set(lambda: calls.append("read"), None)
    loop.run_turn()
    assert calls == ["write", "read"]


def test_a_reset_reaches_the_reader(loop: SelectorLoop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    near.setblocking(False)
    errors: list[OSError] = []

    def on_readable() -> None:
        try:
            near.recv(1)
        except OSError as exc:
            errors.append(exc)
        watch.close()

    watch = loop.watch(near.fileno(), raise_it)
    watch.set(on_readable, None)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.close()
    loop.run_turn(5.0)
    assert [type(exc) for exc in errors] == [ConnectionResetError]
    near.close()


def test_a_closed_watch_ignores_set_and_a_second_close(
    loop: SelectorLoop, make_pair: MakePair
) -> None:
    near, far = make_pair()
    far.send(b"x")
    calls: list[str] = []
    watch = loop.watch(near.fileno(), raise_it)
    watch.set(lambda: calls.append("read"), None)
    assert loop.watch_count == 1
    watch.close()
    watch.close()
    watch.set(lambda: calls.append("read"), None)
    loop.run_turn()
    assert calls == []
    assert loop.watch_count == 0


def test_the_second_close_of_a_watch_spares_its_successor(
    loop: SelectorLoop, make_pair: MakePair
) -> None:
    near, far = make_pair()
    old = loop.watch(near.fileno(), raise_it)
    old.close()
    calls: list[str] = []
    loop.watch(near.fileno(), raise_it).set(lambda: calls.append("read"), None)
    old.close()
    far.send(b"x")
    loop.run_turn()
    assert calls == ["read"]


def test_an_fd_is_watched_once(loop: SelectorLoop, make_pair: MakePair) -> None:
    near, _ = make_pair()
    loop.watch(near.fileno(), raise_it)
    with pytest.raises(ValueError, match="still watched"):
        loop.watch(near.fileno(), raise_it)


def test_an_fd_closed_before_its_watch_is_logged_and_survived(
    loop: SelectorLoop, make_pair: MakePair, caplog: pytest.LogCaptureFixture
) -> None:
    near, _ = make_pair()
    watch = loop.watch(near.fileno(), raise_it)
    watch.set(lambda: None, None)
    loop.run_turn()
    near.close()
    watch.close()
    loop.run_turn()
    assert "was closed before its watch" in caplog.text


def test_an_fd_that_epoll_refuses_is_a_failure_of_its_watch(
    loop: SelectorLoop, caplog: pytest.LogCaptureFixture
) -> None:
    failures: list[BaseException] = []
    with open(__file__, "rb") as plain_file:
        watch = loop.watch(plain_file.fileno(), failures.append)
        watch.set(lambda: None, None)
        loop.run_turn()
        loop.run_turn()
        watch.close()
    assert [type(exc) for exc in failures] == [PermissionError]
    assert "callback of fd" in caplog.text


def test_an_exception_goes_to_on_failure_and_the_others_go_on(
    loop: SelectorLoop, make_pair: MakePair, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = make_pair(), make_pair()
    failures: list[BaseException] = []
    calls: list[str] = []

    def on_failure(exc: BaseException) -> None:
        failures.append(exc)
        watch.close()

    def broken() -> None:
        raise RuntimeError("a bug")

    watch = loop.watch(bad[0].fileno(), on_failure)
    watch.set(broken, None)
    loop.watch(good[0].fileno(), raise_it).set(lambda: calls.append("read"), None)
    for _, far in (bad, good):
        far.send(b"x")
    loop.run_turn()
    loop.run_turn()
    assert [str(exc) for exc in failures] == ["a bug"]
    assert calls == ["read", "read"]
    records = [record for record in caplog.records if record.name == "frpd.loop"]
    assert len(records) == 1
    assert records[0].exc_info is not None
    assert records[0].exc_info[1] is failures[0]


def test_a_callback_that_closes_its_watch_and_raises_still_reports(
    loop: SelectorLoop, make_pair: MakePair
) -> None:
    near, far = make_pair()
    failures: list[BaseException] = []
    watch = loop.watch(near.fileno(), failures.append)

    def broken() -> None:
        watch.close()
        raise RuntimeError("half closed")

    watch.set(broken, None)
    far.send(b"x")
    loop.run_turn()
    assert [str(exc) for exc in failures] == ["half closed"]


def test_a_failing_on_failure_is_logged_and_the_watch_closed(
    loop: SelectorLoop, make_pair: MakePair, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = make_pair()

    def broken() -> None:
        raise RuntimeError("first")

    loop.watch(near.fileno(), raise_it).set(broken, None)
    far.send(b"x")
    loop.run_turn()
    loop.run_turn()
    assert [record.getMessage() for record in caplog.records] == [
        f"a callback of fd {near.fileno()} failed",
        f"on_failure of fd {near.fileno()} failed",
    ]
    assert loop.watch_count == 0


def test_a_keyboard_interrupt_passes_and_the_loop_can_go_on(
    loop: SelectorLoop, make_pair: MakePair
) -> None:
    near, far = make_pair()
    far.send(b"x")
    watch = loop.watch(near.fileno(), raise_it)
    watch.set(lambda: raise_it(KeyboardInterrupt()), None)
    with pytest.raises(KeyboardInterrupt):
        loop.run_turn()
    calls: list[str] = []
    watch.set(lambda: calls.append("read"), None)
    loop.run_turn()
    assert calls == ["read"]


def test_more_ready_fds_than_one_batch_are_all_served(
    loop: SelectorLoop, make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frpd.selector_loop.MAX_EVENTS_PER_TURN", 4)
    served: list[int] = []
    for index in range(10):
        near, far = make_pair()
        far.send(b"x")
        loop.watch(near.fileno(), raise_it).set(lambda index=index: served.append(index), None)  # type: ignore[misc]  # the default binds the loop variable
    for turn in range(1, 4):
        loop.run_turn()
        assert len(served) == 4 * turn
    assert set(served) == set(range(10)), "fds never read must not hide the others"


def test_a_closed_loop_lets_go_of_everything(make_pair: MakePair) -> None:
    before = set(os.listdir("/proc/self/fd"))
    loop = SelectorLoop(MockClock())
    near, far = make_pair()
    watch = loop.watch(near.fileno(), raise_it)
    watch.set(lambda: raise_it(AssertionError("called after close")), None)
    far.send(b"x")
    loop.close()
    loop.close()
    watch.close()
    near.close()
    far.close()
    assert set(os.listdir("/proc/self/fd")) - before == set()
    with pytest.raises(RuntimeError, match="closed"):
        loop.run_turn()
