"""Calls for work: who gets which work connection, and how its bytes are wrapped."""

from __future__ import annotations

import pytest

from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.deflate import DeflateCodec
from frpd.proto.message.types import ReqWorkConn, StartWorkConn
from frpd.proto.native import DEFLATE, HALF_CLOSE, offer
from frpd.proto.wrappers import wrapper_stack
from frpd.server.work_conns import WorkConnPool
from tests.helpers.peers import TOKEN
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House

__all__ = ["world"]

both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


@pytest.mark.parametrize(("encrypt", "compress"), [(True, False), (False, True), (True, True)])
def test_payload_is_wrapped_on_its_way_to_the_client(
    world: World, encrypt: bool, compress: bool
) -> None:
    house = House(world)
    client = house.client()
    port = house.proxy(client, use_encryption=encrypt, use_compression=compress)
    visitor = house.visit(port)
    work = house.serve(client)
    theirs = wrapper_stack(
        key=derive_key(TOKEN) if encrypt else None, compress=compress, iv=b"c" * IV_BYTES
    )
    visitor.write(b"plain" * 100)
    world.until(lambda: work.payload)
    data = bytes(work.payload)
    for codec in reversed(theirs):
        data = codec.decode(data)
    assert data == b"plain" * 100
    data = b"answer"
    for codec in theirs:
        data = codec.encode(data)
    work.stream.write(data)
    world.until(lambda: visitor.received == b"answer")


def test_a_session_with_deflate_compresses_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frpd.proto.deflate.IS_WORTH_IT", True)
    house = House(world)
    client = house.client(frpd=offer({HALF_CLOSE, DEFLATE}))
    port = house.proxy(client, use_compression=True)
    visitor = house.visit(port)
    work = house.serve(client)
    theirs = DeflateCodec()
    visitor.write(b"plain" * 100)
    world.until(lambda: work.payload)
    assert theirs.decode(bytes(work.payload)) == b"plain" * 100
    work.stream.write(theirs.encode(b"answer"))
    world.until(lambda: visitor.received == b"answer")


@both_kinds
def test_a_visitor_gets_no_longer_than_user_conn_timeout(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world, user_conn_timeout=3)
    client = house.client(mux=mux)
    port = house.proxy(client)
    visitor = house.visit(port)
    world.settle()
    world.pass_time(2.9, step=0.5)
    assert visitor.end == ""
    world.pass_time(0.2)
    world.until(lambda: visitor.end)
    assert "timeout trying to get work connection" in caplog.text
    assert len(client.control.take_all(ReqWorkConn)) == 2  # again after 2 s of silence
    assert house.service.proxies["web"].counters.connections_open == 0


@both_kinds
@pytest.mark.parametrize("how", ["eof", "reset"])
def test_a_work_connection_that_died_in_stock_is_not_handed_out(
    world: World, mux: bool, how: str
) -> None:
    house = House(world)
    client = house.client(mux=mux)
    port = house.proxy(client)
    dead, alive = client.work(), client.work()
    world.settle()
    stock = house.service.controls[client.run_id].work_conns
    assert stock.ready == 2
    if how == "eof":
        dead.stream.close()
    else:
        dead.stream.reset()
    world.until(lambda: stock.ready == 1)
    visitor = house.visit(port)
    alive.receive(StartWorkConn)
    visitor.write(b"hello")
    world.until(lambda: alive.payload == b"hello")


def test_a_work_connection_that_dies_in_the_same_turn_is_replaced_by_the_next(
    world: World,
) -> None:
    house = House(world)
    client = house.client(mux=False)
    port = house.proxy(client)
    dead, alive = client.work(), client.work()
    world.settle()
    control = house.service.controls[client.run_id]
    assert isinstance(control.work_conns, WorkConnPool)
    first = control.work_conns._ready[0].endpoint
    first.shutdown_write()  # every write to it fails, and nothing tells the stock
    house.visit(port)
    alive.receive(StartWorkConn)
    assert dead.inbox == []


def test_too_many_waiting_visitors_are_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frpd.server.work_conns.MAX_WAITING", 2)
    house = House(world)
    port = house.proxy(house.client())
    visitors = [house.visit(port) for _ in range(3)]
    world.until(lambda: visitors[2].end)
    assert [visitor.end for visitor in visitors[:2]] == ["", ""]
