"""LoginDesk: sealed clients prove themselves before anything is done for them."""

from __future__ import annotations

from typing import Any

import pytest

from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.message.codec import MessageDecoder, encode_message
from frpd.proto.message.types import LoginResp, Message, NewProxy, NewProxyResp, NewWorkConn
from frpd.proto.native import SEAL, offer, read_public_key
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
from tests.helpers.peers import TOKEN, MuxPeer, PeerStream, ScriptedClient, Wire, login_message
from tests.helpers.ports import free_port
from tests.helpers.seal import quick_stretch
from tests.helpers.world import World
from tests.unit.server.house import House

PRIVATE = b"c" * 32
PSK = quick_stretch(TOKEN)
both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


class SealedClient:
    """An frpc that offers a seal, and whose every step is the test's."""

    def __init__(self, house: House, *, mux: bool = True, **fields: Any) -> None:
        self.world = house.world
        self.house = house
        self.wire = Wire.to(self.world, house.port)
        self.mux = MuxPeer(self.world, self.wire, is_client=True) if mux else None
        self.stream: PeerStream = self.mux.open() if self.mux else self.wire
        features = {"seal", "half-close"}
        self.frame = encode_message(
            login_message(TOKEN, frpd=offer(features, public_key(PRIVATE)), **fields)
        )
        self.stream.write(self.frame)
        self.control: SealedControl
        self.seal: SessionSeal
        self.run_id = ""
        self._messages = MessageDecoder()

    def read_answer(self, psk: bytes = PSK) -> LoginResp:
        """Read LoginResp; what stands behind it stays."""
        decoder = MessageDecoder()
        self.world.until(lambda: len(self.stream.received) > 100, "an answer")
        decoder.receive_data(bytes(self.stream.received))
        answer = decoder.next_message()
        assert isinstance(answer, LoginResp)
        self.stream.received[:] = decoder.take_rest()
        theirs = read_public_key(answer.frpd)
        assert theirs is not None
        transcript = transcript_hash(self.frame, decoder.last_frame)
        keys = SessionKeys(
            psk=psk, private_key=PRIVATE, peer_public_key=theirs, transcript=transcript
        )
        self.seal = SessionSeal(keys, is_client=True)
        self.control = self.seal.control()
        self.run_id = answer.run_id
        return answer

    def prove(self) -> None:
        self.control.decode(bytes(self.stream.received))
        assert self.control.finished_received
        self.stream.received.clear()
        self.stream.write(self.control.start())

    def enter(self) -> SealedClient:
        self.read_answer()
        self.prove()
        self.world.until(lambda: self.run_id in self.house.service.controls)
        return self

    def receive(self) -> Message:
        """Return the next message of the sealed control stream."""
        found: list[Message] = []

        def there() -> bool:
            data = bytes(self.stream.received)
            self.stream.received.clear()
            self._messages.receive_data(self.control.decode(data))
            message = self._messages.next_message()
            if message is not None:
                found.append(message)
            return bool(found)

        self.world.until(there, "a message")
        return found[0]


@both_kinds
def test_a_client_is_in_when_it_has_proved_itself_and_not_before(world: World, mux: bool) -> None:
    house = House(world)
    client = SealedClient(house, mux=mux)
    client.read_answer()
    world.settle()
    assert (house.service.controls, house.service._door.pending) == ({}, 1)
    client.prove()
    world.until(lambda: house.service.controls)
    control = house.service.controls[client.run_id]
    assert control.is_sealed
    assert SEAL in control.features
    assert house.service._door.pending == 0
    client.stream.write(
        client.control.encode(
            encode_message(NewProxy(proxy_name="web", proxy_type="tcp", remote_port=free_port()))
        )
    )
    answer = client.receive()
    assert isinstance(answer, NewProxyResp)
    assert answer.error == ""


@both_kinds
def test_a_client_with_another_token_gets_nowhere(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    client = SealedClient(house, mux=mux, privilege_key="")
    client.read_answer(psk=b"x" * 32)
    client.stream.write(client.control.start())
    world.until(lambda: client.wire.end)
    assert house.service.controls == {}
    assert "the client did not prove that it knows the token" in caplog.text
    client.wire.close()
    house.until_empty()


@both_kinds
def test_a_client_that_never_proves_itself_is_ended_by_the_door(world: World, mux: bool) -> None:
    house = House(world, login_timeout_seconds=5)
    client = SealedClient(house, mux=mux)
    client.read_answer()
    world.pass_time(6)
    world.until(lambda: client.wire.end)
    client.wire.close()
    house.until_empty()


def test_a_session_is_replaced_by_who_proves_himself_and_not_before(world: World) -> None:
    house = House(world)
    old = SealedClient(house).enter()
    new = SealedClient(house, run_id=old.run_id)
    new.read_answer()
    world.settle()
    assert old.wire.end == ""
    new.prove()
    world.until(lambda: old.wire.end)
    assert list(house.service.controls) == [old.run_id]


def test_a_legacy_login_does_not_take_over_a_sealed_session(world: World) -> None:
    house = House(world)
    old = SealedClient(house).enter()
    answer = ScriptedClient(world, house.port, mux=True).login(run_id=old.run_id)
    assert answer.error == f"run id [{old.run_id}] belongs to a sealed session"
    assert old.wire.end == ""


def test_a_server_that_requires_a_seal_takes_nothing_else(world: World) -> None:
    house = House(world, native="require")
    answer = ScriptedClient(world, house.port, mux=True).login()
    assert answer.error.startswith("this server takes sealed sessions only (native = require)")
    SealedClient(house, privilege_key="").enter()


def test_an_empty_key_without_a_seal_is_refused(world: World) -> None:
    house = House(world)
    answer = ScriptedClient(world, house.port, mux=True).login(privilege_key="")
    assert answer.error == "authorization failed"


def test_a_sealed_login_waits_for_the_stretched_token_and_a_legacy_one_does_not(
    world: World,
) -> None:
    house = House(world)
    secret = house.service._keys.common.secret
    value, secret.value = secret.value, None
    secret._job = object()  # type: ignore[assignment]
    client = SealedClient(house)
    house.client()
    world.settle()
    assert client.stream.received == b""
    secret._done(value)  # type: ignore[arg-type]
    client.enter()


def test_a_message_ahead_of_the_answer_ends_a_login_that_waits(world: World) -> None:
    house = House(world)
    secret = house.service._keys.common.secret
    value = secret.value
    secret._job = object()  # type: ignore[assignment]
    client = SealedClient(house)
    client.stream.write(encode_message(NewWorkConn(run_id="x")))
    world.until(lambda: client.wire.end)
    secret._done(value)  # type: ignore[arg-type]
    world.settle()
    assert house.service.controls == {}


def test_a_work_connection_proves_whose_it_is_and_works_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    client = SealedClient(house, mux=False).enter()
    stock = house.service.controls[client.run_id].work_conns
    nonce = b"n" * 16
    good = NewWorkConn(client.run_id, nonce=nonce, proof=client.seal.prove(client.run_id, nonce))
    for hello in (NewWorkConn(client.run_id), NewWorkConn(client.run_id, proof=good.proof)):
        wire = Wire.to(world, house.port)
        wire.write(encode_message(hello))
        closed = wire
        world.until(lambda: closed.end)  # noqa: B023 - called here
    assert "work connection without a proof, or again" in caplog.text
    first, again = Wire.to(world, house.port), Wire.to(world, house.port)
    first.write(encode_message(good))
    world.until(lambda: stock.ready == 1)
    again.write(encode_message(good))
    world.until(lambda: again.end)
    assert stock.ready == 1


def test_a_stream_id_that_does_not_rise_ends_a_sealed_session(world: World) -> None:
    house = House(world)
    client = SealedClient(house).enter()
    mux = client.mux
    assert mux is not None
    mux.session._table._next_id = 9
    mux.open()
    world.settle()
    assert client.wire.end == ""
    mux.session._table._next_id = 7
    mux.open()
    world.until(lambda: not house.service.controls)


def test_an_end_without_the_last_record_is_told_as_truncation(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    house = House(world)
    client = SealedClient(house, mux=False).enter()
    client.wire.shutdown()
    world.until(lambda: not house.service.controls)
    assert "client exit success: seal: the stream was cut short" in caplog.text


def test_the_server_says_goodbye_with_the_last_record(world: World) -> None:
    house = House(world)
    client = SealedClient(house, mux=False).enter()
    house.service.controls[client.run_id].close("test")
    world.until(lambda: client.wire.end)
    client.control.decode(bytes(client.stream.received))
    assert client.control.ended


def legacy_iv(world: World, house: House, frpd: dict[str, object] | None = None) -> bytes:
    """Log in without a seal, and return the server's IV."""
    wire = Wire.to(world, house.port)
    wire.write(encode_message(login_message(TOKEN, frpd=frpd, pool_count=1)))
    decoder = MessageDecoder()
    world.settle()
    decoder.receive_data(bytes(wire.received))
    assert isinstance(decoder.next_message(), LoginResp)
    return decoder.take_rest()[:IV_BYTES]


def test_the_iv_is_marked_if_no_seal_was_offered(world: World) -> None:
    house = House(world)
    assert is_marked(PSK, S2C, legacy_iv(world, house))
    assert is_marked(PSK, S2C, legacy_iv(world, house, offer({"half-close"})))
    assert not is_marked(PSK, C2S, legacy_iv(world, house))


def test_with_native_off_the_iv_is_not_marked(world: World) -> None:
    assert not is_marked(PSK, S2C, legacy_iv(world, House(world, native="off")))


@pytest.mark.parametrize("late", [False, True])
def test_a_marked_iv_of_a_client_tells_that_its_offer_was_stripped(
    world: World, late: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    house = House(world)
    secret = house.service._keys.common.secret
    value = secret.value
    if late:
        secret.value, secret._job = None, object()  # type: ignore[assignment]
    wire = Wire.to(world, house.port)
    wire.write(encode_message(login_message(TOKEN)))
    world.until(lambda: house.service.controls)
    codec = CipherCodec(derive_key(TOKEN), make_marked_iv(PSK, C2S, b"r" * 8))
    wire.write(codec.encode(encode_message(NewProxy(proxy_name="x", proxy_type="tcp"))))
    if late:
        world.settle()
        assert house.service.controls
        secret._done(value)  # type: ignore[arg-type]
    world.until(lambda: not house.service.controls)
    assert "the offer was stripped" in caplog.text
