"""A visitor's connection, served from files by an Endpoint that has no socket."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from frpd.client.plugins import static_visit
from frpd.client.plugins.login import Login
from frpd.client.plugins.static_answers import Answer, bare_answer
from frpd.client.plugins.static_site import FIRST_BYTES, StaticSite
from frpd.client.plugins.static_tree import StaticTree
from frpd.client.plugins.static_visit import INPUT_BYTES, StaticVisit, VisitLimits
from frpd.config.params import NO_PARAMS
from frpd.errors import ConnectionLost, LimitError
from frpd.log import get_logger
from frpd.net.endpoint import Outcome
from frpd.net.pipes import Pipe, PipePool
from frpd.proto.http.head import RequestHead
from frpd.relay.relay import Ending, Relay, RelayResult
from tests.helpers.duplex import Duplex
from tests.helpers.endpoint import ScriptedEndpoint
from tests.helpers.world import FixedEntropy, World, world

__all__ = ["world"]

KIB, MIB = 1024, 1024 * 1024
GET = b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n"


class Visit:
    """A visit to a folder with the files a ("A") and b ("B"), and who reads it."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        (folder / "a").write_bytes(b"A")
        (folder / "b").write_bytes(b"B")
        tree = StaticTree(str(folder))
        login = Login(NO_PARAMS, "user", "password")
        self.site = StaticSite(tree, world.clock, FixedEntropy(), login)
        self.closed = 0
        self.limits = VisitLimits()
        self.visit = StaticVisit(
            world.loop,
            world.pool,
            self.site,
            get_logger("test"),
            name="visitor",
            on_closed=self.was_closed,
            limits=self.limits,
        )
        world.owners.callback(self.visit.close)
        self._reader: Duplex | None = None

    @property
    def reader(self) -> Duplex:
        if self._reader is None:
            self._reader = Duplex(self.visit)
        return self._reader

    def was_closed(self) -> None:
        self.closed += 1

    def ask(self, *names: str) -> None:
        self.reader.send(b"".join(GET % name.encode() for name in names))

    def until(self, ending: bytes) -> None:
        """Wait until what was read ends so."""
        self.world.until(lambda: self.reader.got.endswith(ending), repr(ending))

    def until_end(self) -> str:
        self.world.until(lambda: self.reader.end)
        return self.reader.end

    def statuses(self) -> list[int]:
        parts = self.reader.got.split(b"HTTP/1.1 ")[1:]
        return [int(part[:3]) for part in parts]


@pytest.fixture
def visit(world: World, tmp_path: Path) -> Visit:
    return Visit(world, tmp_path)


# Requests and answers.


def test_requests_are_answered_one_after_the_other(visit: Visit) -> None:
    visit.ask("a")
    visit.until(b"\r\n\r\nA")
    visit.ask("b")
    visit.until(b"\r\n\r\nB")
    assert visit.statuses() == [200, 200]
    assert visit.reader.end == ""


def test_requests_may_come_all_at_once(visit: Visit) -> None:
    visit.ask("a", "nope", "b", "a")
    visit.world.until(lambda: visit.statuses() == [200, 404, 200, 200])
    visit.until(b"\r\n\r\nA")
    assert visit.reader.got.count(b"\r\n\r\nB") == 1


def test_a_request_may_come_byte_by_byte(visit: Visit) -> None:
    for byte in GET % b"a" * 2:
        assert visit.visit.write(bytes([byte])) == 1
    visit.world.until(lambda: len(visit.statuses()) == 2)
    visit.until(b"\r\n\r\nA")


def test_what_may_not_be_asked_is_refused_and_the_visit_goes_on(visit: Visit) -> None:
    visit.reader.send(b"DELETE /a HTTP/1.1\r\nHost: h\r\n\r\n" + GET % b"a")
    visit.until(b"\r\n\r\nA")
    assert visit.statuses() == [405, 200]


def test_a_request_that_is_malformed_ends_the_visit(visit: Visit) -> None:
    visit.reader.send(GET % b"a" + b"GET\tx\r\n\r\n" + GET % b"b")
    assert visit.until_end() == "eof"
    assert visit.statuses() == [200, 400]
    assert b"\r\nConnection: close\r\n" in visit.reader.got


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"GET / HTTP/2.0\r\n", 505),
        (b"GET /" + b"x" * 9000, 414),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 8000, 431),
        (b"GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    ],
)
def test_what_is_not_understood_is_said(visit: Visit, request_text: bytes, status: int) -> None:
    visit.reader.send(request_text)
    assert visit.until_end() == "eof"
    assert visit.statuses() == [status]


@pytest.mark.parametrize(
    "text",
    [
        b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        b"GET /a HTTP/1.0\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_the_visit_ends_where_no_other_request_can_be_told(visit: Visit, text: bytes) -> None:
    visit.reader.send(text + GET % b"b")
    assert visit.until_end() == "eof"
    assert visit.statuses() == [200]
    assert b"\r\nConnection: close\r\n" in visit.reader.got
    assert visit.reader.got.endswith(b"\r\n\r\nA")


def test_an_old_visitor_may_ask_to_stay(visit: Visit) -> None:
    text = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    visit.reader.send(text + text)
    visit.world.until(lambda: visit.statuses() == [200, 200])
    assert b"\r\nConnection: keep-alive\r\n" in visit.reader.got


def test_who_has_ended_its_direction_gets_what_it_asked_for(visit: Visit) -> None:
    visit.visit.write(GET % b"a" + GET % b"b")
    visit.visit.shutdown_write()
    assert visit.until_end() == "eof"
    assert visit.statuses() == [200, 200]


def test_who_ends_its_direction_between_requests_is_done(visit: Visit) -> None:
    visit.ask("a")
    visit.until(b"A")
    visit.visit.shutdown_write()
    assert visit.until_end() == "eof"


def test_half_a_request_before_the_end_is_nothing(visit: Visit) -> None:
    visit.reader.send(b"GET /a HT")
    visit.visit.shutdown_write()
    assert visit.until_end() == "eof"
    assert visit.reader.got == b""


def test_input_is_bounded_while_an_answer_is_under_way(visit: Visit) -> None:
    visit.visit.write(GET % b"a")  # and nobody reads the answer
    line = b"GET /b HTTP/1.1\r\nHost: h\r\nX: %s\r\n\r\n" % (b"x" * 1000)
    flood = line * 200
    assert visit.visit.write(flood) == INPUT_BYTES
    assert visit.visit.room() == 0
    assert visit.visit.write(flood) == 0
    visit.reader.send(flood[INPUT_BYTES:])
    visit.world.until(lambda: len(visit.statuses()) == 201)
    assert visit.reader.is_sent


def test_large_files_are_sent_whole(visit: Visit) -> None:
    content = os.urandom(3 * MIB + 5)
    (visit.folder / "large").write_bytes(content)
    visit.ask("large", "a")
    visit.until(b"\r\n\r\nA")
    assert content in visit.reader.got
    text = b"GET /large HTTP/1.1\r\nHost: h\r\nRange: bytes=0-99999,200000-2000000\r\n\r\n"
    visit.reader.send(text + GET % b"b")
    visit.until(b"\r\n\r\nB")
    assert content[200000:2000001] in visit.reader.got


def test_what_was_put_back_comes_again(visit: Visit) -> None:
    endpoint = visit.visit
    endpoint.write(GET % b"a")
    visit.world.until(endpoint._has_news)
    first = endpoint.read(10)
    assert not isinstance(first, Outcome)
    endpoint.unread(first)
    visit.until(b"\r\n\r\nA")
    assert visit.reader.got.startswith(b"HTTP/1.1 200 OK\r\n")


# What may go wrong.


def test_a_file_that_shrinks_ends_the_connection_without_an_end(visit: Visit) -> None:
    (visit.folder / "large").write_bytes(bytes(8 * MIB))
    duplex = Duplex(visit.visit, GET % b"large", reads=False)
    visit.world.until(visit.visit._has_news)
    os.truncate(visit.folder / "large", 2 * MIB)
    duplex.resume()
    visit.world.until(lambda: duplex.end)
    assert duplex.end == "the file has become shorter"
    assert len(duplex.got) <= 2 * MIB + 1000
    with pytest.raises(ConnectionLost):
        visit.visit.read(1)
    assert visit.visit._has_news()


class Broken:
    """A site that fails."""

    def refusal(self, head: RequestHead, *, keep: bool) -> Answer | None:
        return None

    def answer(self, head: RequestHead, *, keep: bool) -> Answer:
        raise ZeroDivisionError


class Noting(Broken):
    """A site with something to tell its operator."""

    def answer(self, head: RequestHead, *, keep: bool) -> Answer:
        answer = bare_answer(304, [], keep=keep, head=head)
        answer.note = "the disk sighs"
        return answer


def test_a_fault_of_ours_is_a_500_and_logged(
    visit: Visit, caplog: pytest.LogCaptureFixture
) -> None:
    visit.visit._site = Broken()
    visit.ask("a")
    assert visit.until_end() == "eof"
    assert visit.statuses() == [500]
    assert "GET /a failed: ZeroDivisionError()" in caplog.text


def test_what_the_operator_should_know_is_logged(
    visit: Visit, caplog: pytest.LogCaptureFixture
) -> None:
    visit.visit._site = Noting()
    visit.ask("a")
    visit.world.until(lambda: visit.statuses() == [304])
    assert "GET /a: the disk sighs" in caplog.text


def test_too_much_work_is_a_503(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    def submit(*_: object) -> None:
        raise LimitError("too many jobs wait")

    with monkeypatch.context() as patch:
        patch.setattr(visit.world.pool, "submit", submit)
        visit.ask("a")
        visit.world.until(lambda: visit.statuses() == [503])
    visit.ask("a")
    visit.until(b"\r\n\r\nA")


def test_requests_are_logged_with_what_became_of_them(
    visit: Visit, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    visit.ask("a?secret=1")
    visit.until(b"A")
    visit.world.settle()
    [line] = [each for each in caplog.messages if "GET" in each]
    assert line == f"visitor GET /a 200, {len(visit.reader.got)} bytes"


def test_a_reader_that_fails_lets_go(visit: Visit, caplog: pytest.LogCaptureFixture) -> None:
    failed = []

    def reader() -> None:
        raise ZeroDivisionError

    visit.visit.on_failure = lambda: failed.append(1)
    visit.visit.watch(reader, None)
    visit.visit.write(GET % b"a")
    visit.world.until(lambda: failed)
    assert "a callback of files for visitor failed" in caplog.text


# Time.


def test_who_asks_nothing_is_left_after_a_while(visit: Visit) -> None:
    visit.reader  # noqa: B018 (it reads)
    visit.world.advance(visit.limits.head_seconds)
    assert visit.until_end() == "eof"
    assert visit.reader.got == b""


def test_who_asks_nothing_more_is_left_after_a_while(visit: Visit) -> None:
    visit.ask("a")
    visit.until(b"A")
    visit.world.settle()
    visit.world.advance(visit.limits.idle_seconds - 1)
    assert visit.reader.end == ""
    visit.world.advance(1)
    assert visit.until_end() == "eof"


def test_a_request_has_to_come_in_time(visit: Visit) -> None:
    visit.ask("a")
    visit.until(b"A")
    visit.world.settle()
    visit.world.advance(visit.limits.idle_seconds - 1)
    visit.reader.send(b"GET /")
    visit.world.settle()
    visit.world.advance(visit.limits.head_seconds - 1)
    visit.reader.send(b"a")
    visit.world.settle()
    visit.world.advance(1)
    assert visit.until_end() == "eof"
    assert visit.statuses() == [200, 408]


def test_a_visitor_who_takes_nothing_is_lost(visit: Visit) -> None:
    (visit.folder / "large").write_bytes(bytes(MIB))
    failed = []
    visit.visit.on_failure = lambda: failed.append(1)
    duplex = Duplex(visit.visit, GET % b"large", reads=False)
    visit.world.until(visit.visit._has_news)
    visit.world.advance(visit.limits.stall_seconds - 1)
    assert not isinstance(visit.visit.read(1), Outcome)
    visit.world.advance(visit.limits.stall_seconds)
    assert failed == []  # it has taken something
    visit.world.advance(visit.limits.stall_seconds)
    assert failed == [1]
    duplex.resume()
    visit.world.until(lambda: duplex.end == "the visitor takes nothing")


def test_a_disk_may_take_its_time(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[tuple[Callable[[], Answer], Callable[[Answer], None]]] = []

    class Job:
        def cancel(self) -> None: ...

    def submit(work: Callable[[], Answer], done: Callable[[Answer], None], _: object) -> Job:
        held.append((work, done))
        return Job()

    with monkeypatch.context() as patch:
        patch.setattr(visit.world.pool, "submit", submit)
        visit.ask("a")
        visit.world.settle()
    for _ in range(4):
        visit.world.advance(visit.limits.stall_seconds)
    assert visit.reader.end == ""
    [(work, done)] = held
    done(work())
    visit.until(b"\r\n\r\nA")


# Ends.


def test_a_visit_can_be_finished_while_it_waits(visit: Visit) -> None:
    visit.ask("a")
    visit.until(b"A")
    visit.world.settle()
    visit.visit.finish()
    assert visit.until_end() == "eof"


def test_a_visit_that_is_finished_completes_its_answer(visit: Visit) -> None:
    content = bytes(2 * MIB)
    (visit.folder / "large").write_bytes(content)
    duplex = Duplex(visit.visit, GET % b"large" + GET % b"a", reads=False)
    visit.world.until(visit.visit._has_news)
    visit.visit.finish()
    assert visit.visit.write(GET % b"b") > 0  # and forgotten
    duplex.resume()
    visit.world.until(lambda: duplex.end == "eof")
    assert duplex.got.endswith(content)
    assert duplex.got.count(b"HTTP/1.1") == 1


def test_a_visit_that_is_finished_before_its_answer_completes_it(visit: Visit) -> None:
    visit.ask("a", "b")
    visit.world.until(lambda: visit.visit._job is not None)
    visit.visit.finish()
    assert visit.until_end() == "eof"
    assert visit.statuses() == [200]


@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("name", ["a", "large"])
def test_nothing_is_left_of_a_visit_that_was_closed(visit: Visit, how: str, name: str) -> None:
    (visit.folder / "large").write_bytes(bytes(4 * MIB))
    timers = visit.world.loop.timer_count
    for _ in range(3):  # at several points of its way
        one = Visit(visit.world, visit.folder)
        one.visit.write(GET % name.encode())
        visit.world.turn(_)
        getattr(one.visit, how)()
        one.visit.close()
        one.visit.watch(lambda: None, lambda: None)
        assert one.closed == 1
    visit.world.until(lambda: not open_files(visit.folder))
    assert visit.world.loop.timer_count <= timers


def open_files(folder: Path) -> list[str]:
    links = [Path("/proc/self/fd", fd) for fd in os.listdir("/proc/self/fd")]
    names = [os.readlink(link) for link in links if link.is_symlink()]
    return [name for name in names if name.startswith(str(folder))]


# Beside a relay.


class Relayed:
    """A visit joined to a socket, and the visitor at its other end."""

    def __init__(self, visit: Visit) -> None:
        self.world = visit.world
        near, self.far = self.world.pair()
        self.pipes = PipePool()
        visit.world.owners.callback(self.pipes.close)
        self.results: list[RelayResult] = []
        self.relay = Relay(
            self.world.loop,
            visit.visit,
            near,
            a_half_closes=False,
            b_half_closes=True,
            pipes=self.pipes,
            on_done=self.results.append,
        )
        self.got = bytearray()
        self.end = ""

    def read(self) -> bool:
        try:
            while data := self.far.recv(MIB):
                self.got += data
            self.end = "eof"
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self.end = "reset"
        return bool(self.end)

    def until_end(self) -> str:
        self.world.until(self.read)
        self.far.close()
        self.world.until(lambda: self.results)
        return self.end


@pytest.fixture
def spliced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes went from files into pipes at a time."""
    real, sizes = os.splice, []

    def splice(src: int, dst: int, count: int, flags: int = 0) -> int:
        moved = real(src, dst, count, flags=flags)
        if os.readlink(f"/proc/self/fd/{dst}").startswith("pipe:"):
            sizes.append(moved)
        return moved

    monkeypatch.setattr(os, "splice", splice)
    return sizes


def test_a_large_file_is_spliced_into_a_socket(visit: Visit, spliced: list[int]) -> None:
    content = os.urandom(20 * MIB)
    (visit.folder / "large").write_bytes(content)
    relayed = Relayed(visit)
    relayed.far.send(GET % b"large" + b"GET /a HTTP/1.0\r\n\r\n")
    assert relayed.until_end() == "eof"
    first, _, last = bytes(relayed.got).rpartition(b"HTTP/1.1 200")
    assert first.endswith(content)
    assert last.endswith(b"\r\n\r\nA")
    assert sum(spliced) >= 20 * MIB - FIRST_BYTES - 2 * 128 * KIB
    [result] = relayed.results
    assert (result.ending, result.a_to_b) == (Ending.CLEAN, len(relayed.got))
    assert relayed.pipes.lent == 0
    assert visit.closed == 1


def test_a_file_that_shrinks_resets_its_visitor(visit: Visit, spliced: list[int]) -> None:
    (visit.folder / "large").write_bytes(bytes(64 * MIB))
    relayed = Relayed(visit)
    relayed.far.send(GET % b"large")
    visit.world.until(lambda: sum(spliced) > 2 * MIB)
    os.truncate(visit.folder / "large", 0)
    assert relayed.until_end() == "reset"
    assert relayed.results[0].reason == "the file has become shorter"
    assert relayed.pipes.lent == 0


def test_a_visitor_who_leaves_takes_nothing_along(visit: Visit, spliced: list[int]) -> None:
    (visit.folder / "large").write_bytes(bytes(64 * MIB))
    relayed = Relayed(visit)
    relayed.far.send(GET % b"large")
    visit.world.until(lambda: sum(spliced) > 2 * MIB)
    relayed.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    relayed.far.close()
    visit.world.until(lambda: relayed.results)
    assert relayed.pipes.lent == 0
    visit.world.until(lambda: not open_files(visit.folder))


def test_a_visitor_who_says_much_is_read_through_pipes_too(visit: Visit) -> None:
    pipes = PipePool()
    pipe = pipes.acquire()
    assert isinstance(pipe, Pipe)
    pipe.held = os.write(pipe.write_fd, GET % b"a")
    assert visit.visit.write_pipe(pipe, 0) == 0
    assert visit.visit.write_pipe(pipe, 10) == 10
    assert visit.visit.write_pipe(pipe, 1000) == len(GET % b"a") - 10
    assert visit.visit.write_pipe(pipe, 1000) == 0
    pipes.release(pipe)
    pipes.close()
    visit.until(b"\r\n\r\nA")


def test_small_files_are_copied_also_where_large_ones_were_spliced(visit: Visit) -> None:
    visit.visit.splice_with(PipePool())
    assert visit.visit.read_pipe(MIB) is Outcome.EMPTY
    visit.visit.write(GET % b"a")
    visit.world.until(visit.visit._has_news)
    assert visit.visit.read_pipe(MIB) is Outcome.COPY
    visit.visit.pipe_moved(0)
    visit.visit.splice_with(None)
    assert visit.visit.read_pipe(MIB) is Outcome.COPY
    visit.until(b"\r\n\r\nA")


def test_a_copying_relay_serves_a_large_file(visit: Visit) -> None:
    content = os.urandom(MIB)
    (visit.folder / "large").write_bytes(content)
    work = ScriptedEndpoint(visit.world.loop)
    results: list[RelayResult] = []
    Relay(
        visit.world.loop,
        visit.visit,
        work,
        a_half_closes=False,
        b_half_closes=True,
        pipes=PipePool(),
        on_done=results.append,
    )
    work.say(b"GET /large HTTP/1.0\r\n\r\n")
    work.end()
    visit.world.until(lambda: results)
    assert work.got.endswith(content)
    assert work.error is None


def test_a_disk_that_fails_midway_resets_its_visitor(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    (visit.folder / "large").write_bytes(bytes(MIB))

    def sendfile(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "sendfile", sendfile)
    relayed = Relayed(visit)
    relayed.far.send(GET % b"large")
    assert relayed.until_end() == "reset"
    assert relayed.results[0].reason == "input/output error"


def test_more_waits_than_a_head_may_have() -> None:
    assert static_visit.INPUT_BYTES > 32 * KIB
