"""VisitorDesk: who may visit a secret proxy, in clear and in sealed sessions."""

from __future__ import annotations

from typing import Any

import pytest

from frpd.config.penalties import PenaltyRules
from frpd.proto.ciphers import derive_key
from frpd.proto.message.codec import MessageDecoder, encode_message
from frpd.proto.message.types import (
    Message,
    NewProxy,
    NewVisitorConn,
    NewVisitorConnResp,
    NewWorkConn,
    StartWorkConn,
)
from frpd.proto.seal import StreamSeal
from frpd.proto.seal_keys import VISIT, stream_context, work_context
from frpd.proto.wrappers import CipherCodec, wrapper_stack
from frpd.server.proxies.stcp import StcpProxy
from tests.helpers.peers import (
    PeerStream,
    ScriptedClient,
    Talker,
    Wire,
    visitor_message,
)
from tests.helpers.seal import quick_stretch
from tests.helpers.world import World
from tests.unit.server.house import House
from tests.unit.server.test_login import SealedClient

SK = "stcp-Key"
both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


def owner(house: House, *, mux: bool = True, **fields: Any) -> ScriptedClient:
    """Return a client that has the proxy ``vault``."""
    client = house.client(mux=mux, **fields.pop("login", {}))
    assert client.new_proxy("vault", 0, "stcp", **({"sk": SK} | fields)).error == ""
    return client


def new_stcp(name: str) -> NewProxy:
    return NewProxy(proxy_name=name, proxy_type="stcp", sk=SK)


def refusal(talker: Talker) -> str:
    """Return why a visitor was sent away, when it has been."""
    answer = talker.receive(NewVisitorConnResp)
    talker.until_end()
    return answer.error


# In clear, as Go's clients come.


@both_kinds
def test_a_visitor_is_joined_to_the_owner_s_service(world: World, mux: bool) -> None:
    house = House(world)
    client, visiting = owner(house, mux=mux), house.client(mux=mux)
    talker = visiting.visit("vault", SK)
    answer = talker.receive(NewVisitorConnResp)
    assert (answer.proxy_name, answer.error, answer.half_closes) == ("vault", "", False)
    work = client.work()
    start = work.receive(StartWorkConn)
    assert start.proxy_name == "vault"
    came_from = visiting.wire if mux else talker.stream
    assert isinstance(came_from, Wire)
    assert (start.src_addr, start.src_port) == came_from.address
    assert (start.dst_addr, start.dst_port) == ("127.0.0.1", house.port)
    talker.write(b"question")
    world.until(lambda: work.payload == b"question")
    work.write(b"answer")
    world.until(lambda: talker.payload == b"answer")
    counters = house.service.proxies["vault"].counters
    assert counters.connections_open == 1
    talker.stream.close()
    work.until_end()
    work.stream.close()
    world.until(lambda: counters.connections_open == 0)
    assert (counters.bytes_in, counters.bytes_out) == (8, 6)


@both_kinds
def test_each_leg_has_its_own_wrappers(world: World, mux: bool) -> None:
    house = House(world)
    client = owner(house, mux=mux, use_compression=True)
    talker = house.client(mux=mux).visit("vault", SK, use_encryption=True)
    talker.receive(NewVisitorConnResp)
    work = client.work()
    work.receive(StartWorkConn)
    visitor = CipherCodec(derive_key(SK), b"\5" * 16)
    (service,) = wrapper_stack(key=None, compress=True, iv=b"")
    talker.write(visitor.encode(b"question"))
    world.until(lambda: service.decode(bytes(work.payload)) == b"question" if work.payload else 0)
    work.write(service.encode(b"answer"))
    world.until(lambda: len(talker.payload) == 16 + 6)
    assert visitor.decode(bytes(talker.payload)) == b"answer"


@both_kinds
def test_the_answer_comes_at_once_and_the_end_when_no_work_connection_does(
    world: World, mux: bool
) -> None:
    house = House(world, user_conn_timeout=3)
    owner(house, mux=mux)
    talker = house.client(mux=mux).visit("vault", SK)
    assert talker.receive(NewVisitorConnResp).error == ""
    assert talker.stream.end == ""
    world.pass_time(4)
    talker.until_end("reset")


@both_kinds
def test_a_wrong_key_and_an_unknown_name_are_refused_in_frp_s_words(
    world: World, mux: bool
) -> None:
    house = House(world)
    client = owner(house, mux=mux)
    house.proxy(client, "web")
    visiting = house.client(mux=mux)
    assert refusal(visiting.visit("vault", "other")) == "visitor connection of [vault] auth failed"
    for name in ("other", "web"):  # a tcp proxy is no stcp proxy
        text = f"custom listener for [{name}] doesn't exist"
        assert refusal(visiting.visit(name, SK)) == text
    empty = refusal(visiting.visit("vault", SK, sign_key=""))
    assert empty == "visitor connection of [vault] auth failed"
    assert visiting.wire.end == client.wire.end == ""


def test_without_detailed_errors_no_refusal_tells_more_than_another(world: World) -> None:
    house = House(world, detailed_errors_to_client=False)
    owner(house)
    visiting = house.client()
    told = {refusal(visiting.visit(name, "guess")) for name in ("vault", "other")}
    assert told == {"register visitor conn error"}


@both_kinds
def test_the_user_of_the_visiting_client_counts(world: World, mux: bool) -> None:
    house = House(world)
    owner(house, login={"user": "bob"}, allow_users=["ann"])
    ann, carl = (house.client(mux=mux, user=user) for user in ("ann", "carl"))
    assert ann.visit("vault", SK).receive(NewVisitorConnResp).error == ""
    text = "visitor connection of [vault] user [carl] not allowed"
    assert refusal(carl.visit("vault", SK)) == text


def test_over_mux_a_client_that_says_no_run_id_is_known_all_the_same(world: World) -> None:
    house = House(world)
    owner(house, login={"user": "bob"})
    old, other = (house.client(user=user, version="0.31.0") for user in ("bob", "ann"))
    assert old.visit("vault", SK, run_id="").receive(NewVisitorConnResp).error == ""
    assert "user [ann] not allowed" in refusal(other.visit("vault", SK, run_id=""))


def test_without_mux_who_says_no_run_id_has_the_empty_user(world: World) -> None:
    house = House(world)
    owner(house, mux=False, login={"user": "bob"})
    unknown = house.client(mux=False, user="bob").visit("vault", SK, run_id="")
    assert refusal(unknown) == "visitor connection of [vault] user [] not allowed"
    house = House(world)
    owner(house, mux=False)
    stranger = Talker(world, house.connect())
    stranger.send(visitor_message("vault", SK))
    assert stranger.receive(NewVisitorConnResp).error == ""


@both_kinds
def test_a_run_id_of_nobody_is_refused_in_frp_s_words(world: World, mux: bool) -> None:
    house = House(world)
    owner(house, mux=mux)
    talker = house.client(mux=mux).visit("vault", SK, run_id="beef")
    assert refusal(talker) == "no client control found for run id [beef]"


def test_a_run_id_of_another_client_is_of_no_use_with_mux(world: World) -> None:
    house = House(world)
    client = owner(house, login={"user": "bob"})
    text = f"no client control found for run id [{client.run_id}]"
    assert refusal(house.client().visit("vault", SK, run_id=client.run_id)) == text
    alone = Talker(world, house.connect())
    alone.send(visitor_message("vault", SK, run_id=client.run_id))
    assert refusal(alone) == text


def test_before_login_a_mux_connection_cannot_visit(world: World) -> None:
    house = House(world)
    owner(house)
    stranger = ScriptedClient(world, house.port, mux=True)
    stranger.control.send(visitor_message("vault", SK))
    world.until(lambda: stranger.wire.end)


def test_a_visitor_that_asks_twice_or_talks_early_harms_nobody(world: World) -> None:
    house = House(world)
    client = owner(house)
    talker = house.client().visit("vault", SK)
    talker.write(encode_message(visitor_message("vault", SK)))
    work = client.work()
    work.receive(StartWorkConn)
    world.until(lambda: work.payload.startswith(b"v\0\0"))  # it is payload by then


def test_a_connection_of_its_own_is_pending_until_it_is_let_in(world: World) -> None:
    house = House(world, login_timeout_seconds=5)
    owner(house, mux=False)
    silent = house.connect()
    silent.write(b"v")  # and no more
    guest = Talker(world, house.connect())
    guest.send(visitor_message("vault", SK))
    assert guest.receive(NewVisitorConnResp).error == ""
    assert house.service._door.pending == 1
    world.pass_time(6)
    world.until(lambda: silent.end)
    assert guest.stream.end == ""


@both_kinds
def test_refusals_leave_nothing_behind_and_fill_no_log(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    client, visiting = owner(house, mux=mux), house.client(mux=mux)
    guesses = [visiting.visit("vault", "guess") for _ in range(20)]
    assert all(map(refusal, guesses))
    lines = [line for line in caplog.messages if "visitor refused" in line]
    assert len(lines) == (1 if mux else 20)  # once for each connection
    guesses += [visiting.visit(f"guess {number}", SK) for number in range(20)]
    assert all(map(refusal, guesses[20:]))
    for talker in guesses:
        talker.stream.close()
    if mux:
        assert sum("visitor refused" in line for line in caplog.messages) == 8
    visiting.close()
    client.close()
    house.until_empty()


def test_garbage_behind_the_type_byte_ends_the_stream_only(world: World) -> None:
    house = House(world)
    visiting = house.client()
    for garbage in (b"v" + b"\xff" * 9, b"v" + b"\0" * 8, b"v" + b"\0" * 7 + b"\x02{]"):
        talker = Talker(world, visiting.new_stream())
        talker.write(garbage)
        talker.until_end()
    assert visiting.wire.end == ""


def test_a_server_that_stops_lets_no_visitor_in(world: World) -> None:
    house = House(world)
    owner(house)
    talker = Talker(world, house.client().new_stream())
    world.settle()
    house.service.shut_down(lambda: None)
    talker.send(visitor_message("vault", SK))
    assert "doesn't exist" in refusal(talker)


def test_a_visitor_of_a_closed_proxy_stays(world: World) -> None:
    house = House(world)
    client = owner(house)
    talker = house.client().visit("vault", SK)
    work = house.serve(client)
    house.service.proxies["vault"].close()
    talker.write(b"still")
    world.until(lambda: work.payload == b"still")


def test_a_server_that_requires_a_seal_takes_no_visitor_without(world: World) -> None:
    house = House(world, native="require")
    stranger = Talker(world, house.connect())
    stranger.send(visitor_message("vault", SK))
    assert "takes visitors of sealed sessions only" in refusal(stranger)


# Sealed.


class Guest(SealedClient):
    """A sealed client that visits."""

    def __init__(self, house: House, *, mux: bool = True, **fields: Any) -> None:
        super().__init__(house, mux=mux, **fields)
        self._nonces = 0
        self.enter()

    def fresh_nonce(self) -> bytes:
        self._nonces += 1
        return self._nonces.to_bytes(16, "little")

    def visit(self) -> SealedVisit:
        return SealedVisit(self)


class SealedVisit:
    """A visitor's stream of a sealed session; nothing is sent but by the test."""

    def __init__(self, client: Guest) -> None:
        self.client = client
        self.world = client.world
        self.stream: PeerStream
        self.clear = NewVisitorConn(run_id=client.run_id)
        if client.mux is not None:
            stream = client.mux.open()
            self.stream, self.context = stream, stream_context(stream.stream_id)
        else:
            self.stream = Wire.to(client.world, client.house.port)
            nonce = self.clear.nonce = client.fresh_nonce()
            self.clear.proof = client.seal.prove(client.run_id, nonce, VISIT)
            self.context = work_context(nonce)
        self.seal: StreamSeal = client.seal.work(self.context)

    def request(self, sk: str = SK, **fields: Any) -> NewVisitorConn:
        """Return what asks for ``vault`` with this sk."""
        secret = quick_stretch(sk) if sk else b""
        proof = self.client.seal.visitor_proof(self.context, secret)
        return NewVisitorConn(proxy_name="vault", proof=proof, **fields)

    def send(self, request: Message | None = None, *, final: bool = True) -> SealedVisit:
        request = self.request() if request is None else request
        self.stream.write(
            encode_message(self.clear)
            + self.seal.writer.write(encode_message(request), final=final)
        )
        return self

    def answer(self) -> NewVisitorConnResp:
        reader = self.seal.reader
        records: list[bytes] = []

        def there() -> bool:
            reader.receive_data(bytes(self.stream.received))
            self.stream.received.clear()
            record = reader.next_record()
            records.extend([] if record is None else [record])
            return bool(records)

        self.world.until(there, "an answer")
        assert reader.ended
        decoder = MessageDecoder()
        decoder.receive_data(records[0])
        message = decoder.next_message()
        assert isinstance(message, NewVisitorConnResp)
        return message

    def until_end(self) -> None:
        self.world.until(lambda: self.stream.end, "the end of a visit")


@both_kinds
@pytest.mark.parametrize("encrypted", [True, False], ids=["sealed", "raw"])
def test_a_sealed_visitor_is_joined_to_the_service(
    world: World, mux: bool, encrypted: bool
) -> None:
    house = House(world)
    client, guest = owner(house, mux=mux), Guest(house, mux=mux)
    visit = guest.visit()
    visit.send(visit.request(use_encryption=encrypted))
    answer = visit.answer()
    assert (answer.error, answer.half_closes) == ("", False)  # the owner is a Go client
    work = house.serve(client)
    work.write(b"answer")
    if encrypted:
        payload = guest.seal.visitor_payload(visit.context, quick_stretch(SK))
        visit.stream.write(payload.encode(b"question"))
        seen = bytearray(visit.seal.reader.take_rest())

        def decoded() -> bool:
            seen.extend(payload.decode(bytes(visit.stream.received)))
            visit.stream.received.clear()
            return seen == b"answer"

        world.until(decoded)
    else:
        visit.stream.write(b"question")
        world.until(lambda: visit.stream.received == b"answer")
    world.until(lambda: work.payload == b"question")


@both_kinds
def test_payload_of_who_has_the_session_and_not_the_sk_ends_the_visit(
    world: World, mux: bool
) -> None:
    house = House(world)
    client, guest = owner(house, mux=mux), Guest(house, mux=mux)
    # A request that was made with the sk, and a visitor who does not have it.
    visit = guest.visit()
    visit.send(visit.request(use_encryption=True)).answer()
    work = house.serve(client)
    payload = guest.seal.visitor_payload(visit.context, quick_stretch("other"))
    visit.stream.write(payload.encode(b"question"))
    visit.until_end()
    assert work.payload == b""


@both_kinds
def test_the_wrong_sk_is_refused_in_a_sealed_answer(world: World, mux: bool) -> None:
    house = House(world)
    owner(house, mux=mux)
    guest = Guest(house, mux=mux)
    guess, signed, elsewhere = guest.visit(), guest.visit(), guest.visit()
    requests = {
        guess: guess.request("other"),
        signed: visitor_message("vault", SK),  # frp's key is no proof here
        elsewhere: guess.request(),  # made for another stream
    }
    for visit, request in requests.items():
        visit.send(request)
        assert visit.answer().error == "visitor connection of [vault] auth failed"
        visit.until_end()


def test_two_frpd_ends_half_close_all_the_way(world: World) -> None:
    house = House(world)
    guest = Guest(house)
    house.service.controls[guest.run_id].features |= {"half-close"}
    host = Guest(house)
    request = encode_message(new_stcp("vault"))
    host.stream.write(host.control.encode(request))
    host.receive()
    assert guest.visit().send().answer().half_closes


@both_kinds
def test_a_sealed_session_has_no_visitors_in_clear(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    client, guest = owner(house, mux=mux), Guest(house, mux=mux)
    stream = guest.mux.open() if guest.mux else Wire.to(world, house.port)
    stream.write(encode_message(visitor_message("vault", SK, run_id=guest.run_id)))
    world.until(lambda: stream.end)
    assert stream.received == b""
    assert "not sealed as its client's session is" in caplog.text
    assert client.control.stream.end == guest.stream.end == ""


def test_a_visitor_s_own_connection_needs_a_fresh_proof_of_its_kind(world: World) -> None:
    house = House(world)
    owner(house, mux=False)
    guest = Guest(house, mux=False)
    forged, of_work = guest.visit(), guest.visit()
    forged.clear.proof = b"x" * 32
    of_work.clear.proof = guest.seal.prove(guest.run_id, of_work.clear.nonce)
    for visit in (forged, of_work):
        visit.send().until_end()
    good = guest.visit().send()
    assert good.answer().error == ""
    again = guest.visit()
    again.clear = good.clear
    again.send().until_end()
    assert again.stream.received == b""


def test_a_visitor_s_proof_brings_no_work_connection(world: World) -> None:
    house = House(world)
    guest = Guest(house, mux=False)
    visit = guest.visit()
    hello = NewWorkConn(guest.run_id, nonce=visit.clear.nonce, proof=visit.clear.proof)
    visit.stream.write(encode_message(hello))
    visit.until_end()
    assert house.service.controls[guest.run_id].work_conns.ready == 0


@both_kinds
def test_a_recorded_visit_opens_on_no_other_stream(world: World, mux: bool) -> None:
    house = House(world)
    owner(house, mux=mux)
    guest = Guest(house, mux=mux)
    old, new = guest.visit(), guest.visit()
    record = old.seal.writer.write(encode_message(old.request()), final=True)
    new.stream.write(encode_message(new.clear) + record)
    new.until_end()
    assert house.service.proxies["vault"].counters.connections_total == 0


@both_kinds
@pytest.mark.parametrize("what", ["another message", "more to come", "garbage", "its end"])
def test_an_odd_first_record_ends_the_stream_only(world: World, mux: bool, what: str) -> None:
    house = House(world)
    owner(house, mux=mux)
    guest = Guest(house, mux=mux)
    visit = guest.visit()
    if what == "another message":
        visit.send(NewWorkConn(guest.run_id))
    elif what == "more to come":
        visit.send(final=False)
    else:
        visit.stream.write(encode_message(visit.clear) + (b"\xff" * 60 if what[0] == "g" else b""))
        if what == "its end":
            visit.stream.close()
            visit.stream.end = "eof"
    visit.until_end()
    world.settle()
    assert house.service.proxies["vault"].counters.connections_total == 0
    assert guest.wire.end == ""


@both_kinds
def test_a_request_that_never_comes_is_not_waited_for(world: World, mux: bool) -> None:
    house = House(world, login_timeout_seconds=5)
    guest = Guest(house, mux=mux)
    visit = guest.visit()
    visit.stream.write(encode_message(visit.clear))
    world.settle()
    assert house.service._door.pending == (0 if mux else 1)
    world.pass_time(6)
    visit.until_end()
    assert guest.wire.end == ""


@both_kinds
def test_what_ends_while_the_sk_is_stretched_is_dropped(world: World, mux: bool) -> None:
    house = House(world)
    owner(house, mux=mux)
    proxy = house.service.proxies["vault"]
    assert isinstance(proxy, StcpProxy)
    secret = proxy.stretched(world.pool)
    world.until(lambda: secret.value)
    for end in ("its session", "the proxy", "nothing"):
        value, secret.value, proxy.is_open = secret.value, None, True
        secret._job = object()  # type: ignore[assignment]
        guest = Guest(house, mux=mux)
        visit = guest.visit().send()
        world.until(lambda: secret._waiting)
        if end == "its session":
            house.service.controls[guest.run_id].close("a test")
        proxy.is_open = end != "the proxy"
        secret._done(value)  # type: ignore[arg-type]
        if end == "nothing":
            assert visit.answer().error == ""
        else:
            visit.until_end()
            assert visit.stream.received == b""


def test_an_sk_that_cannot_be_stretched_is_told(world: World) -> None:
    house = House(world)
    owner(house)
    proxy = house.service.proxies["vault"]
    assert isinstance(proxy, StcpProxy)
    secret = proxy.stretched(world.pool)
    world.until(lambda: secret.value)
    secret.value, secret._job = None, object()  # type: ignore[assignment]
    visit = Guest(house).visit().send()
    world.until(lambda: secret._waiting)
    secret._failed(MemoryError())
    assert visit.answer().error == "proxy [vault] has no keys now"


@both_kinds
def test_a_visitor_of_a_proxy_without_an_sk_is_sealed_by_the_session_alone(
    world: World, mux: bool
) -> None:
    house = House(world)
    client, guest = owner(house, mux=mux, sk=""), Guest(house, mux=mux)
    visit = guest.visit()
    visit.send(visit.request("", use_encryption=True))
    assert visit.answer().error == ""
    work = house.serve(client)
    payload = guest.seal.visitor_payload(visit.context, b"")
    visit.stream.write(payload.encode(b"question"))
    world.until(lambda: work.payload == b"question")


# Who guesses.

GUESSING: dict[str, Any] = {
    "per_source_penalties": PenaltyRules.parse("authfail:10 min:20"),
    "per_source_penalty_exempt_list": ("192.0.2.0/24",),
}


@both_kinds
def test_who_tries_wrong_keys_has_to_wait_at_that_proxy_alone(world: World, mux: bool) -> None:
    house = House(world, **GUESSING)
    theirs = owner(house)
    assert theirs.new_proxy("other", 0, "stcp", sk=SK).error == ""
    guest = house.client(mux=mux)
    assert [refusal(guest.visit("vault", "guess")) for _ in range(3)] == [
        "visitor connection of [vault] auth failed",
        "visitor connection of [vault] auth failed",
        "too many wrong keys for [vault]: wait 20 s",
    ]
    assert refusal(guest.visit("vault", SK)) == "too many wrong keys for [vault]: wait 20 s"
    assert guest.visit("other", SK).receive(NewVisitorConnResp).error == ""
    world.advance(20.0)
    assert guest.visit("vault", SK).receive(NewVisitorConnResp).error == ""


def test_a_sealed_client_that_tries_wrong_keys_has_to_wait(world: World) -> None:
    house = House(world, **GUESSING)
    owner(house)
    client = Guest(house)
    for _ in range(2):
        guess = SealedVisit(client)
        guess.send(guess.request("guess"))
        assert guess.answer().error == "visitor connection of [vault] auth failed"
    answer = SealedVisit(client).send().answer()
    assert answer.error == "too many wrong keys for [vault]: wait 20 s"


def test_a_stranger_who_tries_wrong_keys_is_not_let_in_any_more(world: World) -> None:
    house = House(world, **GUESSING)
    theirs = owner(house, mux=False)
    for _ in range(2):
        assert refusal(theirs.visit("vault", "guess", run_id=""))
    theirs.close()
    world.settle()
    wire = house.connect()
    world.until(lambda: wire.end)
    assert wire.end == "reset"
