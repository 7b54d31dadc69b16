"""TLS over endpoints: handshakes that work and fail, ends, cuts, and slow peers."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
from collections.abc import Callable

import pytest

from frpd.errors import ConfigError, ConnectionLost, RemoteProtocolError, TransportError
from frpd.net.certificates import Contexts, client_contexts, server_contexts
from frpd.net.endpoint import Endpoint
from frpd.net.handshakes import HandshakeQueue
from frpd.net.stream import SocketStream
from frpd.net.tls import MAX_ANSWER_BYTES, TlsHandshake, TlsRecords, explain
from frpd.selector_loop import SelectorLoop
from tests.helpers.authority import Authority
from tests.helpers.clock import MockClock
from tests.helpers.duplex import Duplex
from tests.helpers.endpoint import ScriptedEndpoint
from tests.unit.net.conftest import MakeTcp

PAYLOAD = os.urandom(1 << 20) * 8
ANY_SERVER = server_contexts("", "", "", now=MockClock().now)
ANY_CLIENT = client_contexts("", "", "", now=MockClock().now)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


class Fixed:
    """Contexts with one context, which may be bent."""

    def __init__(self, contexts: Contexts, version: ssl.TLSVersion) -> None:
        self._context = contexts.current()
        self._context.minimum_version = self._context.maximum_version = version

    def current(self) -> ssl.SSLContext:
        return self._context


class Side:
    """What became of one handshake."""

    def __init__(
        self,
        inner: Endpoint,
        contexts: Contexts,
        *,
        name: str | None,
        prefix: bytes = b"",
        queue: HandshakeQueue | None = None,
    ) -> None:
        self.ready: list[Endpoint] = []
        self.failed: list[str] = []
        self.shake = TlsHandshake(
            inner,
            contexts,
            server_side=name is None,
            server_hostname=name,
            prefix=prefix,
            closed_hint="; a hint",
            queue=queue,
            on_ready=self.ready.append,
            on_failed=lambda error: self.failed.append(str(error)),
        )

    @property
    def endpoint(self) -> Endpoint:
        assert self.failed == []
        [endpoint] = self.ready
        return endpoint

    @property
    def is_over(self) -> bool:
        return bool(self.ready or self.failed)


class Wire:
    """Two endpoints whose bytes go to each other in pieces of one size."""

    def __init__(self, loop: SelectorLoop, piece: int = 1 << 20) -> None:
        self.near = ScriptedEndpoint(loop, "near")
        self.far = ScriptedEndpoint(loop, "far")
        self._loop = loop
        self._piece = piece
        self._moved = [0, 0]

    def until(self, fact: Callable[[], object]) -> None:
        for _ in range(5000):
            if fact():
                return
            self.move()
            self._loop.run_turn()
        pytest.fail("never came true")

    def move(self, behind: bytes = b"") -> None:
        """Bring each what the other wrote; ``behind`` goes to the near end with that."""
        for index, (source, target) in enumerate(((self.near, self.far), (self.far, self.near))):
            fresh = source.got[self._moved[index] :]
            self._moved[index] += len(fresh)
            fresh += behind if index else b""
            if not target.acts:
                target.say(
                    *(fresh[at : at + self._piece] for at in range(0, len(fresh), self._piece))
                )


def run_until(loop: SelectorLoop, is_over: Callable[[], object]) -> None:
    for _ in range(5000):
        if is_over():
            return
        loop.run_turn(0.01)
    pytest.fail("still not over")


def run(loop: SelectorLoop, turns: int = 10) -> None:
    for _ in range(turns):
        loop.run_turn()


def joined(
    wire: Wire, client: Contexts = ANY_CLIENT, server: Contexts = ANY_SERVER, name: str = "frp.test"
) -> tuple[Side, Side]:
    """Return both sides of a handshake that is over, one way or the other."""
    sides = Side(wire.near, client, name=name), Side(wire.far, server, name=None)
    wire.until(lambda: sides[0].is_over and sides[1].is_over)
    wire.until(lambda: True)
    return sides


# Handshakes that work.


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_bytes_pass_both_ways_in_any_segments(
    loop: SelectorLoop, version: ssl.TLSVersion, piece: int
) -> None:
    wire = Wire(loop, piece)
    contexts = Fixed(client_contexts("", "", "", now=loop.now), version)
    client, server = joined(wire, contexts)
    near = Duplex(client.endpoint, b"from the client", shut=True)
    far = Duplex(server.endpoint, b"from the server", shut=True)
    wire.until(lambda: near.end and far.end)
    assert (near.got, near.end) == (b"from the server", "eof")
    assert (far.got, far.end) == (b"from the client", "eof")
    assert b"from the" not in wire.near.got + wire.far.got
    assert (wire.near.acts, wire.far.acts) == ([], [])
    assert client.endpoint.describe() == "near"


def test_nothing_happens_before_a_later_turn(loop: SelectorLoop) -> None:
    wire = Wire(loop)
    wire.near.break_writes()
    side = Side(wire.near, ANY_CLIENT, name="frp.test")
    assert not side.is_over
    run(loop)
    assert side.failed == ["TLS: broken pipe during the handshake; a hint"]
    assert wire.near.acts == ["close"]


def test_a_prefix_goes_out_once_ahead_of_everything(loop: SelectorLoop) -> None:
    wire = Wire(loop)
    Side(wire.near, ANY_CLIENT, name="frp.test", prefix=b"\x17")
    run(loop, 3)
    assert wire.near.got[:2] == b"\x17\x16"
    assert wire.near.got.count(b"\x17\x16\x03") == 1


def test_a_handshake_goes_on_when_the_connection_takes_it(loop: SelectorLoop) -> None:
    wire = Wire(loop)
    wire.near.capacity = wire.far.capacity = 10
    sides = Side(wire.near, ANY_CLIENT, name="frp.test"), Side(wire.far, ANY_SERVER, name=None)

    def are_over() -> bool:
        wire.near.take(10)
        wire.far.take(10)
        return all(side.is_over for side in sides)

    wire.until(are_over)
    near = Duplex(sides[0].endpoint, b"behind the last flight")
    far = Duplex(sides[1].endpoint)
    wire.near.take()
    wire.until(lambda: far.got == b"behind the last flight")
    assert near.end == ""


def test_what_comes_with_the_last_flight_is_not_lost(loop: SelectorLoop) -> None:
    wire = Wire(loop)
    server = Side(wire.far, ANY_SERVER, name=None)

    def send_at_once(endpoint: Endpoint) -> None:
        assert endpoint.write(b"at once")
        endpoint.shutdown_write()

    TlsHandshake(
        wire.near,
        ANY_CLIENT,
        server_side=False,
        server_hostname="frp.test",
        on_ready=send_at_once,
        on_failed=lambda error: pytest.fail(str(error)),
    )
    wire.until(lambda: server.is_over)
    far = Duplex(server.endpoint)
    wire.until(lambda: far.end)
    assert (far.got, far.end) == (b"at once", "eof")


@pytest.mark.parametrize("name", ["frp.example", "127.0.0.1", "::1"])
def test_a_server_of_the_ca_and_the_name_is_trusted(
    loop: SelectorLoop, authority: Authority, name: str
) -> None:
    pair = authority.issue("frp.example", "127.0.0.1", "::1")
    client, server = joined(
        Wire(loop),
        client_contexts("", "", authority.ca_file, now=loop.now),
        server_contexts(*pair, "", now=loop.now),
        name,
    )
    assert client.endpoint is not server.endpoint


def test_both_may_demand_certificates(loop: SelectorLoop, authority: Authority) -> None:
    client, server = joined(
        Wire(loop),
        client_contexts(*authority.issue("a client"), authority.ca_file, now=loop.now),
        server_contexts(*authority.issue("frp.test"), authority.ca_file, now=loop.now),
    )
    assert client.endpoint is not server.endpoint


def test_a_server_s_own_certificate_may_be_the_trusted_one(
    loop: SelectorLoop, authority: Authority
) -> None:
    """As in Go: whatever is in the file is trusted, though it be no authority."""
    pair = authority.issue("frp.test")
    client, _ = joined(
        Wire(loop),
        client_contexts("", "", pair.cert, now=loop.now),
        server_contexts(*pair, "", now=loop.now),
    )
    assert client.ready


# Handshakes that fail.


def test_a_server_of_another_ca_is_refused(
    loop: SelectorLoop, authority: Authority, stranger: Authority
) -> None:
    client, server = joined(
        Wire(loop),
        client_contexts("", "", authority.ca_file, now=loop.now),
        server_contexts(*stranger.issue("frp.test"), "", now=loop.now),
    )
    [text] = client.failed
    assert text == (
        "TLS: the certificate of frp.test is refused: unable to get local issuer certificate;"
        " check tls_trusted_ca_file"
    )
    assert server.failed == ["TLS: the peer does not trust our certificate"]


def test_a_server_with_a_certificate_of_its_own_is_refused_if_there_is_a_ca(
    loop: SelectorLoop, authority: Authority
) -> None:
    client, _ = joined(Wire(loop), client_contexts("", "", authority.ca_file, now=loop.now))
    [text] = client.failed
    assert text.startswith("TLS: the certificate of frp.test is refused: self")
    assert text.endswith("; check tls_trusted_ca_file")


@pytest.mark.parametrize("name", ["frp.test", "127.0.0.2"])
def test_a_server_of_another_name_is_refused(
    loop: SelectorLoop, authority: Authority, name: str
) -> None:
    client, server = joined(
        Wire(loop),
        client_contexts("", "", authority.ca_file, now=loop.now),
        server_contexts(*authority.issue("other.test", "127.0.0.1"), "", now=loop.now),
        name,
    )
    [text] = client.failed
    assert text.startswith(f"TLS: the certificate of {name} is refused: ")
    assert "mismatch" in text
    assert text.endswith("; set tls_server_name")
    assert server.failed == ["TLS: the peer refuses our certificate"]


def test_an_expired_server_is_refused(loop: SelectorLoop, authority: Authority) -> None:
    client, server = joined(
        Wire(loop),
        client_contexts("", "", authority.ca_file, now=loop.now),
        server_contexts(*authority.issue("frp.test", days=-1), "", now=loop.now),
    )
    [text] = client.failed
    assert text == (
        "TLS: the certificate of frp.test is refused: certificate has expired;"
        " it has to be renewed, unless a clock is wrong"
    )
    assert server.failed == ["TLS: the peer says that our certificate has expired"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_without_a_certificate_is_refused(
    loop: SelectorLoop, authority: Authority, version: ssl.TLSVersion
) -> None:
    wire = Wire(loop)
    client, server = joined(
        wire,
        Fixed(client_contexts("", "", "", now=loop.now), version),
        server_contexts(*authority.issue("frp.test"), authority.ca_file, now=loop.now),
    )
    assert server.failed == [
        "TLS: the peer sent no certificate, and tls_trusted_ca_file demands one"
    ]
    if version is ssl.TLSVersion.TLSv1_2:
        assert client.failed == ["TLS: the peer refuses the handshake; it may demand a certificate"]
        return
    # In 1.3 the client's handshake is over before the server has looked.
    user = Duplex(client.endpoint)
    wire.until(lambda: user.end)
    assert user.end == "TLS: the peer demands a certificate: set tls_cert_file and tls_key_file"


def test_a_client_of_another_ca_is_refused(
    loop: SelectorLoop, authority: Authority, stranger: Authority
) -> None:
    wire = Wire(loop)
    client, server = joined(
        wire,
        client_contexts(*stranger.issue("a client"), "", now=loop.now),
        server_contexts(*authority.issue("frp.test"), authority.ca_file, now=loop.now),
    )
    [text] = server.failed
    assert text == (
        "TLS: the peer's certificate is refused: unable to get local issuer certificate"
        " (by tls_trusted_ca_file)"
    )
    user = Duplex(client.endpoint)
    wire.until(lambda: user.end)
    assert user.end == "TLS: the peer does not trust our certificate"


@pytest.mark.parametrize("is_client", [True, False])
def test_a_peer_that_speaks_something_else_is_told_apart(
    loop: SelectorLoop, is_client: bool
) -> None:
    wire = Wire(loop)
    side = (
        Side(wire.near, ANY_CLIENT, name="frp.test")
        if is_client
        else Side(wire.near, ANY_SERVER, name=None)
    )
    run(loop, 3)
    wire.near.say(b"GET / HTTP/1.1\r\nHost: frp.test\r\n\r\n")
    run(loop)
    assert side.failed == ["TLS: the peer does not speak TLS here"]
    assert wire.near.acts == ["close"]


def test_a_peer_that_leaves_during_the_handshake_is_told(loop: SelectorLoop) -> None:
    for leave, text in (
        (ScriptedEndpoint.end, "TLS: the peer closed during the handshake; a hint"),
        (ScriptedEndpoint.reset, "TLS: connection reset by peer during the handshake; a hint"),
    ):
        inner = ScriptedEndpoint(loop)
        side = Side(inner, ANY_CLIENT, name="frp.test")
        run(loop, 3)
        leave(inner)
        run(loop)
        assert side.failed == [text]
        assert inner.acts == ["close"]


def test_a_cancelled_handshake_tells_nobody(loop: SelectorLoop) -> None:
    inner = ScriptedEndpoint(loop)
    side = Side(inner, ANY_CLIENT, name="frp.test")
    run(loop, 3)
    for _ in range(2):
        side.shake.cancel()
    inner.end()
    run(loop)
    assert not side.is_over
    assert inner.acts == ["abort"]


# Handshakes that wait for their turns.


def test_handshakes_in_a_queue_are_made_in_turns(loop: SelectorLoop) -> None:
    queue = HandshakeQueue(loop)
    wires = [Wire(loop) for _ in range(3)]
    clients = [Side(wire.near, ANY_CLIENT, name="frp.test") for wire in wires]
    servers = [Side(wire.far, ANY_SERVER, name=None, queue=queue) for wire in wires]
    run(loop, 3)
    for wire in wires:
        wire.move()
    for answered in (0, 1, 2, 3):  # they are read in the first turn
        loop.run_turn()
        assert sum(bool(wire.far.got) for wire in wires) == answered
    for _ in range(20):
        for wire in wires:
            wire.move()
        loop.run_turn()
    far, near = Duplex(servers[2].endpoint), Duplex(clients[2].endpoint, b"served", shut=True)
    wires[2].until(lambda: far.end)
    assert (far.got, near.end) == (b"served", "")


def test_who_is_cancelled_in_the_queue_has_no_turn(loop: SelectorLoop) -> None:
    wire = Wire(loop)
    Side(wire.near, ANY_CLIENT, name="frp.test")
    server = Side(wire.far, ANY_SERVER, name=None, queue=HandshakeQueue(loop))
    run(loop)
    wire.move()
    loop.run_turn()
    server.shake.cancel()
    run(loop)
    assert (server.is_over, wire.far.acts, wire.far.got) == (False, ["abort"], b"")


def test_a_bug_in_the_queue_fails_that_handshake(
    loop: SelectorLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(loop)
    Side(wire.near, ANY_CLIENT, name="frp.test")
    server = Side(wire.far, ANY_SERVER, name=None, queue=HandshakeQueue(loop))
    run(loop)
    wire.move()
    monkeypatch.setattr(TlsHandshake, "_shake", lambda self: 1 // 0)
    run(loop)
    assert server.failed == ["TLS: internal error, see the log"]


def test_a_name_that_cannot_be_sent_is_told(loop: SelectorLoop) -> None:
    for name in (".frp.test", "x" * 70 + ".test", ""):
        side = Side(ScriptedEndpoint(loop), ANY_CLIENT, name=name)
        run(loop)
        [text] = side.failed
        assert text.startswith(f"TLS: tls_server_name {name!r}: ")


def test_certificates_that_cannot_be_had_fail_the_connection(loop: SelectorLoop) -> None:
    class Broken:
        def current(self) -> ssl.SSLContext:
            raise ConfigError("cannot read /gone: no such file", key="tls_cert_file")

    side = Side(ScriptedEndpoint(loop), Broken(), name="frp.test")
    run(loop)
    assert side.failed == ["TLS: tls_cert_file: cannot read /gone: no such file"]


def test_a_bug_during_the_handshake_fails_it(
    loop: SelectorLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = ScriptedEndpoint(loop)
    side = Side(inner, ANY_CLIENT, name="frp.test")

    def fail(self: TlsHandshake) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(TlsHandshake, "_shake", fail)
    run(loop)
    assert side.failed == ["TLS: internal error, see the log"]
    assert inner.acts == ["abort"]


def test_a_bug_in_whoever_hears_of_a_failure_is_not_told_again(loop: SelectorLoop) -> None:
    inner = ScriptedEndpoint(loop)
    heard: list[TransportError] = []

    def fail(error: TransportError) -> None:
        heard.append(error)
        raise ZeroDivisionError

    TlsHandshake(inner, ANY_SERVER, server_side=True, on_ready=lambda _: None, on_failed=fail)
    inner.end()
    run(loop)
    assert len(heard) == 1
    assert isinstance(inner.error, ZeroDivisionError)


def test_rubbish_behind_the_last_flight_fails_the_handshake(loop: SelectorLoop) -> None:
    wire = Wire(loop)
    contexts = Fixed(client_contexts("", "", "", now=loop.now), ssl.TLSVersion.TLSv1_2)
    client = Side(wire.near, contexts, name="frp.test")
    server = Side(wire.far, ANY_SERVER, name=None)
    wire.until(lambda: server.is_over)
    assert not client.is_over
    wire.move(b"\x17\x03\x03\x00\x20" + bytes(32))
    run(loop)
    [text] = client.failed
    assert "mac" in text
    assert wire.near.acts == ["close"]


# Ends.


def established(wire: Wire) -> tuple[Endpoint, Endpoint]:
    client, server = joined(wire)
    return client.endpoint, server.endpoint


def test_half_a_close_travels(loop: SelectorLoop) -> None:
    wire = Wire(loop)
    client, server = established(wire)
    near, far = Duplex(client, b"question", shut=True), Duplex(server)
    wire.until(lambda: far.end)
    assert (far.got, far.end, near.end) == (b"question", "eof", "")
    far.send(b"answer")
    wire.until(lambda: near.got)
    assert near.got == b"answer"
    server.close()
    wire.until(lambda: near.end)
    assert near.end == "eof"
    assert (wire.near.acts, wire.far.acts) == ([], ["close"])


def test_an_end_with_records_still_coming_is_an_end(loop: SelectorLoop) -> None:
    """OpenSSL must not see them while it is told to end our direction."""
    wire = Wire(loop, 50)
    client, server = established(wire)
    near, far = Duplex(client), Duplex(server, PAYLOAD[:40_000], shut=True)
    wire.until(lambda: 0 < len(near.got) < 40_000)
    client.shutdown_write()
    wire.until(lambda: near.end and far.end)
    assert (near.got, near.end, far.end) == (PAYLOAD[:40_000], "eof", "eof")


def test_a_cut_is_a_loss(loop: SelectorLoop) -> None:
    wire = Wire(loop)
    client, server = established(wire)
    near = Duplex(client)
    server.write(b"not all of it")
    wire.until(lambda: near.got)
    wire.near.end()
    run(loop)
    assert (near.got, near.end) == (b"not all of it", "TLS: the connection was cut")


def test_a_damaged_record_is_a_loss_and_the_peer_is_told(loop: SelectorLoop) -> None:
    wire = Wire(loop)
    client, server = established(wire)
    near, far = Duplex(client), Duplex(server)
    wire.near.say(b"\x17\x03\x03\x00\x20" + bytes(32))
    wire.until(lambda: near.end and far.end)
    assert near.end.startswith("TLS: ")
    assert far.end.startswith("TLS: ")
    assert "mac" in near.end + far.end
    with pytest.raises(ConnectionLost, match="TLS: "):
        client.write(b"x")
    wire.near.say(b"more")
    with pytest.raises(ConnectionLost, match="TLS: "):
        client.read(10)


def test_answers_that_nobody_reads_are_bounded() -> None:
    outgoing = ssl.MemoryBIO()
    incoming = ssl.MemoryBIO()
    records = TlsRecords(ANY_CLIENT.current().wrap_bio(incoming, outgoing), incoming, outgoing)
    assert records.decode(b"") == b""
    outgoing.write(bytes(MAX_ANSWER_BYTES))
    with pytest.raises(RemoteProtocolError, match="asks for answers and does not read them"):
        records.decode(b"")


def test_an_unknown_reason_is_told_in_openssl_s_words() -> None:
    error = ssl.SSLError(1, "something odd")
    error.reason = "SOMETHING_ODD"
    assert explain(error) == "TLS: something odd"


# Much.


def test_megabytes_pass_both_ways(loop: SelectorLoop, make_tcp: MakeTcp) -> None:
    near_sock, far_sock = make_tcp()
    far_sock.setblocking(False)
    client = Side(SocketStream(loop, near_sock, ("far", 1)), ANY_CLIENT, name="frp.test")
    server = Side(SocketStream(loop, far_sock, ("near", 1)), ANY_SERVER, name=None)
    run_until(loop, lambda: client.is_over and server.is_over)
    ends = [Duplex(side.endpoint, PAYLOAD, shut=True) for side in (client, server)]
    run_until(loop, lambda: all(end.end for end in ends))
    for end in ends:
        assert end.end == "eof"
        assert hashlib.sha256(end.got).digest() == hashlib.sha256(PAYLOAD).digest()
        end.endpoint.close()


def test_a_slow_reader_stops_the_writer(loop: SelectorLoop, make_tcp: MakeTcp) -> None:
    near_sock, far_sock = make_tcp()
    near_sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
    far_sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 256 * 1024)
    far_sock.setblocking(False)
    client = Side(SocketStream(loop, near_sock, ("far", 1)), ANY_CLIENT, name="frp.test")
    server = Side(SocketStream(loop, far_sock, ("near", 1)), ANY_SERVER, name=None)
    run_until(loop, lambda: client.is_over and server.is_over)
    reader = Duplex(client.endpoint, reads=False)
    writer = Duplex(server.endpoint, PAYLOAD, shut=True)
    run_until(loop, lambda: writer.blocked)
    for _ in range(20):
        loop.run_turn(0.001)
    assert not writer.is_sent
    assert server.endpoint.room() == 0
    reader.resume()
    run_until(loop, lambda: reader.end)
    assert hashlib.sha256(reader.got).digest() == hashlib.sha256(PAYLOAD).digest()
    for end in (reader, writer):
        end.endpoint.close()
