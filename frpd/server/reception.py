"""Reception: finds out what a new connection speaks, and hands it on.

One port may serve clients and visitors, and clients may come in TLS, in
WebSocket, or in one inside the other. The first bytes tell; none is lost. Until
it is known who comes the connection is pending, and the door may end it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from frpd.errors import ConfigError, ConnectionLost, TransportError
from frpd.log import get_logger
from frpd.net.address import host_of
from frpd.net.bearer import Bearer, BearerStream
from frpd.net.endpoint import Endpoint, Outcome
from frpd.net.pace import Pace
from frpd.net.stream import SocketStream
from frpd.proto.first_bytes import MAX_PREFIX_BYTES, Spoken, recognize
from frpd.server.door import Door, Ticket
from frpd.server.entrances import Speech
from frpd.server.guard.clients import ClientGuard
from frpd.server.guard.penalties import Offence
from frpd.transports.base import Dialing
from frpd.transports.layers import Layer
from frpd.transports.link import MakeLink

if TYPE_CHECKING:
    from frpd.server.ssh_port import SshPort

OnVisitor = Callable[[SocketStream], None]

_CLIENTS = (Speech.FRP, Speech.SSH)
_LAYERS = {Spoken.TLS: "tls", Spoken.FRP_TLS: "tls", Spoken.WEBSOCKET: "websocket"}

_log = get_logger("frpd.server.reception")


@dataclass(slots=True)
class Carried:
    """A client's connection, once it is known what frp is carried in."""

    bearer: BearerStream
    """What was accepted; it knows the addresses."""
    carrier: Endpoint
    """What frp is spoken on: the same, or the innermost layer around it."""
    layers: tuple[str, ...]
    """From the outside in; the bearer is named too unless it is TCP."""
    is_mux: bool
    """It begins as yamux does, whatever ``tcp_mux`` says here: the two cannot be confused,
    and a mismatch is the commonest mistake."""
    ticket: Ticket
    """It is pending until it leaves the door."""


@dataclass(slots=True, eq=False)
class Local:
    """A client whose frp is spoken in this very process, by the SSH gateway.

    Nothing that comes over a network makes one, or sets what is in it.
    """

    is_vouched: bool = False
    """It has shown a key that is let in: it needs no token."""
    user: str = ""
    """Whose key that was; "" if it does not say."""
    offence: Offence | None = Offence.NOAUTH
    """What it counts as if it leaves before its login."""


@dataclass(slots=True)
class CarriedStreams:
    """A client's connection whose bearer has streams of its own: there is no yamux."""

    bearer: Bearer
    make_link: MakeLink
    layers: tuple[str, ...]
    """As of Carried."""
    ticket: Ticket
    """As of Carried."""
    local: Local | None = None
    """None for every client that speaks frp itself."""


@dataclass(frozen=True, slots=True)
class Reception:
    """Who takes over which connection. Loop thread only."""

    door: Door
    guard: ClientGuard
    """Turns clients away; visitors on the same port are not its business."""
    on_client: Callable[[Carried | CarriedStreams], None]
    on_http: OnVisitor | None = None
    on_https: OnVisitor | None = None
    on_connect: OnVisitor | None = None
    ssh: SshPort | None = None
    layers: Mapping[str, Layer] = field(default_factory=dict)
    """How clients may wrap what they say, by the name of the layer: tls, websocket."""
    tls_only: bool = False
    """Refuse clients that come without TLS."""

    def welcome(self, stream: SocketStream, speech: Speech) -> None:
        """Take a connection that was just accepted on a port where this is spoken."""
        if speech is Speech.HTTP and self.on_http is not None:
            self.on_http(stream)
        elif speech is Speech.HTTPS and self.on_https is not None:
            self.on_https(stream)
        elif speech is Speech.CONNECT and self.on_connect is not None:
            self.on_connect(stream)
        elif speech in _CLIENTS and self.guard.turns_away(host_of(stream.peer)):
            self.turn_away(stream, speech)
        elif speech is Speech.SSH and self.ssh is not None:
            self.ssh.welcome(stream)
        else:
            _Newcomer(self, stream, speech)

    def pace(self, speech: Speech) -> Pace:
        """Return what newcomers are taken at where this is spoken."""
        return self.ssh.pace if speech is Speech.SSH and self.ssh is not None else self.door.pace

    def turn_away(self, stream: BearerStream, speech: Speech = Speech.FRP) -> None:
        """Drop a client that is not taken: without a word to it, or to the log."""
        self.pace(speech).give_back()
        stream.abort()

    def welcome_client(self, stream: BearerStream) -> None:
        """Take a connection that no visitor can have made: it has not come by TCP."""
        _Newcomer(self, stream, Speech.FRP)

    def welcome_link(self, bearer: Bearer, make_link: MakeLink) -> None:
        """Take a client whose bearer has streams, and a wrapping, of its own."""
        ticket = self.door.admit(host_of(bearer.peer), lambda _reason: None)
        self.on_client(CarriedStreams(bearer, make_link, (bearer.carrier,), ticket))


class _Newcomer:
    """One connection that has not told yet what it speaks."""

    __slots__ = ("_carrier", "_door", "_handshake", "_heard", "_layers", "_reception", "_speech",
                 "_stream", "_ticket")  # fmt: skip

    def __init__(self, reception: Reception, stream: BearerStream, speech: Speech) -> None:
        self._reception = reception
        self._door = reception.door
        self._stream = stream
        self._carrier: Endpoint = stream
        self._speech = speech
        self._layers: tuple[str, ...] = ()
        self._heard = b""
        self._handshake: Dialing | None = None
        self._ticket = self._door.admit(host_of(stream.peer), self._refused)
        stream.on_failure = self._gone
        stream.watch(self._listen, None)

    def _listen(self) -> None:
        try:
            data = self._carrier.read(MAX_PREFIX_BYTES)
        except ConnectionLost as error:
            _log.debug("%s: connection lost before login: %s", self._stream.describe(), error)
            self._left()
            return
        if isinstance(data, Outcome):
            if data is Outcome.EOF:
                self._left()
            return
        self._heard += bytes(data)
        spoken = recognize(self._heard, http=bool(self._visitors & Speech.HTTP))
        if spoken is not None:
            self._carrier.watch(None, None)
            self._hand_on(spoken)

    @property
    def _visitors(self) -> Speech:
        """Which visitors it may be: never inside a layer."""
        return Speech(0) if self._layers else self._speech & ~Speech.FRP

    @property
    def _is_client(self) -> bool:
        """Whether it can be nothing else."""
        return bool(self._layers) or self._speech is Speech.FRP

    def _hand_on(self, spoken: Spoken) -> None:
        reception = self._reception
        if spoken is Spoken.TLS and Speech.HTTPS in self._visitors:
            self._to_visitors(reception.on_https)
        elif Speech.FRP not in self._speech or (
            spoken is Spoken.HTTP and Speech.HTTP in self._visitors
        ):
            self._to_visitors(reception.on_http)
        elif not self._is_client and reception.guard.turns_away(host_of(self._stream.peer)):
            self._door.leave(self._ticket)
            reception.turn_away(self._stream)
        elif spoken in _LAYERS and _LAYERS[spoken] not in self._layers:
            self._begin_layer(spoken)
        elif reception.tls_only and "tls" not in self._layers:
            reason = "this server takes TLS only (tls_only): set tls_enable = true in frpc.ini"
            self._refuse(reason, Offence.NOAUTH)
        else:
            self._to_clients(is_mux=spoken is Spoken.YAMUX)

    def _to_visitors(self, on_visitor: OnVisitor | None) -> None:
        self._door.prove(self._ticket)
        if on_visitor is None or not isinstance(self._stream, SocketStream):
            self._stream.abort()
            return
        self._stream.on_failure = None
        self._stream.unread(self._heard)
        on_visitor(self._stream)

    def _to_clients(self, *, is_mux: bool) -> None:
        self._carrier.on_failure = None
        self._carrier.unread(self._heard)
        named = () if self._stream.carrier == "tcp" else (self._stream.carrier,)
        self._reception.on_client(
            Carried(self._stream, self._carrier, named + self._layers, is_mux, self._ticket)
        )

    def _begin_layer(self, spoken: Spoken) -> None:
        name = _LAYERS[spoken]
        layer = self._reception.layers.get(name)
        if layer is None:
            self._refuse(f"{name} is not served here", Offence.NOAUTH)
            return
        # The byte that only announces TLS is no part of it.
        self._carrier.unread(self._heard[1:] if spoken is Spoken.FRP_TLS else self._heard)
        self._heard = b""
        self._layers += (name,)
        self._handshake = layer.begin(self._carrier, self._layer_ready, self._layer_failed)

    def _layer_ready(self, endpoint: Endpoint) -> None:
        self._handshake = None
        self._carrier = endpoint
        endpoint.on_failure = self._gone
        endpoint.watch(self._listen, None)

    def _layer_failed(self, error: TransportError) -> None:
        self._handshake = None
        self._refuse(str(error), _offence_of(error))

    def _refuse(self, reason: str, offence: Offence | None) -> None:
        self._door.leave(self._ticket)
        self._accuse(offence)
        self._refused(reason)

    def _accuse(self, offence: Offence | None) -> None:
        if offence is not None and self._is_client:
            guard, host = self._reception.guard, host_of(self._stream.peer)
            self._stream.when_proven(lambda: guard.accuse(host, offence))

    def _refused(self, reason: str) -> None:
        if self._ticket.is_late:
            self._accuse(Offence.GRACE_EXCEEDED)
        peer = self._stream.describe()
        self._stream.when_proven(
            lambda: _log.warning("%s: connection closed before login: %s", peer, reason)
        )
        if self._handshake is not None:
            self._handshake.cancel()
        self._carrier.abort()

    def _left(self) -> None:
        self._accuse(Offence.NOAUTH)
        self._gone()

    def _gone(self) -> None:
        self._door.leave(self._ticket)
        self._carrier.close()


def _offence_of(error: TransportError) -> Offence | None:
    """Return what a handshake that failed is held to be."""
    if error.__cause__ is None:
        return Offence.NOAUTH
    return None if isinstance(error.__cause__, ConfigError) else Offence.PROTOCOL
