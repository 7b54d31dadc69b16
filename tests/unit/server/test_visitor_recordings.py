"""Recorded visitors of Go's, replayed against our server byte for byte."""

from __future__ import annotations

import pytest

from frpd.proto.ciphers import derive_key
from frpd.proto.message.codec import MessageDecoder, encode_message
from frpd.proto.message.types import NewVisitorConn, NewVisitorConnResp, StartWorkConn
from frpd.proto.wrappers import StreamCodec, wrapper_stack
from tests.helpers.peers import Wire
from tests.helpers.recordings import VisitorRecording, visitor_recordings
from tests.helpers.world import World
from tests.unit.server.house import House

SK = "stcp-Key"
RECORDED = visitor_recordings()


def decode(codecs: list[StreamCodec], data: bytes) -> bytes:
    for codec in reversed(codecs):
        data = codec.decode(data)
    return data


def codecs_of(recording: VisitorRecording) -> list[StreamCodec]:
    if not recording.wrapped:
        return []
    return wrapper_stack(key=derive_key(SK), compress=True, iv=b"\7" * 16)


@pytest.mark.parametrize("recording", RECORDED, ids=lambda one: one.name)
def test_a_recorded_visitor_gets_the_recorded_answer(
    world: World, recording: VisitorRecording
) -> None:
    house = House(world)
    owner = house.client(mux=False)
    assert owner.new_proxy("st1", 0, "stcp", sk=SK).error == ""
    visitor = Wire.to(world, house.port)
    visitor.write(recording.request)
    theirs, ours = MessageDecoder(), MessageDecoder()
    theirs.receive_data(recording.answer)
    expected = theirs.next_message()
    assert isinstance(expected, NewVisitorConnResp)
    world.until(lambda: len(visitor.received) >= len(encode_message(expected)))
    if not expected.error:
        work = owner.work()
        work.receive(StartWorkConn)
        world.until(lambda: work.payload == recording.sent)
        work.write(recording.received)
    heard = bytearray()
    codecs = codecs_of(recording)

    ours.receive_data(bytes(visitor.received))
    visitor.received.clear()
    assert ours.next_message() == expected

    def echoed() -> bool:
        data = ours.take_rest() + bytes(visitor.received)
        visitor.received.clear()
        heard.extend(decode(codecs, data))
        return heard == recording.received

    world.until(echoed, "what the user received")


def test_the_recordings_hold_all_that_a_visitor_says() -> None:
    for recording in RECORDED:
        decoder = MessageDecoder()
        decoder.receive_data(recording.request)
        request = decoder.next_message()
        assert isinstance(request, NewVisitorConn)
        assert (request.use_encryption, request.use_compression) == (recording.wrapped,) * 2
