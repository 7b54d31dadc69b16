"""FirstRecord: the one message that a sealed work stream begins with.

What follows it, sealed or not, stays in the endpoint for whoever relays it.
"""

from __future__ import annotations

from collections.abc import Callable

from frpd.errors import ConnectionLost, FrpError, LocalProtocolError, RemoteProtocolError
from frpd.net.endpoint import Endpoint, Outcome
from frpd.proto.message.codec import decode_message, encode_message
from frpd.proto.message.types import Message
from frpd.proto.seal import StreamSeal

READ_BYTES = 16 * 1024


class FirstRecord:
    """Waits for it; the part of a MessageStream that a work stream needs. Loop thread only.

    Args:
        endpoint: owned from now on.
        seal: of this stream.
        on_message: called once, with the message; it may detach or close.
        on_end: called instead if none will come. The endpoint is aborted by
            then. Not called after close() or abort().
    """

    __slots__ = ("_endpoint", "_on_end", "_on_message", "_open", "_seal")

    def __init__(
        self,
        endpoint: Endpoint,
        seal: StreamSeal,
        on_message: Callable[[Message], None],
        on_end: Callable[[FrpError | None], None],
    ) -> None:
        self._endpoint = endpoint
        self._seal = seal
        self._on_message: Callable[[Message], None] = on_message
        self._on_end: Callable[[FrpError | None], None] = on_end
        self._open = True
        endpoint.on_failure = self._callback_failed
        endpoint.watch(self._on_readable, None)

    def send(self, hello: Message) -> None:
        """Send a message in clear; on a stream of our own it always fits."""
        data = encode_message(hello)
        try:
            taken = self._endpoint.write(data)
        except ConnectionLost:
            return  # the reading side reports it
        if taken < len(data):
            self._endpoint.abort()

    def detach(self) -> Endpoint:
        """Give up the endpoint; what came behind the record is put back into it."""
        self._open = False
        self._on_message = self._on_end = _nobody_left
        self._endpoint.on_failure = None
        self._endpoint.watch(None, None)
        self._endpoint.unread(self._seal.reader.take_rest())
        return self._endpoint

    def close(self) -> None:
        """Close it unused. Idempotent."""
        if self._open:
            self._open = False
            self._endpoint.close()

    def abort(self) -> None:
        """Drop it at once. Idempotent."""
        if self._open:
            self._open = False
            self._endpoint.abort()

    def _on_readable(self) -> None:
        try:
            data = self._endpoint.read(READ_BYTES)
            if isinstance(data, Outcome):
                if data is Outcome.EOF:
                    self._end(None)
                return
            self._seal.reader.receive_data(data)
            record = self._seal.reader.next_record()
            if record is not None:
                self._on_message(decode_message(record))
        except (ConnectionLost, RemoteProtocolError) as error:
            self._end(error)

    def _end(self, error: FrpError | None) -> None:
        if self._open:
            self.abort()
            self._on_end(error)

    def _callback_failed(self) -> None:
        self._end(LocalProtocolError("internal error, see the log"))


def _nobody_left(_: object) -> None:
    """Stand in for the callbacks of a record that came: its owner goes, and nobody has to look."""
