"""FirstRecord: one sealed message, and what stands behind it is left for others."""

from __future__ import annotations

import socket

import pytest

from frpd.errors import FrpError
from frpd.net.endpoint import Outcome
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import Message, NewWorkConn, Pong, StartWorkConn
from frpd.proto.seal import StreamSeal
from frpd.transports.first_record import FirstRecord
from tests.helpers.world import World

UP, DOWN = b"u" * 32, b"d" * 32


class Talk:
    """A FirstRecord, and the server at its other end."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.messages: list[Message] = []
        self.ends: list[FrpError | None] = []
        self.far: socket.socket
        near, self.far = world.pair()
        self.server = StreamSeal(DOWN, UP)
        self.seal = StreamSeal(UP, DOWN)
        self.first = FirstRecord(near, self.seal, self.messages.append, self.ends.append)


@pytest.fixture
def talk(world: World) -> Talk:
    return Talk(world)


START = encode_message(StartWorkConn(proxy_name="web"))


def test_raw_bytes_behind_the_record_stay_in_the_endpoint(talk: Talk) -> None:
    talk.far.sendall(talk.server.writer.write(START, final=True) + b"raw")
    talk.world.until(lambda: talk.messages)
    assert talk.messages == [StartWorkConn(proxy_name="web")]
    endpoint = talk.first.detach()
    assert endpoint.read(99) == b"raw"
    assert endpoint.read(99) is Outcome.EMPTY
    assert talk.seal.reader.ended


def test_sealed_bytes_behind_the_record_stay_in_the_endpoint(talk: Talk) -> None:
    talk.far.sendall(talk.server.writer.write(START) + talk.server.writer.write(b"more"))
    talk.world.until(lambda: talk.messages)
    data = talk.first.detach().read(999)
    assert not isinstance(data, Outcome)
    assert talk.seal.payload().decode(data) == b"more"


def test_a_record_comes_in_pieces(talk: Talk) -> None:
    wire = talk.server.writer.write(START)
    for index in range(len(wire)):
        assert talk.messages == []
        talk.far.sendall(wire[index : index + 1])
        talk.world.turn()
    talk.world.until(lambda: talk.messages)


def test_a_hello_goes_ahead_in_clear(talk: Talk) -> None:
    hello = NewWorkConn(run_id="abc", nonce=b"n" * 16, proof=b"p" * 32)
    talk.first.send(hello)
    talk.world.settle()
    assert talk.far.recv(999) == encode_message(hello)


@pytest.mark.parametrize("plain", [b"", START[:-1], START + START, b"x"])
def test_what_is_not_one_message_ends_it(talk: Talk, plain: bytes) -> None:
    talk.far.sendall(talk.server.writer.write(plain))
    talk.world.until(lambda: talk.ends)
    assert talk.messages == []


def test_another_key_ends_it(talk: Talk) -> None:
    talk.far.sendall(StreamSeal(UP, UP).writer.write(START))
    talk.world.until(lambda: talk.ends)
    assert "does not open" in str(talk.ends[0])


def test_an_end_without_a_record_is_told_and_after_close_nothing(talk: Talk) -> None:
    talk.far.close()
    talk.world.until(lambda: talk.ends)
    talk.first.close()
    talk.first.abort()
    assert talk.ends == [None]
    assert Pong not in map(type, talk.messages)
