"""TransformEndpoint: a cipher or compression around another endpoint.

Whoever joins it to something does not notice: it is an Endpoint as well.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from frpd.errors import ConnectionLost, RemoteProtocolError
from frpd.net.coded import NOTHING, RAW_READ_BYTES, CodedEndpoint
from frpd.net.endpoint import Buffer, Endpoint, Outcome
from frpd.proto.wrappers import StreamCodec


class TransformEndpoint(CodedEndpoint):
    """An Endpoint whose bytes pass through codecs. Loop thread only.

    Args:
        inner: the endpoint that carries the coded bytes; owned from now on.
        codecs: from the plain side to the wire, in the order of encoding.
    """

    __slots__ = ("_codecs", "_ended", "_wire_first")

    def __init__(self, inner: Endpoint, codecs: Sequence[StreamCodec]) -> None:
        super().__init__(inner)
        self._codecs = tuple(codecs)
        self._wire_first = tuple(reversed(self._codecs))
        self._ended = False

    def read(self, limit: int) -> Buffer | Outcome:
        """See Endpoint.read; may return more than ``limit`` after expansion.

        Raises:
            ConnectionLost: the connection was reset or its bytes are corrupt.
        """
        if self._decoded:
            data, self._decoded = self._decoded, b""
            return data
        while True:
            raw = self._inner.read(min(limit, RAW_READ_BYTES))
            if isinstance(raw, Outcome):
                if raw is Outcome.EOF:
                    self._check_end()
                return raw
            plain = self._decode(raw)
            if plain:
                return plain

    def write(self, data: Buffer) -> int:
        """See Endpoint.write: all of ``data`` or, while coded bytes wait, nothing."""
        if self._pending or not len(data):
            return 0
        coded: Buffer = data
        for codec in self._codecs:
            coded = codec.encode(coded)
        self._send(coded)
        return len(data)

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

    def _send_end(self) -> None:
        """Send what the codecs put behind the last byte."""
        last = b""
        for codec in self._codecs:
            last = (codec.encode(last) if last else b"") + codec.finish()
        if self._pending:
            self._add_pending(last)
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

    def _flush(self) -> None:
        try:
            taken = self._inner.write(self._pending)
        except ConnectionLost:
            self._pending = NOTHING  # the reading side reports the loss
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
