"""MessageStream over a real socket whose other end is the test's."""

from __future__ import annotations

import socket
import struct

import pytest

from frpd.errors import (
    ConnectionLost,
    FrpError,
    LimitError,
    LocalProtocolError,
    RemoteProtocolError,
)
from frpd.net.endpoint import Outcome
from frpd.net.stream import SocketStream
from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import (
    LoginResp,
    Message,
    NewProxy,
    Ping,
    Pong,
    ReqWorkConn,
    StartWorkConn,
)
from frpd.proto.seal import SealedControl
from frpd.proto.wrappers import CipherCodec
from frpd.transports.messages import MAX_OUTBOX_BYTES, MessageStream
from tests.helpers.world import World

KEY = derive_key("a token")
BIG = NewProxy(proxy_name="x" * 10_000)


class Talk:
    """A MessageStream, what it delivered, and the peer's socket."""

    def __init__(self, world: World) -> None:
        self.world = world
        near, self.far = world.pair()
        self.got: list[Message] = []
        self.ends: list[FrpError | None] = []
        self.endpoint: SocketStream = near
        self.stream = MessageStream(world.loop, near, self.got.append, self.ends.append)

    def peer_says(self, *messages: Message) -> None:
        self.far.send(b"".join(map(encode_message, messages)))
        self.world.settle()

    def peer_hears(self, size: int = 65536) -> bytes:
        self.world.settle()
        try:
            return self.far.recv(size)
        except BlockingIOError:
            return b""

    def fill(self) -> int:
        """Send until something waits here; return how many messages that took."""
        for count in range(1, 10_000):
            self.stream.send(BIG)
            if self.stream._outbox:
                return count
        pytest.fail("the kernel takes everything")

    def drain(self) -> bytes:
        heard = bytearray()
        while part := self.peer_hears(1 << 20):
            heard += part
        return bytes(heard)


@pytest.fixture
def talk(world: World) -> Talk:
    return Talk(world)


def test_messages_travel_both_ways(talk: Talk) -> None:
    talk.stream.send(Ping())
    assert talk.peer_hears() == encode_message(Ping())
    talk.peer_says(Pong(), ReqWorkConn())
    assert talk.got == [Pong(), ReqWorkConn()]


def test_a_message_in_pieces_is_delivered_once_it_is_whole(talk: Talk) -> None:
    for byte in encode_message(LoginResp(version="0.51.3", run_id="a")):
        assert talk.got == []
        talk.far.send(bytes([byte]))
        talk.world.settle()
    assert talk.got == [LoginResp(version="0.51.3", run_id="a")]


def test_the_cipher_applies_to_bytes_that_were_read_ahead(talk: Talk) -> None:
    theirs = CipherCodec(KEY, b"p" * IV_BYTES)

    def switch(message: Message) -> None:
        talk.stream.on_message = talk.got.append
        talk.stream.encrypt(CipherCodec(KEY, b"o" * IV_BYTES))
        talk.got.append(message)

    talk.stream.on_message = switch
    glued = encode_message(LoginResp(run_id="a")) + theirs.encode(encode_message(ReqWorkConn()))
    talk.far.send(glued)
    talk.world.settle()
    assert talk.got == [LoginResp(run_id="a"), ReqWorkConn()]
    talk.stream.send(Ping())
    assert theirs.decode(talk.peer_hears()) == encode_message(Ping())


def test_the_cipher_may_begin_in_the_middle_of_what_was_read_ahead(talk: Talk) -> None:
    theirs = CipherCodec(KEY, b"p" * IV_BYTES)

    def switch(message: Message) -> None:
        talk.stream.on_message = talk.got.append
        talk.stream.encrypt(CipherCodec(KEY, b"o" * IV_BYTES))

    talk.stream.on_message = switch
    coded = theirs.encode(encode_message(ReqWorkConn()) + encode_message(Pong(error="late")))
    talk.far.send(encode_message(LoginResp()) + coded[:20])
    talk.world.settle()
    talk.far.send(coded[20:])
    talk.world.settle()
    assert talk.got == [ReqWorkConn(), Pong(error="late")]


def test_detach_gives_back_what_was_read_too_far(talk: Talk) -> None:
    def take(message: Message) -> None:
        talk.got.append(message)
        talk.stream.detach()

    talk.stream.on_message = take
    talk.far.send(encode_message(StartWorkConn(proxy_name="p")) + b"o first payload")
    talk.world.settle()
    assert talk.got == [StartWorkConn(proxy_name="p")]
    assert not talk.stream.is_open
    heard: list[bytes] = []

    def read() -> None:
        data = talk.endpoint.read(100)
        assert not isinstance(data, Outcome)
        heard.append(bytes(data))

    talk.endpoint.watch(read, None)
    talk.world.settle()
    assert heard == [b"o first payload"]
    talk.far.close()
    talk.endpoint.close()
    assert talk.ends == []


def test_detach_with_unsent_messages_is_our_own_mistake(talk: Talk) -> None:
    talk.fill()
    with pytest.raises(LocalProtocolError):
        talk.stream.detach()


def test_detach_when_sent_waits_for_the_last_byte(talk: Talk) -> None:
    count = talk.fill()
    given: list[object] = []
    talk.stream.detach_when_sent(given.append)
    talk.world.settle()
    assert given == []
    assert talk.drain() == encode_message(BIG) * count
    assert given == [talk.endpoint]


def test_detach_when_sent_detaches_at_once_when_nothing_waits(talk: Talk) -> None:
    given: list[object] = []
    talk.stream.detach_when_sent(given.append)
    assert given == [talk.endpoint]


def test_a_clean_end_comes_once_and_without_an_error(talk: Talk) -> None:
    talk.far.close()
    talk.world.settle()
    assert talk.ends == [None]
    assert talk.endpoint.closed


def test_a_reset_ends_it_with_the_loss(talk: Talk) -> None:
    talk.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    talk.far.close()
    talk.world.settle()
    [error] = talk.ends
    assert isinstance(error, ConnectionLost)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff garbage", "unknown message type"),
        (b"GET / HTTP/1.1\r\n", "unknown message type"),
        (b"h" + struct.pack(">q", 10_241), "length 10241"),
        (b"h" + struct.pack(">q", -1), "length -1"),
        (b"h" + struct.pack(">q", 1 << 62), "length"),
        (b"h" + struct.pack(">q", 2) + b"[]", "not an object"),
        (b"h" + struct.pack(">q", 2) + b"{]", "not JSON"),
        (b"h" + struct.pack(">q", 9) + b'{"time', ""),
    ],
)
def test_what_is_no_message_ends_it_with_one_reason(talk: Talk, data: bytes, reason: str) -> None:
    talk.far.send(data)
    talk.world.settle()
    talk.far.close()
    talk.world.settle()
    [error] = talk.ends
    assert isinstance(error, RemoteProtocolError)
    assert reason in str(error)
    assert talk.endpoint.closed


def test_on_end_never_comes_inside_send(talk: Talk) -> None:
    talk.far.close()
    talk.endpoint.shutdown_write()  # every write fails from here on, without a turn
    talk.stream.send(Ping())
    assert talk.ends == []
    talk.stream.send(Ping())
    talk.world.settle()
    [error] = talk.ends
    assert isinstance(error, ConnectionLost)


def test_a_peer_that_reads_nothing_is_cut_off_at_the_bound(talk: Talk) -> None:
    talk.fill()
    for _ in range(MAX_OUTBOX_BYTES // 10_000 + 2):
        talk.stream.send(BIG)
        assert len(talk.stream._outbox) <= MAX_OUTBOX_BYTES
        assert talk.ends == []
    talk.world.settle()
    [error] = talk.ends
    assert isinstance(error, LimitError)
    assert talk.endpoint.closed


def test_what_was_sent_before_close_arrives(talk: Talk) -> None:
    count = talk.fill()
    talk.stream.close()
    talk.stream.close()
    assert not talk.stream.is_open
    assert talk.drain() == encode_message(BIG) * count
    assert talk.endpoint.closed
    assert talk.ends == []


def test_nothing_is_delivered_after_close(talk: Talk) -> None:
    def close(message: Message) -> None:
        talk.got.append(message)
        talk.stream.close()

    talk.stream.on_message = close
    talk.peer_says(Pong(), Pong())
    assert talk.got == [Pong()]
    talk.stream.send(Ping())
    assert talk.peer_hears() == b""


def test_close_gives_up_on_a_peer_that_reads_nothing(talk: Talk) -> None:
    before = talk.world.loop.watch_count
    talk.fill()
    talk.stream.close()
    talk.world.advance(9.9)
    assert talk.world.loop.watch_count == before
    talk.world.advance(0.2)
    assert talk.world.loop.watch_count == before - 1
    assert talk.endpoint.closed
    assert talk.ends == []


def test_close_leaves_no_timer_once_all_is_out(talk: Talk) -> None:
    talk.fill()
    talk.stream.close()
    talk.drain()
    assert talk.world.loop.timer_count == 0


def test_abort_drops_what_waits_and_says_nothing(talk: Talk) -> None:
    talk.fill()
    talk.stream.abort()
    talk.stream.abort()
    talk.world.settle()
    assert talk.endpoint.closed
    assert talk.ends == []


def test_a_message_too_long_to_be_sent_ends_it_without_a_traceback(talk: Talk) -> None:
    talk.stream.send(NewProxy(proxy_name="x" * 10_240))
    assert talk.ends == []
    talk.world.settle()
    [error] = talk.ends
    assert isinstance(error, LocalProtocolError)


def test_a_callback_that_raises_ends_it(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    def fail(message: Message) -> None:
        raise ValueError("a bug")

    talk.stream.on_message = fail
    talk.peer_says(Pong())
    assert [str(error) for error in talk.ends] == ["internal error, see the log"]
    assert caplog.text.count("ValueError: a bug") == 1
    assert talk.endpoint.closed


def test_the_frame_of_the_last_message_is_what_came(talk: Talk) -> None:
    assert talk.stream.last_frame == b""
    odd = b'{ "run_id" : "a", "unknown": [1] }'
    frame = b"1" + len(odd).to_bytes(8, "big") + odd
    talk.far.send(frame + encode_message(Ping())[:3])
    talk.world.settle()
    assert talk.got == [LoginResp(run_id="a")]
    assert talk.stream.last_frame == frame


UP, DOWN = b"u" * 32, b"d" * 32


@pytest.mark.parametrize("piece", [1, 30, 9999])
def test_nothing_sealed_is_delivered_before_the_peer_has_proved_itself(
    talk: Talk, piece: int
) -> None:
    theirs, proofs = SealedControl(DOWN, UP), list[int]()

    def switch(message: Message) -> None:
        talk.stream.on_message = talk.got.append
        talk.stream.seal(SealedControl(UP, DOWN), lambda: proofs.append(len(talk.got)))

    talk.stream.on_message = switch
    wire = encode_message(LoginResp()) + theirs.start()
    wire += theirs.encode(encode_message(ReqWorkConn()))
    for start in range(0, len(wire), piece):
        assert talk.got == []
        talk.far.send(wire[start : start + piece])
        talk.world.turn(2)
    talk.world.settle()
    assert (proofs, talk.got) == ([0], [ReqWorkConn()])
    talk.stream.send(Ping())
    assert theirs.decode(talk.peer_hears()) == encode_message(Ping())
    talk.stream.close()
    theirs.decode(talk.peer_hears())
    assert theirs.ended


def test_a_peer_that_proves_nothing_ends_it(talk: Talk) -> None:
    def switch(message: Message) -> None:
        talk.stream.seal(SealedControl(UP, DOWN), lambda: pytest.fail("proved"))

    talk.stream.on_message = switch
    talk.far.send(encode_message(LoginResp()) + SealedControl(UP, UP).start())
    talk.world.settle()
    assert [str(error) for error in talk.ends] == ["seal: a record does not open"]


def test_a_sealed_stream_that_ends_without_its_last_record_was_cut(talk: Talk) -> None:
    theirs = SealedControl(DOWN, UP)
    talk.stream.seal(SealedControl(UP, DOWN), lambda: None)
    talk.far.send(theirs.start())
    talk.far.close()
    talk.world.settle()
    assert [str(error) for error in talk.ends] == ["seal: the stream was cut short"]


def test_fail_ends_it_as_an_illegal_message_does(talk: Talk) -> None:
    talk.stream.fail(LimitError("enough"))
    talk.stream.fail(LimitError("again"))
    assert [str(error) for error in talk.ends] == ["enough"]
