"""SshLink: streams that come are handed on, and either side ends it once."""

from __future__ import annotations

import socket

from frpd.errors import TransportError
from frpd.server.ssh_gateway.link import SshBearer, SshLink
from frpd.transports.link import LinkStream, stream_id_of
from tests.helpers.world import World


class Far:
    """Satisfies FarEnd."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def let_in(self) -> None:
        self.heard.append("let in")

    def leave(self) -> None:
        self.heard.append("leave")

    def cut(self, reason: str) -> None:
        self.heard.append(f"cut: {reason}")


class Near:
    """A link, and what came of it."""

    def __init__(self, world: World) -> None:
        self.far = Far()
        self.streams: list[LinkStream] = []
        self.ends: list[str] = []
        self.bearer = SshBearer(("192.0.2.1", 1234), ("192.0.2.9", 2200))
        self.link = SshLink(
            world.loop, self.bearer, self.far, self.streams.append, self.ends.append
        )

    def stream(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.link.stream_came(theirs)
        return ours


def test_streams_are_numbered_and_have_the_address_of_the_user(world: World) -> None:
    near = Near(world)
    with near.stream() as one, near.stream():
        assert [stream_id_of(stream) for stream in near.streams] == [1, 2]
        assert near.streams[0].describe() == near.bearer.describe() == "192.0.2.1:1234"
        one.sendall(b"hello")
        assert bytes(near.streams[0].read(100)) == b"hello"  # type: ignore[arg-type]
        for stream in near.streams:
            stream.close()
        assert one.recv(1) == b""


def test_after_its_end_no_stream_is_taken(world: World) -> None:
    near = Near(world)
    near.link.let_streams_in(9, rising_ids=False)
    near.link.go_away()
    near.link.close()
    near.link.close()
    with near.stream() as late:
        assert late.recv(1) == b""
    near.link.abort("pushed out")
    near.link.ended("it left")
    near.link.ended("it left")
    assert near.far.heard == ["let in", "leave", "cut: pushed out"]
    assert (near.streams, near.ends) == ([], ["it left"])


def test_it_opens_no_streams_itself(world: World) -> None:
    errors: list[TransportError] = []
    Near(world).link.open_stream(lambda _: None, errors.append)
    assert len(errors) == 1


def test_the_bearer_knows_both_addresses() -> None:
    bearer = SshBearer(("2001:db8::1", 1, 0, 0), ("192.0.2.9", 2200))
    ends = bearer.ends()
    assert ends is not None
    assert (ends.remote, ends.local) == ("[2001:db8::1]:1", "192.0.2.9:2200")
    assert bearer.local_address() == ("192.0.2.9", 2200)
    called: list[int] = []
    bearer.let_in()
    bearer.when_proven(lambda: called.append(1))
    assert called == [1]
