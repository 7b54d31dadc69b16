"""A visitor's last leg: from the work connection to the local service."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.deflate import DeflateCodec
from frpd.proto.native import FEATURES
from frpd.proto.wrappers import wrapper_stack
from tests.helpers.peers import TOKEN
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.client.conftest import world
from tests.unit.client.home import Home

__all__ = ["world"]

both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])
FRPD = {"frpd": {"v": 1, "chosen": sorted(FEATURES)}}


@both_kinds
@pytest.mark.parametrize("answer", [{}, FRPD], ids=["go", "frpd"])
def test_a_service_that_is_down_closes_its_visitor_at_once_and_the_proxy_stays(
    world: World, mux: bool, answer: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    home = Home(world, mux=mux, proxy={"local_port": port})
    session = home.running(**answer)
    session.start_work().until_end()
    [line] = [r for r in caplog.records if "local service refused" in r.getMessage()]
    assert getattr(line, "prefix", "") == "[web] "
    where = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert line.getMessage() == f"local service refused 9.9.9.9:99: {where}"
    assert home.service.table.running("web") is not None
    assert session.control.stream.end == ""
    session.start_work().until_end()


def test_a_session_with_deflate_compresses_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frpd.proto.deflate.IS_WORTH_IT", True)
    home = Home(world, proxy={"use_compression": True})
    session = home.running(frpd={"v": 1, "chosen": ["deflate", "half-close"]})
    theirs = DeflateCodec()
    work = session.start_work(glued=theirs.encode(b"question" * 9))
    service = home.local.next()
    world.until(lambda: service.received == b"question" * 9)
    service.write(b"answer")
    world.until(lambda: work.payload)
    assert theirs.decode(bytes(work.payload)) == b"answer"


@pytest.mark.parametrize(("encrypt", "compress"), [(True, False), (False, True), (True, True)])
def test_payload_is_unwrapped_for_the_service(world: World, encrypt: bool, compress: bool) -> None:
    home = Home(world, proxy={"use_encryption": encrypt, "use_compression": compress})
    session = home.session().accept()
    [request] = session.accept_proxies()
    assert (request.use_encryption, request.use_compression) == (encrypt, compress)
    theirs = wrapper_stack(
        key=derive_key(TOKEN) if encrypt else None, compress=compress, iv=b"s" * IV_BYTES
    )
    data = b"question"
    for codec in theirs:
        data = codec.encode(data)
    work = session.start_work(glued=data)
    service = home.local.next()
    world.until(lambda: service.received == b"question")
    service.write(b"answer")
    world.until(lambda: work.payload)
    data = bytes(work.payload)
    for codec in reversed(theirs):
        data = codec.decode(data)
    assert data == b"answer"


def test_visitors_and_bytes_are_counted(world: World) -> None:
    home = Home(world)
    work = home.running().start_work(glued=b"12345")
    service = home.local.next()
    world.until(lambda: service.received)
    service.write(b"abc")
    world.until(lambda: work.payload)
    server = home.service.table.entries["web"].server
    assert server is not None
    assert server.counters.connections_open == 1
    work.stream.close()
    service.close()
    world.until(lambda: not home.service.relays)
    counters = server.counters
    assert (counters.connections_open, counters.connections_total) == (0, 1)
    assert (counters.bytes_in, counters.bytes_out) == (5, 3)


def test_a_late_answer_goes_back_to_an_frpd_server(world: World) -> None:
    home = Home(world)
    work = home.running(**FRPD).start_work(glued=b"question")
    work.stream.close()
    service = home.local.next()
    world.until(lambda: service.end)
    assert service.received == b"question"
    service.write(b"late answer")
    service.shutdown()
    work.until_end("eof")
    assert work.payload == b"late answer"


def test_the_end_of_the_service_ends_the_visitor(world: World) -> None:
    home = Home(world)
    work = home.running().start_work()
    service = home.local.next()
    service.write(b"bye")
    world.settle()
    service.close()
    work.until_end("eof")
    assert work.payload == b"bye"


@both_kinds
def test_close_gives_up_a_dial_that_hangs_and_its_work_connection(world: World, mux: bool) -> None:
    with ExitStack() as stack:
        # A full backlog lets further connects hang.
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        home = Home(world, mux=mux, proxy={"local_port": full.getsockname()[1]})
        session = home.running()
        work = session.start_work()
        world.settle()
        assert not home.service.relays
        home.service.close()
        work.until_end()
        session.wire.close()
        work.stream.close()
        world.until(home.empty.is_back, "nothing is left")
        assert home.empty.timers_are_back()
