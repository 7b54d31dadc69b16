from __future__ import annotations

from collections.abc import Callable

import pytest

from frpd.errors import LocalProtocolError
from frpd.net.coded import CodedEndpoint
from frpd.net.endpoint import Outcome
from frpd.net.framed import FramedEndpoint
from frpd.net.pipes import PipePool
from frpd.net.transform import TransformEndpoint
from frpd.proto.websocket.frames import BINARY, WebSocketCodec, encode_frame
from frpd.selector_loop import SelectorLoop
from tests.helpers.endpoint import ScriptedEndpoint

Make = Callable[[ScriptedEndpoint], CodedEndpoint]
KINDS: dict[str, Make] = {
    "framed": lambda inner: FramedEndpoint(inner, WebSocketCodec(None)),
    "transform": lambda inner: TransformEndpoint(inner, []),
}


@pytest.fixture
def inner(loop: SelectorLoop) -> ScriptedEndpoint:
    return ScriptedEndpoint(loop)


@pytest.fixture(params=list(KINDS))
def endpoint(request: pytest.FixtureRequest, inner: ScriptedEndpoint) -> CodedEndpoint:
    return KINDS[request.param](inner)


def run(loop: SelectorLoop, turns: int = 10) -> None:
    for _ in range(turns):
        loop.run_turn()


def test_a_bug_in_a_callback_is_told_through(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: CodedEndpoint
) -> None:
    failures: list[bool] = []

    def fail() -> None:
        raise ZeroDivisionError

    endpoint.on_failure = lambda: failures.append(True)
    endpoint.watch(fail, None)
    inner.say(b"x")
    run(loop)
    assert failures == [True]
    assert inner.acts == ["abort"]


def test_a_bug_in_a_callback_needs_nobody_to_tell(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: CodedEndpoint
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    endpoint.watch(None, fail)
    run(loop)
    assert inner.acts == ["abort"]


def test_nothing_is_spliced(endpoint: CodedEndpoint) -> None:
    pool = PipePool()
    endpoint.splice_with(pool)
    assert not endpoint.splices
    assert endpoint.read_pipe(1) is Outcome.COPY
    endpoint.pipe_moved(0)
    pipe = pool.acquire()
    assert pipe is not None
    with pytest.raises(LocalProtocolError):
        endpoint.write_pipe(pipe, 1)
    pipe.give_back()
    pool.close()


def test_it_bears_the_inner_endpoint_s_name(endpoint: CodedEndpoint) -> None:
    assert endpoint.describe() == "scripted"


def test_coded_bytes_that_wait_leave_no_room(loop: SelectorLoop, inner: ScriptedEndpoint) -> None:
    frame = encode_frame(BINARY, b"left by the handshake", None)
    endpoint = FramedEndpoint(inner, WebSocketCodec(None), pending=frame)
    assert endpoint.room() == 0
    run(loop)
    assert inner.got == frame
    assert endpoint.room() > 0
