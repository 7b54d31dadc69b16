"""Caller: what is said on a visitor's stream, and what it is when all is said."""

from __future__ import annotations

import pytest

from frpd.net.transform import TransformEndpoint
from frpd.proto.ciphers import derive_key
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import NewVisitorConn, NewVisitorConnResp
from frpd.server.visitor_caller import Caller
from tests.helpers.endpoint import ScriptedEndpoint
from tests.helpers.world import FixedEntropy, World

ANSWER = NewVisitorConnResp("vault")
KEY = derive_key("stcp-Key")


class Carrier:
    """A connection, as far as a caller knows it."""

    def __init__(self, *, is_mux: bool) -> None:
        self.is_mux = is_mux
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def stream(world: World) -> ScriptedEndpoint:
    return ScriptedEndpoint(world.loop)


def caller(world: World, stream: ScriptedEndpoint, carrier: Carrier | None = None) -> Caller:
    carrier = carrier or Carrier(is_mux=True)
    request = NewVisitorConn(proxy_name="vault")
    return Caller(world.loop, carrier, stream, request)  # type: ignore[arg-type] # all it needs


def test_the_answer_is_all_that_goes_out(world: World, stream: ScriptedEndpoint) -> None:
    assert caller(world, stream).answer(ANSWER)
    assert (stream.got, stream.acts) == (encode_message(ANSWER), [])


def test_a_stream_that_takes_no_answer_is_no_use(world: World, stream: ScriptedEndpoint) -> None:
    stream.capacity = 5
    assert not caller(world, stream).answer(ANSWER)
    stream.break_writes()
    assert not caller(world, stream).answer(ANSWER)


@pytest.mark.parametrize("is_mux", [True, False])
def test_who_is_sent_away_hears_why_and_a_connection_of_its_own_is_over(
    world: World, stream: ScriptedEndpoint, is_mux: bool
) -> None:
    carrier = Carrier(is_mux=is_mux)
    caller(world, stream, carrier).send_away(NewVisitorConnResp("vault", "no"))
    assert stream.got == encode_message(NewVisitorConnResp("vault", "no"))
    assert stream.acts == ["close"]
    assert carrier.closed is not is_mux


def test_who_is_dropped_hears_nothing(world: World, stream: ScriptedEndpoint) -> None:
    one = caller(world, stream)
    one.drop()
    one.drop()
    assert stream.got == b""
    assert set(stream.acts) == {"abort"}


def test_payload_without_flags_needs_no_wrapper(world: World, stream: ScriptedEndpoint) -> None:
    assert caller(world, stream).payload(KEY, b"", FixedEntropy()) is stream


@pytest.mark.parametrize("flag", ["use_encryption", "use_compression"])
def test_payload_is_wrapped_as_asked_for(world: World, stream: ScriptedEndpoint, flag: str) -> None:
    entropy = FixedEntropy()
    one = caller(world, stream)
    setattr(one.request, flag, True)
    payload = one.payload(KEY, b"", entropy)
    assert isinstance(payload, TransformEndpoint)
    payload.write(b"plain")
    assert b"plain" not in stream.got or flag == "use_compression"
    assert entropy.drawn == (flag == "use_encryption")


def test_a_caller_that_is_no_client_s_has_no_user_and_no_features(
    world: World, stream: ScriptedEndpoint
) -> None:
    one = caller(world, stream)
    assert (one.user, one.features, one.is_sealed) == ("", frozenset(), False)


def test_without_a_sealed_request_there_is_no_wait(world: World, stream: ScriptedEndpoint) -> None:
    timers = world.loop.timer_count
    caller(world, stream).expect_within(5.0, lambda: None)
    assert world.loop.timer_count == timers
