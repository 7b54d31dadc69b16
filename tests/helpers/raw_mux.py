"""A yamux peer whose every frame is the test's, and frp's control stream on it."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.message.codec import MessageDecoder, encode_message
from frpd.proto.wrappers import CipherCodec
from frpd.proto.yamux.frames import ACK, DATA, HEADER, HEADER_BYTES, PING, SYN, pack_header
from tests.helpers.programs import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from frpd.proto.message.types import Message

AnyMessage = TypeVar("AnyMessage", bound="Message")


class Frame(NamedTuple):
    """One frame without its payload."""

    kind: int
    flags: int
    stream: int
    value: int


class RawMux:
    """One end of a yamux connection that answers nothing by itself.

    Args:
        sock: connected; closed by close().

    Attributes:
        frames: all that came, in order.
        received: payload by stream.
        end: how the connection ended: "" while it lives, "eof" or "reset".
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.frames: list[Frame] = []
        self.received: dict[int, bytearray] = {}
        self.end = ""
        self._buffer = bytearray()
        self._pings = 0

    def close(self) -> None:
        self.sock.close()

    def send(self, *parts: bytes) -> None:
        """Write this; who has gone already is no failure of the script."""
        with suppress(ConnectionError):
            self.sock.sendall(b"".join(parts))

    def send_data(self, stream: int, data: bytes, flags: int = 0) -> None:
        self.send(pack_header(DATA, flags, stream, len(data)), data)

    def settle(self) -> None:
        """Wait until the peer has dealt with all that was sent: it answers a ping, or is gone."""
        self._pings += 1
        answer = Frame(PING, ACK, 0, 0xBEEF_0000 + self._pings)
        self.send(pack_header(PING, SYN, 0, answer.value))
        self.until(lambda: answer in self.frames or bool(self.end))

    def until(self, probe: Callable[[], bool]) -> None:
        """Read until the probe holds; the socket's time-out is the test's."""
        while not probe():
            assert not self.end, f"the connection is over ({self.end}) after {self.frames[-5:]}"
            self._read()

    def data(self, stream: int) -> bytes:
        return bytes(self.received.get(stream, b""))

    def of(self, stream: int) -> list[Frame]:
        """Return the frames of a stream."""
        return [frame for frame in self.frames if frame.stream == stream]

    def _read(self) -> None:
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            self.end = "reset"
            return
        if not data:
            self.end = "eof"
        self._buffer += data
        while len(self._buffer) >= HEADER_BYTES:
            frame = Frame(*HEADER.unpack_from(self._buffer))
            size = HEADER_BYTES + (frame.value if frame.kind == DATA else 0)
            if len(self._buffer) < size:
                return
            self.frames.append(frame)
            if frame.kind == DATA:
                self.received.setdefault(frame.stream, bytearray())
                self.received[frame.stream] += self._buffer[HEADER_BYTES:size]
            del self._buffer[:size]


class RawControl:
    """Messages of frp on one stream of a RawMux, in clear until encrypt().

    Args:
        mux: carries them.
        stream: of it.
    """

    def __init__(self, mux: RawMux, stream: int) -> None:
        self._mux = mux
        self._stream = stream
        self._taken = 0
        self._decoder = MessageDecoder()
        self._cipher: CipherCodec | None = None
        self._inbox: list[Message] = []

    def send(self, message: Message) -> None:
        data = encode_message(message)
        self._mux.send_data(self._stream, self._cipher.encode(data) if self._cipher else data)

    def encrypt(self, token: str) -> None:
        """Go on in frp's cipher, from the next byte in either direction."""
        rest = self._decoder.take_rest()
        self._cipher = CipherCodec(derive_key(token), b"\7" * IV_BYTES)
        self._decoder.receive_data(self._cipher.decode(rest))

    def receive(self, kind: type[AnyMessage]) -> AnyMessage:
        """Return the next message of this kind; others before it are kept."""
        while True:
            for message in self._inbox:
                if isinstance(message, kind):
                    self._inbox.remove(message)
                    return message
            self._take()

    def _take(self) -> None:
        before = len(self._mux.data(self._stream))
        if before == self._taken:
            self._mux.until(lambda: len(self._mux.data(self._stream)) > before)
        data = self._mux.data(self._stream)[self._taken :]
        self._taken += len(data)
        self._decoder.receive_data(self._cipher.decode(data) if self._cipher else data)
        while (message := self._decoder.next_message()) is not None:
            self._inbox.append(message)
            if self._cipher is None:
                return  # what follows may be encrypted
