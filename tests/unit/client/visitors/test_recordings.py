"""Recorded answers of Go's frps, replayed to our visitor byte for byte."""

from __future__ import annotations

import pytest

from frpd.proto.message.codec import MessageDecoder
from frpd.proto.message.types import NewVisitorConn
from tests.helpers.recordings import VisitorRecording, visitor_recordings
from tests.helpers.world import World
from tests.unit.client.visitors.guest import Guest, asked


@pytest.mark.parametrize("recording", visitor_recordings(), ids=lambda one: one.name)
def test_a_user_hears_what_was_recorded(world: World, recording: VisitorRecording) -> None:
    guest = Guest(
        world,
        mux=False,
        server_name="st1",
        use_encryption=recording.wrapped,
        use_compression=recording.wrapped,
    )
    session = guest.enter()
    user = guest.user()
    stream, request = asked(session)
    decoder = MessageDecoder()
    decoder.receive_data(recording.request)
    recorded = decoder.next_message()
    assert isinstance(recorded, NewVisitorConn)
    # Time and run id are of the day, and Go of that day knew no run id here.
    request.sign_key, request.timestamp, request.run_id = recorded.sign_key, recorded.timestamp, ""
    assert request == recorded
    stream.stream.write(recording.answer)
    if recording.received:
        world.until(lambda: user.received == recording.received)
    else:
        world.until(lambda: user.end)
        assert user.received == b""
