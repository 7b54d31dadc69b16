"""Scripted peers on real sockets: bytes, yamux streams and frp messages, served by a World."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from frpd.auth.token import privilege_key
from frpd.clock import unix_now
from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.message.codec import MessageDecoder, encode_message
from frpd.proto.message.types import (
    Login,
    LoginResp,
    Message,
    NewProxy,
    NewProxyResp,
    NewVisitorConn,
    NewVisitorConnResp,
    NewWorkConn,
    StartWorkConn,
)
from frpd.proto.wrappers import CipherCodec
from frpd.proto.yamux.events import Data, StreamEnded, StreamOpened, StreamReset
from frpd.proto.yamux.session import YamuxSession
from tests.helpers.world import World

AnyMessage = TypeVar("AnyMessage", bound=Message)
TOKEN = "s3cr3t-Token_7"


class PeerStream(Protocol):
    """What a Talker talks over."""

    received: bytearray
    end: str

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    def reset(self) -> None: ...


class Wire:
    """A TCP connection of the test's: what came is in ``received``, how it ended in ``end``."""

    def __init__(self, world: World, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._adapt(sock)
        self.sock = sock
        self.received = bytearray()
        self.heard_bytes = 0
        self.end = ""  # "eof" or "reset"
        self.reads = True
        self._unsent = bytearray()
        self._world = world
        world.peers.append(self)
        world.stack.callback(sock.close)

    @classmethod
    def to(cls, world: World, port: int, *, receive_buffer: int = 0) -> Wire:
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(10)
        try:
            sock.connect(("127.0.0.1", port))
        except OSError:
            sock.close()
            raise
        return cls(world, sock)

    def _adapt(self, sock: socket.socket) -> None:
        # Our clock runs ahead of the kernel's: nothing may wait for its timers.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.sock.getsockname()
        return host, port

    def write(self, data: bytes) -> None:
        self._unsent += data
        self.pump()

    def pump(self) -> None:
        if self.sock.fileno() < 0:
            return
        try:
            with suppress(BlockingIOError):
                while self._unsent:
                    del self._unsent[: self.sock.send(self._unsent)]
            with suppress(BlockingIOError):
                while self.reads and not self.end:
                    data = self.sock.recv(65536)
                    self.received += data
                    self.heard_bytes += len(data)
                    if not data:
                        self.end = "eof"
        except (ConnectionResetError, BrokenPipeError):
            self._unsent.clear()
            self.end = "reset"

    def shutdown(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        if self in self._world.peers:
            self._world.peers.remove(self)
        self.sock.close()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


class MuxPeer:
    """The far end of a multiplexed connection."""

    def __init__(self, world: World, wire: Wire, *, is_client: bool) -> None:
        self.wire = wire
        self.session = YamuxSession(
            is_client=is_client, now=world.loop.now(), keepalive_seconds=None
        )
        self.streams: dict[int, MuxPeerStream] = {}
        self.accepted: list[MuxPeerStream] = []
        self.answers = True  # whether our frames are sent
        self._world = world
        world.peers.append(self)

    def open(self) -> MuxPeerStream:
        stream_id = self.session.open_stream(self._world.loop.now())
        stream = self.streams[stream_id] = MuxPeerStream(self, stream_id)
        self.pump()
        return stream

    def pump(self) -> None:
        self.wire.pump()
        if self.wire.end and not self.wire.received:
            self.session.receive_eof()
        if self.wire.received:
            data = bytes(self.wire.received)
            self.wire.received.clear()
            self.session.receive_data(data, self._world.loop.now())
        for event in self.session.take_events():
            if isinstance(event, StreamOpened):
                stream = self.streams[event.stream_id] = MuxPeerStream(self, event.stream_id)
                self.accepted.append(stream)
            elif isinstance(event, Data):
                self.streams[event.stream_id].received += event.payload
                self.session.consumed(event.stream_id, len(event.payload))
            elif isinstance(event, StreamEnded):
                self.streams[event.stream_id].end = "eof"
            elif isinstance(event, StreamReset):
                self.streams[event.stream_id].end = "reset"
        while self.answers and (segment := self.session.next_segment()) is not None:
            assert isinstance(segment, memoryview)
            self.wire.write(bytes(segment))
            self.session.segment_sent(len(segment))


class MuxPeerStream:
    """One stream of a MuxPeer."""

    def __init__(self, peer: MuxPeer, stream_id: int) -> None:
        self.received = bytearray()
        self.end = ""
        self.stream_id = stream_id
        self._peer = peer

    def write(self, data: bytes) -> None:
        taken = self._peer.session.send_data(self.stream_id, data)
        assert taken == len(data), "more than the window"
        self._peer.pump()

    def close(self) -> None:
        self._peer.session.end_stream(self.stream_id, 0.0)
        self._peer.pump()

    def reset(self) -> None:
        self._peer.session.reset_stream(self.stream_id)
        self._peer.pump()


class Talker:
    """Speaks frp messages over a stream, until a work or visitor stream turns to payload."""

    def __init__(self, world: World, stream: PeerStream, token: str = TOKEN) -> None:
        self.stream = stream
        self.inbox: list[Message] = []
        self.started = False
        self.payload = bytearray()  # what came behind StartWorkConn, or an answer to a visitor
        self._world = world
        self._token = token
        self._decoder = MessageDecoder()
        self._cipher: CipherCodec | None = None
        world.peers.append(self)

    def send(self, *messages: Message) -> None:
        self.write(b"".join(map(encode_message, messages)))

    def write(self, data: bytes) -> None:
        self.stream.write(data if self._cipher is None else self._cipher.encode(data))

    def encrypt(self) -> None:
        rest = self._decoder.take_rest()
        self._cipher = CipherCodec(derive_key(self._token), b"\7" * IV_BYTES)
        self._decoder.receive_data(self._cipher.decode(rest))

    def pump(self) -> None:
        data = bytes(self.stream.received)
        self.stream.received.clear()
        if self.started:
            self.payload += data
            return
        self._decoder.receive_data(data if self._cipher is None else self._cipher.decode(data))
        while (message := self._decoder.next_message()) is not None:
            self.inbox.append(message)
            if isinstance(message, LoginResp) and not message.error:
                self.encrypt()
            if isinstance(message, (StartWorkConn, NewVisitorConnResp)):
                self.started = True
                self.payload += self._decoder.take_rest()
                return

    def receive(self, kind: type[AnyMessage]) -> AnyMessage:
        """Run turns until a message of this kind is there, and take it out."""
        self._world.until(lambda: self.count(kind), f"a {kind.__name__}")
        found = next(message for message in self.inbox if isinstance(message, kind))
        self.inbox.remove(found)
        return found

    def count(self, kind: type[Message]) -> int:
        return sum(isinstance(message, kind) for message in self.inbox)

    def take_all(self, kind: type[AnyMessage]) -> list[AnyMessage]:
        """Let all come that is under way, and take out what is of this kind."""
        self._world.settle()
        found = [message for message in self.inbox if isinstance(message, kind)]
        self.inbox = [message for message in self.inbox if not isinstance(message, kind)]
        return found

    def until_end(self, how: str = "") -> None:
        """Run turns until the peer has ended the stream."""
        self._world.until(lambda: self.stream.end, "the end of a stream")
        assert how in ("", self.stream.end)


class ScriptedClient:
    """An frpc whose every word is the test's."""

    def __init__(
        self,
        world: World,
        port: int,
        *,
        mux: bool,
        token: str = TOKEN,
        dial: Callable[[World, int], Wire] = Wire.to,
    ) -> None:
        self.world = world
        self.token = token
        self._dial = dial
        self._port = port
        self.run_id = ""
        self.wire = dial(world, port)
        self.mux = MuxPeer(world, self.wire, is_client=True) if mux else None
        self.control = Talker(world, self.mux.open() if self.mux else self.wire, token)

    def login(self, **fields: Any) -> LoginResp:
        """Send Login and return the answer."""
        self.control.send(login_message(self.token, **fields))
        answer = self.control.receive(LoginResp)
        self.run_id = answer.run_id
        return answer

    def new_stream(self) -> PeerStream:
        return self.mux.open() if self.mux else self._dial(self.world, self._port)

    def work(self, run_id: str | None = None, **fields: Any) -> Talker:
        """Bring a work connection."""
        talker = Talker(self.world, self.new_stream(), self.token)
        hello = NewWorkConn(run_id=self.run_id if run_id is None else run_id)
        for name, value in fields.items():
            setattr(hello, name, value)
        talker.send(hello)
        return talker

    def new_proxy(self, name: str, port: int, kind: str = "tcp", **fields: Any) -> NewProxyResp:
        """Ask for a proxy and return the answer."""
        request = NewProxy(proxy_name=name, proxy_type=kind, remote_port=port)
        for field, value in fields.items():
            setattr(request, field, value)
        self.control.send(request)
        return self.control.receive(NewProxyResp)

    def visit(self, name: str, sk: str = "", **fields: Any) -> Talker:
        """Ask for a secret proxy."""
        talker = Talker(self.world, self.new_stream(), self.token)
        talker.send(visitor_message(name, sk, **({"run_id": self.run_id} | fields)))
        return talker

    def close(self) -> None:
        self.wire.close()


def visitor_message(name: str, sk: str, **fields: Any) -> NewVisitorConn:
    """Return what asks for a secret proxy; frp takes any time."""
    request = NewVisitorConn(proxy_name=name, sign_key=privilege_key(sk, 1), timestamp=1)
    for field, value in fields.items():
        setattr(request, field, value)
    return request


def login_message(token: str = TOKEN, **fields: Any) -> Login:
    """Return a Login that a server with this token takes."""
    now = unix_now()
    login = Login(version="0.51.3", privilege_key=privilege_key(token, now), timestamp=now)
    for name, value in fields.items():
        setattr(login, name, value)
    return login
