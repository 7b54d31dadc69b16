"""MessageStream: frp's messages over any endpoint, clear or encrypted.

Every frp stream begins as one. A control stream stays one and switches its
cipher on after login; a work or visitor stream gives its endpoint up to a
relay after the first message or two.
"""

from __future__ import annotations

from collections.abc import Callable

from frpd.errors import (
    ConnectionLost,
    FrpError,
    LimitError,
    LocalProtocolError,
    RemoteProtocolError,
)
from frpd.net.endpoint import Buffer, Endpoint, Outcome
from frpd.proto.message.codec import MessageDecoder, encode_message
from frpd.proto.message.types import Message
from frpd.proto.seal import SealedControl
from frpd.proto.wrappers import StreamCodec
from frpd.selector_loop import SelectorLoop, Timer

# A peer that reads nothing gets at most this much queued; then it is cut off.
MAX_OUTBOX_BYTES = 1024 * 1024
READ_BYTES = 16 * 1024
# How long close() waits for a peer that does not read.
CLOSE_SECONDS = 10.0

OnMessage = Callable[[Message], None]
OnEnd = Callable[[FrpError | None], None]


class MessageStream:
    """Sends and receives messages until it ends or is detached. Loop thread only.

    Args:
        loop: for on_end, which never runs inside send().
        endpoint: owned from now on.
        on_message: called with each message; it may send, close, encrypt or
            detach.
        on_end: called once, when nothing more will come: None after a clean
            end, else why. The endpoint is closed by then. Not called after
            close() or detach().
    """

    __slots__ = (
        "_after_drain",
        "_cipher",
        "_close_timer",
        "_closing",
        "_decoder",
        "_endpoint",
        "_loop",
        "_on_proved",
        "_open",
        "_outbox",
        "_sealed",
        "on_end",
        "on_message",
    )

    def __init__(
        self, loop: SelectorLoop, endpoint: Endpoint, on_message: OnMessage, on_end: OnEnd
    ) -> None:
        self.on_message = on_message
        self.on_end = on_end
        self._loop = loop
        self._endpoint = endpoint
        self._decoder = MessageDecoder()
        self._cipher: StreamCodec | None = None
        self._sealed: SealedControl | None = None  # until the peer has proved itself
        self._on_proved: Callable[[], None] | None = None
        self._outbox = b""
        self._after_drain: Callable[[], None] | None = None
        self._closing = False
        self._close_timer: Timer | None = None
        self._open = True
        endpoint.on_failure = self._callback_failed
        endpoint.watch(self._on_readable, None)

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint underneath, for its name; do not read or write it."""
        return self._endpoint

    @property
    def is_open(self) -> bool:
        """False after close(), detach() or the end."""
        return self._open and not self._closing

    def encrypt(self, cipher: StreamCodec) -> None:
        """From here on both directions are encrypted, what was read ahead included."""
        rest = self._decoder.take_rest()
        self._cipher = cipher
        if rest:
            self._decoder.receive_data(cipher.decode(rest))

    def seal(self, control: SealedControl, on_proved: Callable[[], None]) -> None:
        """From here on both directions are sealed, what was read ahead included.

        Args:
            control: what ``start`` returned was sent, or will be.
            on_proved: called once, maybe now, when the peer has proved that it
                knows the keys; before that nothing is decoded or delivered.
        """
        self._cipher = self._sealed = control
        self._on_proved = on_proved
        rest = self._decoder.take_rest()
        if not rest:
            return
        try:
            self._decoder.receive_data(self._decode(rest))
        except RemoteProtocolError as error:
            self._fail_soon(error)
            return
        self._loop.call_soon(self._deliver_late)

    @property
    def last_frame(self) -> bytes:
        """The last message that came, exactly as it came; b"" before the first."""
        return self._decoder.last_frame

    def send(self, message: Message) -> None:
        """Queue a message and try to send at once. Ignored after the end.

        A peer that does not read ends the stream (on_end gets a LimitError),
        and so does a message that is too long (a LocalProtocolError).
        """
        if not self.is_open:
            return
        try:
            data = encode_message(message)
        except LocalProtocolError as error:  # such as an answer that repeats a peer's long name
            self._fail_soon(error)
            return
        if self._cipher is not None:
            data = self._cipher.encode(data)
        self.send_bytes(data)

    def send_bytes(self, data: bytes) -> None:
        """Queue what is on the wire's side of the cipher; otherwise as ``send``."""
        if not self.is_open or not data:
            return
        if self._outbox:
            if len(self._outbox) + len(data) > MAX_OUTBOX_BYTES:
                self._fail_soon(LimitError(f"peer does not read: {len(self._outbox)} bytes wait"))
            else:
                self._outbox += data
            return
        try:
            taken = self._endpoint.write(data)
        except ConnectionLost as error:
            self._fail_soon(error)
            return
        if taken < len(data):
            self._outbox = data[taken:]
            self._endpoint.watch(self._on_readable, self._flush)

    def detach(self) -> Endpoint:
        """Give up the endpoint; bytes read ahead are put back into it.

        Raises:
            LocalProtocolError: messages still wait; use detach_when_sent.
        """
        if self._outbox:
            raise LocalProtocolError("detached with unsent messages")
        self._open = False
        self._endpoint.on_failure = None
        self._endpoint.watch(None, None)
        self._endpoint.unread(self._decoder.take_rest())
        return self._endpoint

    def detach_when_sent(self, then: Callable[[Endpoint], None]) -> None:
        """Detach once everything is out, at once if it is; then call ``then``."""

        def give_up() -> None:
            then(self.detach())

        self._run_when_sent(give_up)

    def close(self) -> None:
        """Close after what was sent is out, or 10 s later. on_end is not called. Idempotent."""
        if not self.is_open:
            return
        if self._cipher is not None:
            self.send_bytes(self._cipher.finish())
        self._closing = True
        self._run_when_sent(self._close_now)
        if self._open:
            self._close_timer = self._loop.call_later(CLOSE_SECONDS, self.abort)

    def fail(self, error: FrpError) -> None:
        """End it as if the peer had broken the protocol; on_end is called. Idempotent."""
        self._end(error)

    def abort(self) -> None:
        """Drop the connection at once. on_end is not called. Idempotent."""
        if self._open:
            self._over()
            self._endpoint.abort()

    def _run_when_sent(self, call: Callable[[], None]) -> None:
        if not self._outbox:
            call()
            return
        self._after_drain = call
        self._endpoint.watch(None if self._closing else self._on_readable, self._flush)

    def _close_now(self) -> None:
        self._over()
        self._endpoint.close()

    def _over(self) -> None:
        self._open = False
        if self._close_timer is not None:
            self._close_timer.cancel()

    def _on_readable(self) -> None:
        try:
            data = self._endpoint.read(READ_BYTES)
            if isinstance(data, Outcome):
                if data is Outcome.EOF:
                    if self._cipher is not None:
                        self._cipher.receive_eof()
                    self._decoder.receive_eof()
                    self._end(None)
                return
            self._decoder.receive_data(self._decode(data))
            self._deliver()
        except (ConnectionLost, RemoteProtocolError) as error:
            self._end(error)

    def _decode(self, data: Buffer) -> Buffer:
        if self._cipher is None:
            return data
        data = self._cipher.decode(data)
        if self._sealed is not None and self._sealed.finished_received:
            on_proved, self._on_proved, self._sealed = self._on_proved, None, None
            assert on_proved is not None
            on_proved()
        return data

    def _deliver_late(self) -> None:
        try:
            self._deliver()
        except RemoteProtocolError as error:
            self._end(error)

    def _deliver(self) -> None:
        while self.is_open:
            message = self._decoder.next_message()
            if message is None:
                return
            self.on_message(message)

    def _flush(self) -> None:
        try:
            taken = self._endpoint.write(self._outbox)
        except ConnectionLost as error:
            self._end(error)
            return
        self._outbox = self._outbox[taken:]
        if self._outbox:
            return
        self._endpoint.watch(self._on_readable, None)
        if self._after_drain is not None:
            call, self._after_drain = self._after_drain, None
            call()

    def _fail_soon(self, error: FrpError) -> None:
        self._outbox = b""
        self._endpoint.watch(None, None)
        self._loop.call_soon(self._end, error)

    def _end(self, error: FrpError | None) -> None:
        if not self._open:
            return
        self._over()
        if error is None:
            self._endpoint.close()
        else:
            self._endpoint.abort()
        if not self._closing:
            self.on_end(error)

    def _callback_failed(self) -> None:
        self._end(LocalProtocolError("internal error, see the log"))
