"""QuicEntrance: a UDP port that clients come to by QUIC, all through one socket.

A datagram belongs to the connection whose id it names, wherever it comes from: who comes from
another address goes on once he has shown that he is there (RFC 9000, 9). One that begins a
connection is answered with a Retry, which needs no memory and is shorter than it: only who
has read that at his address costs anything. Everything else is nobody's, and changes nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from aioquic._buffer import Buffer as CoreBuffer
from aioquic.quic.packet import (
    QuicPacketType,
    QuicProtocolVersion,
    encode_quic_retry,
    encode_quic_version_negotiation,
    pull_quic_header,
)

from frpd.entropy import Entropy
from frpd.errors import ConfigError
from frpd.log import get_logger
from frpd.net.address import SockAddr
from frpd.net.certificates import ReloadingContext
from frpd.net.endpoint import Buffer
from frpd.selector_loop import SelectorLoop
from frpd.server.datagram_entrance import DatagramEntrance, TurnsAway, address_asked
from frpd.transports.link import MakeLink, OnStream, StreamLink
from frpd.transports.quic import DEFAULT_IDLE_SECONDS, DEFAULT_STREAMS
from frpd.transports.quic_connection import (
    ID_BYTES,
    BoundedConnection,
    TlsMaterial,
    make_configuration,
)
from frpd.transports.quic_retry import TOKEN_KEY_BYTES, RetryTokens
from frpd.transports.quic_session import QuicSession
from frpd.transports.quic_tls import server_material
from frpd.transports.quic_tunnel import MIN_INITIAL_BYTES
from frpd.transports.way import QuicSettings
from frpd.udp.datagram_socket import NO_ANCILLARY, Ancillary, DatagramSocket, answer_via

if TYPE_CHECKING:
    from aioquic.quic.packet import QuicHeader

    from frpd.server.quic_port import Welcome

DATAGRAMS_PER_TURN: Final = 64
"""Each takes about 60 us."""
VERSIONS: Final = [int(QuicProtocolVersion.VERSION_1), int(QuicProtocolVersion.VERSION_2)]

_LONG_HEADER: Final = 0x80

_log = get_logger("frpd.server.quic_entrance")


class QuicEntrance(DatagramEntrance):
    """One port. Loop thread only.

    Args:
        loop: the loop.
        sock: bound; owned from now on.
        entropy: for what strangers cannot guess.
        welcome: takes each connection when its handshake begins; it holds them to time and
            number.
        turns_away: tells who may not begin.
        asked: tells the files of the certificates, and the settings, for each newcomer.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        sock: socket.socket,
        entropy: Entropy,
        welcome: Welcome,
        *,
        turns_away: TurnsAway,
        asked: Callable[[], tuple[tuple[str, str, str], QuicSettings]],
    ) -> None:
        super().__init__(loop, sock, turns_away)
        self._entropy = entropy
        self._welcome = welcome
        self._asked = asked
        self._files: tuple[str, str, str] | None = None
        self._material: ReloadingContext[TlsMaterial] | None = None
        self._tokens = RetryTokens(entropy.token_bytes(TOKEN_KEY_BYTES))
        self._by_id: dict[bytes, _SharedWire] = {}
        self._wires: set[_SharedWire] = set()

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._wires)

    def _is_in_use(self) -> bool:
        return bool(self._wires)

    def _drop_all(self) -> None:
        for wire in list(self._wires):
            if wire.session is not None:
                wire.session.abort("")

    # What comes.

    def _readable(self) -> None:
        sock = self._socket
        touched: dict[QuicSession, None] = {}
        for _ in range(DATAGRAMS_PER_TURN):
            received = sock.receive_from()
            if received is None:
                break
            size, ancillary, _, sender = received
            if not size:
                continue
            wire = self._owner(sock.scratch[:size], sender, ancillary)
            if wire is not None and wire.session is not None:
                wire.via = answer_via(ancillary)
                wire.session.receive(sock.scratch[:size], sender)
                touched[wire.session] = None
        for session in touched:
            session.serve()

    def _owner(
        self, datagram: memoryview, sender: SockAddr, ancillary: Ancillary
    ) -> _SharedWire | None:
        """Return whose this is, a new one's if it begins a connection."""
        if not datagram[0] & _LONG_HEADER:
            return self._by_id.get(bytes(datagram[1 : 1 + ID_BYTES]))
        try:
            header = pull_quic_header(CoreBuffer(data=bytes(datagram)), host_cid_length=ID_BYTES)
        except ValueError:
            return None
        wire = self._by_id.get(header.destination_cid)
        if wire is not None or len(datagram) < MIN_INITIAL_BYTES or not self._takes(sender):
            return wire
        return self._knock(header, sender, answer_via(ancillary))

    def _knock(self, header: QuicHeader, sender: SockAddr, via: Ancillary) -> _SharedWire | None:
        """Begin a connection, if who knocks has shown that he is where he says."""
        if header.packet_type is QuicPacketType.VERSION_NEGOTIATION or header.version is None:
            return None
        if header.version not in VERSIONS:
            answer = encode_quic_version_negotiation(
                source_cid=header.destination_cid,
                destination_cid=header.source_cid,
                supported_versions=VERSIONS,
            )
            self._socket.send([answer], sender, via)
            return None
        if header.packet_type is not QuicPacketType.INITIAL:
            return None
        now = self._loop.now()
        original_id = self._tokens.read(header.token, sender, header.destination_cid, now)
        if original_id is not None:
            return self._begin(header.destination_cid, original_id, sender, via)
        retry_id = self._entropy.token_bytes(ID_BYTES)
        token = self._tokens.make(header.destination_cid, sender, retry_id, now)
        answer = encode_quic_retry(
            version=header.version,
            source_cid=retry_id,
            destination_cid=header.source_cid,
            original_destination_cid=header.destination_cid,
            retry_token=token,
        )
        self._socket.send([answer], sender, via)
        return None

    def _begin(
        self, retry_id: bytes, original_id: bytes, sender: SockAddr, via: Ancillary
    ) -> _SharedWire | None:
        files, settings = self._asked()
        try:
            material = self._current(files)
        except ConfigError as error:
            _log.error("no client can be served by QUIC: %s", error)
            return None
        connection = BoundedConnection(
            make_configuration(
                material,
                is_client=False,
                idle_seconds=settings.idle_seconds or DEFAULT_IDLE_SECONDS,
            ),
            original_id=original_id,
            retry_id=retry_id,
            client_ca=material.trusted_ca,
        )
        wire = _SharedWire(self, self._socket, via)
        session = QuicSession(
            self._loop,
            connection,
            wire,
            sender,
            on_stream=lambda stream: stream.abort(),
            on_lost=lambda _reason: None,
            keepalive_seconds=settings.keepalive_seconds,
            max_streams=settings.max_streams or DEFAULT_STREAMS,
        )
        wire.session = session
        self._wires.add(wire)
        for one in (retry_id, connection.host_cid):
            wire.id_issued(one)
        try:
            self._welcome(session, _hand_over(session))
        except MemoryError:
            raise  # see SelectorLoop
        except Exception:
            _log.exception("accepting %s failed", session.describe())
            session.abort("")
        return wire

    def _current(self, files: tuple[str, str, str]) -> TlsMaterial:
        """Return what we show, read again when one of the files has changed.

        Raises:
            ConfigError: the files cannot be used.
        """
        if self._material is None or files != self._files:
            self._material = ReloadingContext(
                lambda: server_material(*files),
                tuple(path for path in files if path),
                now=self._loop.now,
            )
            self._files = files
        return self._material.current()

    # Of the wires.

    def claim(self, connection_id: bytes, wire: _SharedWire) -> None:
        """Datagrams to this id are of that wire."""
        self._by_id[connection_id] = wire

    def drop(self, connection_id: bytes) -> None:
        """They are nobody's any more."""
        self._by_id.pop(connection_id, None)

    def forget(self, wire: _SharedWire) -> None:
        """A connection is over."""
        self._wires.discard(wire)
        self._close_if_idle()


class _SharedWire:
    """A QuicWire: one connection's part of an entrance's socket."""

    __slots__ = ("_entrance", "_ids", "_socket", "session", "via")

    def __init__(self, entrance: QuicEntrance, sock: DatagramSocket, via: Ancillary) -> None:
        self.session: QuicSession | None = None
        self.via = via
        self._entrance = entrance
        self._socket = sock
        self._ids: set[bytes] = set()

    def send(self, datagrams: Sequence[Buffer], peer: SockAddr) -> None:
        """See QuicWire.send."""
        self._socket.send(datagrams, peer, self.via)

    def local_address(self) -> SockAddr:
        """See QuicWire.local_address: the one that the peer has asked, of several."""
        return address_asked(self._socket, self.via)

    def id_issued(self, connection_id: bytes) -> None:
        """See QuicWire.id_issued."""
        self._ids.add(connection_id)
        self._entrance.claim(connection_id, self)

    def id_retired(self, connection_id: bytes) -> None:
        """See QuicWire.id_retired."""
        self._ids.discard(connection_id)
        self._entrance.drop(connection_id)

    def release(self) -> None:
        """See QuicWire.release."""
        for connection_id in self._ids:
            self._entrance.drop(connection_id)
        self._ids.clear()
        self.via = NO_ANCILLARY
        self._entrance.forget(self)


def _hand_over(session: QuicSession) -> MakeLink:
    """Return how a Connection takes a session over: what it opens and its end go there."""

    def make_link(on_stream: OnStream, on_lost: Callable[[str], None]) -> StreamLink:
        session.on_stream, session.on_lost = on_stream, on_lost
        return session

    return make_link
