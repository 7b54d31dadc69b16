"""TransformEndpoint: a cipher or compression around another endpoint.

Whoever joins it to something does not notice: it is an Endpoint as well.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from frpd.errors import ConnectionLost, LocalProtocolError, RemoteProtocolError
from frpd.net.endpoint import Buffer, Callback, Endpoint, Outcome
from frpd.net.pipes import Pipe, PipePool
from frpd.proto.wrappers import StreamCodec

# Compression may expand what was read by a factor of about 20; reading in
# modest pieces keeps what one turn produces bounded.
RAW_READ_LIMIT = 64 * 1024


class TransformEndpoint:
    """An Endpoint whose bytes pass through codecs. Loop thread only.

    Args:
        inner: the endpoint that carries the coded bytes; owned from now on.
        codecs: from the plain side to the wire, in the order of encoding.
    """

    __slots__ = (
        "_closing",
        "_codecs",
        "_decoded",
        "_ended",
        "_inner",
        "_on_readable",
        "_on_writable",
        "_pending",
        "_wire_first",
        "on_failure",
    )

    def __init__(self, inner: Endpoint, codecs: Sequence[StreamCodec]) -> None:
        self.on_failure: Callback | None = None
        self._inner = inner
        self._codecs = tuple(codecs)
        self._wire_first = tuple(reversed(self._codecs))
        self._decoded = b""  # bytes put back by unread()
        self._pending = b""  # coded bytes that the inner endpoint did not take
        self._ended = False
        self._closing = False  # closed here; what waits is still to go out
        self._on_readable: Callback | None = None
        self._on_writable: Callback | None = None
        inner.on_failure = self._inner_failed

    def describe(self) -> str:
        """Return the inner endpoint's name."""
        return self._inner.describe()

    def read(self, limit: int) -> Buffer | Outcome:
        """See Endpoint.read; may return more than ``limit`` after expansion.

        Raises:
            ConnectionLost: the connection was reset or its bytes are corrupt.
        """
        if self._decoded:
            data, self._decoded = self._decoded, b""
            return data
        while True:
            raw = self._inner.read(min(limit, RAW_READ_LIMIT))
            if isinstance(raw, Outcome):
                if raw is Outcome.EOF:
                    self._check_end()
                return raw
            plain = self._decode(raw)
            if plain:
                return plain

    def unread(self, data: Buffer) -> None:
        """See Endpoint.unread."""
        self._decoded = bytes(data) + self._decoded
        self._rewatch()

    def write(self, data: Buffer) -> int:
        """See Endpoint.write: all of ``data`` or, while coded bytes wait, nothing."""
        if self._pending or not len(data):
            return 0
        coded: Buffer = data
        for codec in self._codecs:
            coded = codec.encode(coded)
        self._send(coded)
        return len(data)

    def room(self) -> int:
        """Return 0 while coded bytes wait, else what the inner endpoint has."""
        return 0 if self._pending else self._inner.room()

    def watch(self, on_readable: Callback | None, on_writable: Callback | None) -> None:
        """See Endpoint.watch."""
        if not self._closing:
            self._on_readable = on_readable
            self._on_writable = on_writable
            self._rewatch()

    def shutdown_write(self) -> None:
        """End our direction once the waiting coded bytes are out. Idempotent."""
        if self._ended:
            return
        self._ended = True
        self._send_end()
        if not self._pending:
            self._inner.shutdown_write()

    def close(self) -> None:
        """Close once the waiting coded bytes are out or the peer is lost. Idempotent."""
        if self._closing:
            return
        self.watch(None, None)
        self._closing = True
        if not self._ended:
            self._ended = True
            self._send_end()
        if not self._pending:
            self._inner.close()

    def abort(self) -> None:
        """See Endpoint.abort."""
        self._closing = True
        self._on_readable = self._on_writable = None
        self._inner.abort()

    # Bytes change here, so none can pass through a pipe.

    @property
    def splices(self) -> bool:
        """Never."""
        return False

    def splice_with(self, pool: PipePool | None) -> None:
        """There is nothing to splice."""

    def read_pipe(self, limit: int) -> Pipe | Outcome:
        """Ask for read()."""
        return Outcome.COPY

    def pipe_moved(self, nbytes: int) -> None:
        """There is no pipe."""

    def write_pipe(self, pipe: Pipe, limit: int) -> int:
        """Not for us; nobody asks who has read ``splices``."""
        raise LocalProtocolError("a transforming endpoint cannot splice")

    def _send(self, coded: Buffer) -> None:
        taken = self._inner.write(coded)
        if taken < len(coded):
            self._pending = bytes(memoryview(coded)[taken:])
            self._rewatch()

    def _send_end(self) -> None:
        """Send what the codecs put behind the last byte."""
        last = b""
        for codec in self._codecs:
            last = (codec.encode(last) if last else b"") + codec.finish()
        if self._pending:
            self._pending += last
        elif last:
            with contextlib.suppress(ConnectionLost):  # the reading side reports the loss
                self._send(last)

    def _check_end(self) -> None:
        try:
            for codec in self._wire_first:
                codec.receive_eof()
        except RemoteProtocolError as error:
            raise ConnectionLost(f"corrupt stream: {error}") from error

    def _decode(self, raw: Buffer) -> Buffer:
        try:
            for codec in self._wire_first:
                raw = codec.decode(raw)
        except RemoteProtocolError as error:
            raise ConnectionLost(f"corrupt stream: {error}") from error
        return raw

    def _rewatch(self) -> None:
        on_writable = self._on_writable
        if self._pending:
            on_writable = self._flush
        elif self._decoded and self._on_readable is not None:
            # The inner endpoint cannot report bytes that it no longer has, but as a rule
            # it can be written, and says so on the next turn.
            on_writable = self._deliver_decoded
        self._inner.watch(self._on_readable, on_writable)

    def _deliver_decoded(self) -> None:
        if self._decoded and self._on_readable is not None:
            self._on_readable()
        if self._on_writable is not None and not self._pending:
            self._on_writable()
        if not (self._decoded or self._closing):
            self._rewatch()

    def _flush(self) -> None:
        try:
            taken = self._inner.write(self._pending)
        except ConnectionLost:
            self._pending = b""  # the reading side reports the loss
        else:
            self._pending = self._pending[taken:]
            if self._pending:
                return
            if self._ended:
                self._inner.shutdown_write()
        if self._closing:
            self._inner.close()
        else:
            self._rewatch()

    def _inner_failed(self) -> None:
        if self.on_failure is not None:
            self.on_failure()
