"""VisitorCall: what is asked, what is believed, and what a server may not answer."""

from __future__ import annotations

import pytest

from frpd.auth.token import privilege_key
from frpd.client.visitors.call import ANSWER_SECONDS
from frpd.config.secret import Secret
from frpd.proto.ciphers import derive_key
from frpd.proto.message.codec import MessageDecoder, encode_message
from frpd.proto.message.types import (
    Message,
    NewVisitorConn,
    NewVisitorConnResp,
    StartWorkConn,
)
from frpd.proto.seal import SealedCodec, StreamSeal
from frpd.proto.seal_keys import VISIT, stream_context, work_context
from frpd.proto.seal_session import SessionSeal
from frpd.proto.wrappers import CipherCodec, wrapper_stack
from tests.helpers.peers import MuxPeerStream, PeerStream, Wire
from tests.helpers.seal import quick_stretch
from tests.helpers.world import World
from tests.unit.client.home import Session
from tests.unit.client.visitors.guest import SK, Guest, asked

both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


# In clear, as with a Go server.


@both_kinds
def test_the_request_shows_that_we_know_the_sk(world: World, mux: bool) -> None:
    guest = Guest(world, mux=mux, use_encryption=True, use_compression=True)
    session = guest.enter()
    guest.user()
    _, request = asked(session)
    assert request.sign_key == privilege_key(SK, request.timestamp)
    assert (request.use_encryption, request.use_compression) == (True, True)
    assert (request.nonce, request.proof) == (b"", b"")


def test_payload_is_under_a_key_of_the_sk(world: World) -> None:
    guest = Guest(world, use_encryption=True)
    session = guest.enter()
    user = guest.user()
    talker, _ = asked(session)
    # In one segment, as a server may send them.
    cipher = CipherCodec(derive_key(SK), b"\5" * 16)
    answer = encode_message(NewVisitorConnResp("vault"))
    talker.started = True
    talker.stream.write(answer + cipher.encode(b"banner"))
    world.until(lambda: user.received == b"banner")
    user.write(b"hello")
    world.until(lambda: len(talker.payload) == 16 + 5)
    assert cipher.decode(bytes(talker.payload)) == b"hello"


@both_kinds
@pytest.mark.parametrize("half_closes", [True, False])
def test_the_answer_tells_what_an_end_means(world: World, mux: bool, half_closes: bool) -> None:
    guest = Guest(world, mux=mux)
    session = guest.enter()
    user = guest.user()
    talker, _ = asked(session)
    talker.send(NewVisitorConnResp("vault", half_closes=half_closes))
    talker.started = True
    if isinstance(talker.stream, Wire):
        talker.stream.shutdown()
    else:
        talker.stream.close()
    world.until(lambda: user.end == "eof")
    world.advance(2.0)
    assert bool(guest.service.relays) is half_closes


ODD = {
    "another message": encode_message(StartWorkConn("vault")),
    "garbage": b"SSH-2.0-OpenSSH_9.2\r\n",
    "cut": encode_message(NewVisitorConnResp("vault"))[:12],
}


@both_kinds
@pytest.mark.parametrize("what", ODD)
def test_an_odd_answer_ends_the_call_only(
    world: World, mux: bool, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    guest = Guest(world, mux=mux)
    session = guest.enter()
    user = guest.user()
    talker, _ = asked(session)
    world.peers.remove(talker)
    talker.stream.write(ODD[what])
    talker.stream.close()
    world.until(lambda: user.end)
    assert "start new visitor connection error: " in caplog.text
    assert session.wire.end == ""


@both_kinds
def test_a_server_that_says_nothing_is_not_waited_for(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    guest = Guest(world, mux=mux)
    session = guest.enter()
    user = guest.user()
    talker, _ = asked(session)
    world.advance(ANSWER_SECONDS)
    world.until(lambda: user.end)
    talker.until_end("reset")
    assert "error: no answer within 10 s" in caplog.text


def test_a_server_that_cannot_be_reached_is_told(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    guest = Guest(world, mux=False)
    guest.enter()
    guest.door.close()
    user = guest.user()
    world.until(lambda: user.end)
    assert "start new visitor connection error: " in caplog.text
    assert "refused" in caplog.text


# Sealed.


class SealedStream:
    """A visitor's stream on the server's side of a sealed session."""

    def __init__(self, session: Session, seal: SessionSeal) -> None:
        self.world = session.world
        self.stream: PeerStream = session.next_stream()
        decoder = MessageDecoder()
        clear: list[Message] = []

        def came() -> bool:
            decoder.receive_data(bytes(self.stream.received))
            self.stream.received.clear()
            message = decoder.next_message()
            clear.extend([] if message is None else [message])
            return bool(clear)

        self.world.until(came, "the clear message")
        (message,) = clear
        assert isinstance(message, NewVisitorConn)
        self.clear = message
        if isinstance(self.stream, MuxPeerStream):
            self.context = stream_context(self.stream.stream_id)
        else:
            assert seal.admits(message.run_id, message.nonce, message.proof, VISIT)
            self.context = work_context(message.nonce)
        self.seal: StreamSeal = seal.work(self.context)
        self.seal.reader.receive_data(decoder.take_rest())

    def request(self) -> NewVisitorConn:
        reader = self.seal.reader
        found: list[bytes] = []

        def came() -> bool:
            reader.receive_data(bytes(self.stream.received))
            self.stream.received.clear()
            record = reader.next_record()
            found.extend([] if record is None else [record])
            return bool(found)

        self.world.until(came, "the request")
        assert reader.ended
        decoder = MessageDecoder()
        decoder.receive_data(found[0])
        message = decoder.next_message()
        assert isinstance(message, NewVisitorConn)
        return message

    def answer(self, message: Message | None = None, *, final: bool = True) -> None:
        frame = encode_message(NewVisitorConnResp("vault") if message is None else message)
        self.stream.write(self.seal.writer.write(frame, final=final))


@both_kinds
def test_a_sealed_request_says_in_clear_whose_it_is_and_no_more(world: World, mux: bool) -> None:
    guest = Guest(world, mux=mux)
    session, seal = guest.enter_sealed()
    guest.user()
    stream = SealedStream(session, seal)
    clear = stream.clear
    assert (clear.run_id, clear.proxy_name, clear.sign_key, clear.timestamp) == ("abc", "", "", 0)
    assert bool(clear.nonce) is not mux
    request = stream.request()
    assert (request.proxy_name, request.run_id) == ("vault", "abc")
    assert (request.sign_key, request.timestamp) == ("", 0), "MD5 would tell who holds the token"
    assert request.proof == seal.visitor_proof(stream.context, quick_stretch(SK))


@both_kinds
@pytest.mark.parametrize("encrypted", [True, False], ids=["sealed", "raw"])
def test_a_sealed_user_is_joined_to_the_stream(world: World, mux: bool, encrypted: bool) -> None:
    guest = Guest(world, mux=mux, use_encryption=encrypted)
    session, seal = guest.enter_sealed()
    user = guest.user()
    stream = SealedStream(session, seal)
    stream.request()
    stream.answer()
    user.write(b"question")
    if not encrypted:
        world.until(lambda: stream.stream.received == b"question")
        stream.stream.write(b"answer")
    else:
        payload: SealedCodec = seal.visitor_payload(stream.context, quick_stretch(SK))
        heard = bytearray()

        def came() -> bool:
            heard.extend(payload.decode(bytes(stream.stream.received)))
            stream.stream.received.clear()
            return heard == b"question"

        world.until(came)
        stream.stream.write(payload.encode(b"answer"))
    world.until(lambda: user.received == b"answer")


def test_compression_is_what_the_session_has(world: World) -> None:
    guest = Guest(world, use_compression=True)
    session, seal = guest.enter_sealed("deflate")
    control = guest.service._control
    assert control is not None
    user = guest.user()
    stream = SealedStream(session, seal)
    stream.request()
    stream.answer()
    deflate = "deflate" in control.features
    (codec,) = wrapper_stack(key=None, compress=True, iv=b"", deflate=deflate)
    stream.stream.write(codec.encode(b"a" * 1000))
    world.until(lambda: user.received == b"a" * 1000)


@both_kinds
@pytest.mark.parametrize("what", ["clear", "another message", "more to come", "other keys"])
def test_an_answer_that_is_not_sealed_for_us_is_not_believed(
    world: World, mux: bool, what: str
) -> None:
    guest = Guest(world, mux=mux)
    session, seal = guest.enter_sealed()
    user = guest.user()
    stream = SealedStream(session, seal)
    stream.request()
    if what == "clear":
        stream.stream.write(encode_message(NewVisitorConnResp("vault")) + b"x" * 60)
    elif what == "another message":
        stream.answer(StartWorkConn("vault"))
    elif what == "more to come":
        stream.answer(final=False)
    else:
        stream.seal = seal.work(stream_context(99))
        stream.answer()
    world.until(lambda: user.end)
    assert user.received == b""
    assert guest.service._control is not None


def test_the_sk_is_stretched_when_the_session_is_sealed_and_not_before(world: World) -> None:
    guest = Guest(world, use_encryption=True)
    session = guest.enter()
    assert guest.visitor.key._stretched is None
    session.wire.close()
    world.until(lambda: guest.service._control is None)
    world.advance(2.0)
    guest.enter_sealed()
    assert guest.visitor.key._stretched is not None


def test_a_user_waits_for_the_stretched_sk_and_can_be_sent_away(world: World) -> None:
    guest = Guest(world, use_encryption=True)
    session, seal = guest.enter_sealed()
    secret = guest.visitor.key.stretched()
    world.until(lambda: secret.value)
    value, secret.value = secret.value, None
    secret._job = object()  # type: ignore[assignment] # as if it were under way
    early, late = guest.user(), guest.user()
    world.until(lambda: len(secret._waiting) == 2)
    (first, *_) = [visit for visit in guest.visitor.waiting if _is(visit, early)]
    first.give_up()
    world.until(lambda: early.end)
    secret._done(value)  # type: ignore[arg-type]
    SealedStream(session, seal).request()
    assert late.end == ""


def _is(visit: object, user: Wire) -> bool:
    address = getattr(visit, "_user").describe()  # noqa: B009 - of a test's own
    return bool(address == f"127.0.0.1:{user.address[1]}")


def test_an_sk_that_cannot_be_stretched_is_told_and_tried_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    guest = Guest(world, use_encryption=True)
    session, seal = guest.enter_sealed()
    secret = guest.visitor.key.stretched()
    world.until(lambda: secret.value)
    secret.value, secret._job = None, object()  # type: ignore[assignment]
    user = guest.user()
    world.until(lambda: secret._waiting)
    secret._failed(MemoryError())
    world.until(lambda: user.end)
    assert "error: the sk could not be stretched" in caplog.text
    guest.user()
    SealedStream(session, seal).request()


@both_kinds
def test_an_empty_sk_leaves_the_session_s_keys(world: World, mux: bool) -> None:
    guest = Guest(world, mux=mux, use_encryption=True, sk=Secret(""))
    session, seal = guest.enter_sealed()
    user = guest.user()
    stream = SealedStream(session, seal)
    stream.request()
    stream.answer()
    stream.stream.write(seal.visitor_payload(stream.context, b"").encode(b"banner"))
    world.until(lambda: user.received == b"banner")
