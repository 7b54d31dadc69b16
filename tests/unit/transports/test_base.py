"""Links of frpc: who may open streams on them."""

from __future__ import annotations

import pytest

from frpd.errors import TransportError
from frpd.net.endpoint import Endpoint
from frpd.proto.yamux.session import YamuxSession
from frpd.transports.base import Dialing, MuxedLink, OnEndpoint, OnFailed
from frpd.transports.mux import MuxLink
from frpd.transports.mux_stream import MuxStream
from tests.helpers.world import World


class Ready:
    """A transport whose connection is there already, and the server's end of it."""

    local_address = None
    bearer = None

    def __init__(self, world: World) -> None:
        self.near, far = world.endpoints()
        session = YamuxSession(is_client=False, now=world.loop.now(), keepalive_seconds=None)
        self.streams: list[MuxStream] = []
        self.far = MuxLink(
            world.loop, far, session, on_stream=self.streams.append, on_closed=lambda _reason: None
        )

    def dial(self, on_connected: OnEndpoint, on_failed: OnFailed) -> Dialing:
        on_connected(self.near)
        return self

    def cancel(self) -> None:
        """It was quick."""


def fail(error: TransportError) -> None:
    pytest.fail(str(error))


def test_the_server_s_streams_are_taken_once_they_are_expected(world: World) -> None:
    transport = Ready(world)
    link = MuxedLink(world.loop, transport, keepalive_seconds=0, on_lost=pytest.fail)
    ours: list[Endpoint] = []
    link.open_stream(ours.append, fail)
    theirs: list[MuxStream] = []
    transport.far.open_stream(theirs.append, fail)
    world.settle()
    with pytest.raises(TransportError, match="reset"):
        theirs[0].write(b"too early")
    taken: list[Endpoint] = []
    link.accept_streams(taken.append)
    transport.far.open_stream(theirs.append, fail)
    world.until(lambda: taken)
    assert theirs[1].write(b"welcome") == 7
    link.close()
