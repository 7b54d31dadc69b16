"""FramedEndpoint: a protocol with frames and ends of its own around another endpoint.

What TLS and WebSocket share. It differs from TransformEndpoint in that the
peer's end comes as bytes, and in that reading may ask for bytes to be sent.
"""

from __future__ import annotations

import contextlib
from typing import Final, Protocol

from frpd.errors import ConnectionLost, RemoteProtocolError
from frpd.net.coded import NOTHING, RAW_READ_BYTES, CodedEndpoint
from frpd.net.endpoint import Buffer, Endpoint, Outcome

ENCODE_BYTES: Final = 64 * 1024
"""Most plain bytes that are encoded before the inner endpoint has taken what was."""
READS_PER_CALL: Final = 4
"""Then whoever sends nothing but control frames has had his turn."""


class Framing(Protocol):
    """Both directions of one byte stream, sans-IO."""

    ended: bool
    """The peer has ended its direction, in the protocol's own words."""

    def encode(self, data: Buffer) -> bytes:
        """Return the outgoing bytes for ``data``, all of them.

        Raises:
            ConnectionLost: an earlier error makes that impossible.
        """

    def decode(self, data: Buffer) -> Buffer:
        """Return the payload that incoming ``data`` completes, all of it, maybe none.

        Raises:
            RemoteProtocolError: the peer sent something illegal.
        """

    def answers(self) -> bytes:
        """Return what the peer's bytes ask to be sent, as a rule nothing; bounded.

        Asked for after each decode, failed ones too, unless earlier bytes wait.
        """

    def finish(self) -> bytes:
        """Return what ends our direction; neither encode nor answers gives anything after it."""

    def receive_eof(self) -> None:
        """Check, at the end of the peer's direction, that it is the true one.

        Raises:
            RemoteProtocolError: the stream was cut short.
        """


class FramedEndpoint(CodedEndpoint):
    """An Endpoint whose bytes travel in frames. Loop thread only.

    A half-close is the framing's own end and leaves the inner endpoint open: a
    reverse proxy on the way that sees a FIN drops both directions.

    Args:
        inner: the endpoint that carries the frames; owned from now on.
        framing: its handshake is over.
        decoded: payload that came with the end of the handshake.
        pending: what the handshake has left to send.
    """

    __slots__ = ("_framing", "_shut")

    def __init__(
        self, inner: Endpoint, framing: Framing, *, decoded: Buffer = b"", pending: bytes = b""
    ) -> None:
        super().__init__(inner, decoded=decoded, pending=pending)
        self._framing = framing
        self._shut = False  # our direction is over, or will be once pending is out
        self._rewatch()

    def read(self, limit: int) -> Buffer | Outcome:
        """See Endpoint.read; what the inner endpoint has may come with an older rest.

        Raises:
            ConnectionLost: the connection was reset or cut, or its bytes are corrupt.
        """
        if self._decoded:
            data, self._decoded = self._decoded, b""
            return data
        for _ in range(READS_PER_CALL):
            if self._framing.ended:
                self._check_end()
                return Outcome.EOF
            raw = self._inner.read(min(limit, RAW_READ_BYTES))
            if raw is Outcome.EOF:
                self._check_end()
            if isinstance(raw, Outcome):
                return raw
            plain = self._decode(raw)
            if len(plain):
                return plain
        return Outcome.EMPTY

    def write(self, data: Buffer) -> int:
        """See Endpoint.write: nothing while frames wait, else up to the first that has to."""
        if self._shut:
            raise ConnectionLost("this direction is closed")
        taken = 0
        with memoryview(data) as view:
            while taken < len(view) and not self._pending:
                piece = view[taken : taken + ENCODE_BYTES]
                self._send(self._framing.encode(piece))
                taken += len(piece)
        return taken

    def shutdown_write(self) -> None:
        """End our direction behind the waiting frames. Idempotent."""
        self._send_end()

    def close(self) -> None:
        """Close once the waiting frames are out or the peer is lost. Idempotent."""
        if self._closing:
            return
        self._closing = True
        self._on_readable = self._on_writable = None
        self._send_end()
        if self._pending:
            self._rewatch()
        else:
            self._inner.close()

    # Out.

    def _send_answers(self) -> None:
        if not (self._pending or self._shut) and (answers := self._framing.answers()):
            with contextlib.suppress(ConnectionLost):  # the next read reports the loss
                self._send(answers)

    def _send_end(self) -> None:
        if self._shut:
            return
        self._shut = True
        last = self._framing.finish()
        if self._pending:
            self._add_pending(last)
        elif last:
            with contextlib.suppress(ConnectionLost):  # the reading side reports the loss
                self._send(last)

    def _flush(self) -> None:
        try:
            taken = self._inner.write(self._pending)
        except ConnectionLost:
            self._pending = NOTHING  # the reading side reports the loss
        else:
            self._pending = self._pending[taken:]
            if self._pending:
                return
            self._send_answers()
        if self._closing:
            self._inner.close()
        else:
            self._rewatch()

    # In.

    def _decode(self, raw: Buffer) -> Buffer:
        try:
            plain = self._framing.decode(raw)
        except RemoteProtocolError as error:
            self._send_answers()
            raise ConnectionLost(str(error)) from error
        self._send_answers()
        if self._framing.ended:
            self._rewatch()
        return plain

    def _check_end(self) -> None:
        try:
            self._framing.receive_eof()
        except RemoteProtocolError as error:
            raise ConnectionLost(str(error)) from error

    def _has_news(self) -> bool:
        return bool(self._decoded) or self._framing.ended
