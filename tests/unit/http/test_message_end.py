"""A message ends where it ends, whatever comes behind it and however it is moved."""

from __future__ import annotations

import pytest

from frpd.errors import ConnectionLost, LocalProtocolError
from frpd.http.message_end import SPLICE_LEAST_BYTES, MessageEnd
from frpd.http.request_end import RequestEnd
from frpd.net.endpoint import Outcome
from frpd.net.pipes import PipePool
from frpd.proto.http.body import ChunkedBody, FixedBody, Framing, UntilClose
from frpd.relay.relay import Relay, RelayResult
from tests.helpers.endpoint import ScriptedEndpoint
from tests.helpers.peers import Wire
from tests.helpers.world import World

KIB = 1024
PIPE = 64 * KIB
NEXT = b"GET /next HTTP/1.1\r\n\r\n"


def pattern(size: int) -> bytes:
    """Return bytes of which none can be lost, doubled or moved unseen."""
    return b"".join(index.to_bytes(4, "big") for index in range(size // 4 + 1))[:size]


def test_a_fixed_body_leaves_what_is_behind_it_where_it_is(world: World) -> None:
    inner = ScriptedEndpoint(world.loop)
    end = RequestEnd(world.loop, inner, FixedBody(5))
    inner.say(b"helloGET")
    world.turn(2)
    assert bytes(end.read(100)) == b"hello"  # type: ignore[arg-type] # not an Outcome
    assert end.read(100) is Outcome.EOF
    assert bytes(inner.read(100)) == b"GET"  # type: ignore[arg-type] # not an Outcome


def test_what_stands_ahead_comes_first(world: World) -> None:
    inner = ScriptedEndpoint(world.loop)
    end = RequestEnd(world.loop, inner, FixedBody(2), b"head")
    inner.say(b"xy")
    world.turn(2)
    assert end.read(3) == b"hea"
    end.unread(b"ea")
    assert end.given == 1
    assert end.read(100) == b"ead"
    assert bytes(end.read(100)) == b"xy"  # type: ignore[arg-type] # not an Outcome
    assert (end.given, end.over) == (6, True)


def test_the_end_is_told_without_a_word_from_the_connection(world: World) -> None:
    inner = ScriptedEndpoint(world.loop)
    end = RequestEnd(world.loop, inner, FixedBody(3), b"h")
    told: list[object] = []
    end.watch(lambda: told.append(_seen(end)), None)
    world.turn(3)
    inner.say(b"abc")
    world.turn(5)
    assert told == [b"h", b"abc", Outcome.EOF]


def _seen(end: MessageEnd) -> object:
    data = end.read(100)
    if data is Outcome.EOF:
        end.watch(None, None)
    return data if isinstance(data, Outcome) else bytes(data)


@pytest.mark.parametrize("framing", [FixedBody(5), ChunkedBody()])
def test_a_cut_message_is_a_loss(world: World, framing: Framing) -> None:
    inner = ScriptedEndpoint(world.loop)
    end = RequestEnd(world.loop, inner, framing)
    inner.say(b"5\r\n")
    inner.end()
    world.turn(2)
    end.read(100)
    with pytest.raises(ConnectionLost):
        end.read(100)
    assert end.error is not None
    assert not end.lost


def test_closing_lets_go_of_the_connection(world: World) -> None:
    inner = ScriptedEndpoint(world.loop)
    end = RequestEnd(world.loop, inner, FixedBody(5))
    end.watch(lambda: None, None)
    end.abort()
    end.close()
    end.watch(lambda: pytest.fail("called after close"), None)
    inner.say(b"hello")
    world.turn(3)
    assert not inner.acts


def test_raw_ends_are_the_connections(world: World) -> None:
    inner = ScriptedEndpoint(world.loop)
    end = RequestEnd(world.loop, inner, FixedBody(0), behind=b"ab", held=True)
    assert end.read(10) is Outcome.EMPTY
    end.go_raw()
    assert end.read(10) == b"ab"
    end.shutdown_write()
    assert inner.acts == ["end"]


def test_a_failing_reader_costs_its_owner_a_call(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    end = RequestEnd(world.loop, ScriptedEndpoint(world.loop), FixedBody(0), b"x")
    failed: list[bool] = []
    end.on_failure = lambda: failed.append(True)

    def reader() -> None:
        raise LocalProtocolError("by the test")

    end.watch(reader, None)
    world.turn(3)
    assert failed == [True]
    assert "by the test" in caplog.text


# Spliced


class Upload:
    """A relay of one request from a visitor to a sink; both are sockets."""

    def __init__(self, world: World, framing: Framing) -> None:
        source, far_source = world.pair()
        self.sink, far_sink = world.pair()
        self.source = source
        self.pool = PipePool(PIPE, 16 * PIPE)
        self.visitor = Wire(world, far_source)
        self.service = Wire(world, far_sink)
        self.request = RequestEnd(world.loop, source, framing)
        self.results: list[RelayResult] = []
        self.relay = Relay(
            world.loop,
            self.request,
            self.sink,
            b_half_closes=True,
            pipes=self.pool,
            on_done=self.results.append,
        )


BULK = 12 * PIPE


@pytest.mark.parametrize("size", [BULK - 1, BULK, BULK + 1, BULK + PIPE // 2 + 3])
@pytest.mark.parametrize("chunked", [False, True])
def test_spliced_bodies_end_exactly(world: World, size: int, chunked: bool) -> None:
    body = pattern(size)
    sent = b"%x\r\n%b\r\n5\r\nhello\r\n0\r\n\r\n" % (size, body) if chunked else body
    upload = Upload(world, ChunkedBody() if chunked else FixedBody(size))
    upload.visitor.write(sent + NEXT)
    world.until(lambda: upload.service.end)
    assert bytes(upload.service.received) == sent
    assert upload.pool.bytes_in_use
    upload.service.close()
    world.until(lambda: upload.results)
    assert upload.results[0].a_to_b == upload.request.given == len(sent)
    behind = upload.request.behind
    while len(behind) < len(NEXT):
        data = upload.source.read(100)
        assert not isinstance(data, Outcome)
        behind += bytes(data)
    assert behind == NEXT
    assert upload.pool.lent == 0


def test_small_chunks_are_not_spliced(world: World) -> None:
    chunk = b"%x\r\n%b\r\n" % (SPLICE_LEAST_BYTES // 2, bytes(SPLICE_LEAST_BYTES // 2))
    upload = Upload(world, ChunkedBody())
    upload.visitor.write(chunk * 8 + b"0\r\n\r\n")
    world.until(lambda: upload.service.end)
    assert bytes(upload.service.received) == chunk * 8 + b"0\r\n\r\n"
    assert not upload.pool.bytes_in_use


def test_a_spliced_body_that_is_cut_is_a_loss(world: World) -> None:
    upload = Upload(world, FixedBody(2 * BULK))
    upload.visitor.write(pattern(BULK))
    world.until(lambda: len(upload.service.received) == BULK)
    upload.visitor.shutdown()
    world.until(lambda: upload.results)
    assert upload.request.error is not None
    assert upload.results[0].reason
    assert upload.pool.lent == 0


def test_what_lasts_until_the_connection_closes_is_spliced_too(world: World) -> None:
    upload = Upload(world, UntilClose())
    upload.visitor.write(pattern(BULK))
    upload.visitor.shutdown()
    world.until(lambda: upload.service.end)
    assert bytes(upload.service.received) == pattern(BULK)
    assert upload.pool.bytes_in_use


def test_a_sink_that_does_not_read_holds_the_body_back(world: World) -> None:
    size = 500 * PIPE  # more than the kernel keeps
    upload = Upload(world, FixedBody(size))
    upload.service.reads = False
    upload.visitor.write(bytes(size))
    for _ in range(20):
        world.settle()
    assert upload.relay.a_to_b < size
    upload.service.reads = True
    world.until(lambda: upload.service.end)
    assert upload.service.heard_bytes == size
