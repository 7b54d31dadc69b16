"""LoginAttempt: what the client believes of an answer, and when."""

from __future__ import annotations

from typing import Any

import pytest

from frpd.client.login_attempt import closed_hint
from frpd.config.client import ClientConfig
from frpd.config.secret import Secret
from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import LoginResp, ReqWorkConn
from frpd.proto.native import choose, read_public_key
from frpd.proto.seal import SealedControl
from frpd.proto.seal_keys import (
    C2S,
    S2C,
    SessionKeys,
    is_marked,
    make_marked_iv,
    public_key,
    transcript_hash,
)
from frpd.proto.seal_session import SessionSeal
from frpd.proto.wrappers import CipherCodec
from tests.helpers.peers import TOKEN
from tests.helpers.seal import quick_stretch
from tests.helpers.world import World
from tests.unit.client.home import Home, Session

PRIVATE = b"s" * 32
PSK = quick_stretch(TOKEN)
both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


def answer_sealed(session: Session, psk: bytes = PSK) -> tuple[bytes, SealedControl]:
    """Return the frame of LoginResp, and the server's end of the seal."""
    _, answer = choose(session.login.frpd, {"seal", "half-close"}, public_key(PRIVATE))
    frame = encode_message(LoginResp(version="0.51.3", run_id="abc", frpd=answer))
    theirs = read_public_key(session.login.frpd)
    assert theirs is not None
    keys = SessionKeys(
        psk=psk,
        private_key=PRIVATE,
        peer_public_key=theirs,
        transcript=transcript_hash(session.control._decoder.last_frame, frame),
    )
    return frame, SessionSeal(keys, is_client=False).control()


@both_kinds
def test_nothing_is_believed_before_the_server_has_proved_itself(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    session = home.session()
    frame, control = answer_sealed(session)
    session.control._decoder.take_rest()
    world.peers.remove(session.control)
    stream = session.control.stream
    stream.write(frame)
    world.settle()
    assert home.service._control is None
    assert stream.received == b""
    stream.write(control.start())
    world.until(lambda: home.service._control)
    world.until(lambda: len(stream.received) > 100)
    assert b'"proxy_name"' in control.decode(bytes(stream.received))
    assert control.finished_received


@both_kinds
def test_a_server_with_another_token_is_refused_for_good(world: World, mux: bool) -> None:
    home = Home(world, mux=mux, native="require")
    session = home.session()
    assert session.login.privilege_key == ""
    frame, control = answer_sealed(session, psk=b"x" * 32)
    session.control.stream.write(frame + control.start())
    world.until(lambda: home.fatal)
    assert home.fatal[0].startswith("authorization failed: the server does not know our token")


def test_an_answer_that_was_changed_on_its_way_is_refused(world: World) -> None:
    home = Home(world)
    session = home.session()
    frame, control = answer_sealed(session)
    session.control.stream.write(frame.replace(b'"abc"', b'"abd"') + control.start())
    world.until(lambda: home.fatal)
    assert "does not open" in home.fatal[0]


def test_a_proof_that_does_not_come_ends_the_attempt(world: World) -> None:
    home = Home(world)
    session = home.session()
    frame, _ = answer_sealed(session)
    session.control.stream.write(frame)
    world.settle()
    world.pass_time(10.1)
    world.until(lambda: home.fatal)
    assert home.fatal == ["no answer to login within 10 s"]


@pytest.mark.parametrize("answer", [None, {"v": 1, "chosen": ["half-close"]}])
def test_with_require_an_answer_without_a_seal_is_refused(
    world: World, answer: dict[str, object] | None
) -> None:
    home = Home(world, native="require")
    session = home.session()
    session.control.send(LoginResp(version="0.51.3", run_id="abc", frpd=answer))
    world.until(lambda: home.fatal)
    assert home.fatal[0].startswith("the server agrees to no sealed session")


def test_with_require_and_no_token_nothing_is_sent(world: World) -> None:
    home = Home(world, native="require", token=Secret(""))
    world.until(lambda: home.fatal)
    assert home.fatal == ["native = require needs a token: it is what seals the session"]


def fall_back(session: Session, iv: bytes, answer: dict[str, object] | None = None) -> bytes:
    """Answer as a Go server with this IV; return what the client says behind its login."""
    world = session.world
    world.peers.remove(session.control)
    stream = session.control.stream
    codec = CipherCodec(derive_key(TOKEN), iv)
    resp = encode_message(LoginResp(version="0.51.3", run_id="abc", frpd=answer))
    stream.write(resp + codec.encode(encode_message(ReqWorkConn())))
    world.settle()
    return bytes(stream.received)


@both_kinds
def test_a_client_that_offered_marks_its_iv(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    said = fall_back(home.session(), b"i" * IV_BYTES)
    assert is_marked(PSK, C2S, said[:IV_BYTES])
    assert home.service._control is not None


def test_a_client_with_native_off_marks_nothing_and_looks_for_nothing(world: World) -> None:
    home = Home(world, native="off")
    said = fall_back(home.session(), make_marked_iv(PSK, S2C, b"r" * 8))
    assert not is_marked(PSK, C2S, said[:IV_BYTES])
    assert home.service._control is not None


@both_kinds
@pytest.mark.parametrize("answer", [None, {"v": 1, "chosen": ["half-close"]}])
def test_a_marked_iv_of_the_server_tells_that_the_offer_was_stripped(
    world: World, mux: bool, answer: dict[str, object] | None, caplog: pytest.LogCaptureFixture
) -> None:
    home = Home(world, mux=mux)
    fall_back(home.session(), make_marked_iv(PSK, S2C, b"r" * 8), answer)
    assert home.service._control is None
    assert "the offer was stripped" in caplog.text


def test_the_login_waits_for_the_stretched_token_and_is_given_up_with_its_connection(
    world: World,
) -> None:
    home = Home(world, start=False, login_fail_exit=False)
    secret = home.service._secret
    world.until(lambda: not secret.is_pending)
    secret._job = object()  # type: ignore[assignment]
    home.service.start()
    wire = home.door.next()
    world.settle()
    wire.close()
    world.settle()
    secret._done(PSK)
    world.settle()
    assert home.service._login is None


@both_kinds
@pytest.mark.parametrize("clean", [True, False])
def test_a_server_that_closes_without_an_answer_may_want_tls(
    world: World, mux: bool, clean: bool
) -> None:
    home = Home(world, mux=mux)
    session = home.session()
    if clean:
        session.wire.close()
    else:
        session.wire.reset()
    world.until(lambda: home.fatal)
    assert home.fatal[0].endswith("; if it takes TLS only, set tls_enable = true")


@pytest.mark.parametrize("settings", [{"tls_enable": True}, {"protocol": "wss"}])
def test_who_uses_tls_already_is_not_told_to(settings: dict[str, Any]) -> None:
    assert closed_hint(ClientConfig(**settings)) == ""
