"""TLS over any endpoint, by the ssl module's memory BIOs.

The handshake is driven here; behind it a FramedEndpoint carries records. All
that was read is decrypted at once, so nothing waits where no event could tell
of it, and what OpenSSL holds is at most one unfinished record.

The end of a direction is close_notify, which every frp sends. An end without it
is a loss: without tcp_mux the bytes are a user's, and nothing else would tell a
cut transfer from a whole one. OpenSSL lets the other direction go on.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from typing import Final, TypeAlias

from frpd.errors import ConfigError, ConnectionLost, RemoteProtocolError, TransportError
from frpd.net.certificates import Contexts
from frpd.net.endpoint import Buffer, Endpoint, Outcome
from frpd.net.framed import FramedEndpoint
from frpd.net.handshakes import HandshakeQueue

RECORD_BYTES: Final = 16 * 1024
"""Most plain bytes in one record."""
MAX_ANSWER_BYTES: Final = 64 * 1024
"""Most that a peer may ask for and not read: key updates are answered."""

OnReady: TypeAlias = Callable[[Endpoint], None]
OnFailed: TypeAlias = Callable[[TransportError], None]

_SENTENCES: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": (
        "the peer sent no certificate, and tls_trusted_ca_file demands one"
    ),
    "WRONG_VERSION_NUMBER": "the peer does not speak TLS here",
    "HTTP_REQUEST": "the peer does not speak TLS here",
    "UNSUPPORTED_PROTOCOL": "the peer speaks nothing newer than TLS 1.1",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the peer refuses our TLS versions, 1.2 and 1.3",
    "TLSV1_ALERT_DECRYPT_ERROR": "the peer finds a signature of ours to be wrong",
    "TLSV1_ALERT_UNKNOWN_CA": "the peer does not trust our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the peer refuses our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the peer says that our certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the peer refuses our certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": (
        "the peer demands a certificate: set tls_cert_file and tls_key_file"
    ),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the peer refuses the handshake; it may demand a certificate",
}

# By the codes of x509_vfy.h.
_REMEDIES: Final = {
    9: "check the clocks",  # not yet valid
    10: "it has to be renewed, unless a clock is wrong",  # expired
    62: "set tls_server_name",  # another host name
    64: "set tls_server_name",  # another address
}


def explain(error: ssl.SSLError, host: str | None = None) -> str:
    """Return one sentence about a TLS failure, with the remedy if we know one.

    Args:
        error: what OpenSSL raised.
        host: the name that the peer's certificate was to be for, on the client's side.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message
        if host is None:
            return f"TLS: the peer's certificate is refused: {why} (by tls_trusted_ca_file)"
        remedy = _REMEDIES.get(error.verify_code, "check tls_trusted_ca_file")
        return f"TLS: the certificate of {host} is refused: {why}; {remedy}"
    reason = error.reason or str(error)
    return f"TLS: {_SENTENCES.get(reason, reason.lower().replace('_', ' '))}"


class TlsRecords:
    """A Framing: TLS records behind the handshake.

    Args:
        tls: the session over the two BIOs.
        incoming: what the peer sent.
        outgoing: what the session wants to send.
    """

    __slots__ = ("_error", "_incoming", "_outgoing", "_tls", "ended")

    def __init__(
        self, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> None:
        self.ended = False
        """The peer has sent close_notify."""
        self._tls = tls
        self._incoming = incoming
        self._outgoing = outgoing
        self._error = ""

    def encode(self, data: Buffer) -> bytes:
        """Return records for ``data``.

        Raises:
            ConnectionLost: the session has failed.
        """
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise ConnectionLost(self._error or explain(error)) from error
        return self._outgoing.read()

    def decode(self, data: Buffer) -> bytes:
        """Return the plain bytes of all records that ``data`` completes.

        Raises:
            RemoteProtocolError: a record is damaged, or the peer sent an alert;
                now or earlier.
        """
        if self._error:
            raise RemoteProtocolError(self._error)
        self._incoming.write(data)
        parts = []
        try:
            while part := self._tls.read(RECORD_BYTES):
                parts.append(part)
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as error:
            self._fail(explain(error), error)
        if self._outgoing.pending > MAX_ANSWER_BYTES:
            self._fail("TLS: the peer asks for answers and does not read them", None)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def answers(self) -> bytes:
        """Return what the session itself wants to send: alerts, key updates."""
        return self._outgoing.read()

    def finish(self) -> bytes:
        """Return close_notify."""
        # It would wait for the peer's as well, and says so; errors are decode's to tell.
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        return self._outgoing.read()

    def receive_eof(self) -> None:
        """Check that close_notify came.

        Raises:
            RemoteProtocolError: it did not.
        """
        if not self.ended:
            raise RemoteProtocolError("TLS: the connection was cut")

    def _fail(self, reason: str, cause: Exception | None) -> None:
        self._error = reason
        raise RemoteProtocolError(reason) from cause


class TlsHandshake:
    """One handshake under way; gives a FramedEndpoint of TlsRecords. Loop thread only.

    Begins on a later turn. Exactly one of the two is called, unless cancelled;
    on failure the connection is closed.

    Args:
        inner: the connection, owned from now on.
        contexts: gives the context, made for the side that we are.
        server_side: which side that is.
        server_hostname: for a client, what it asks for by SNI, and what the
            certificate has to be for if the context verifies; never empty.
        prefix: sent ahead of our first byte.
        closed_hint: for the user, in case the peer just closes or resets.
        queue: where it waits for its turns; without one it takes them as they come.
        on_ready: called with the endpoint.
        on_failed: called with what went wrong, in words for a log.
    """

    __slots__ = (
        "_closed_hint",
        "_contexts",
        "_incoming",
        "_inner",
        "_on_failed",
        "_on_ready",
        "_outgoing",
        "_over",
        "_pending",
        "_queue",
        "_server_hostname",
        "_server_side",
        "_tls",
    )

    def __init__(
        self,
        inner: Endpoint,
        contexts: Contexts,
        *,
        server_side: bool,
        server_hostname: str | None = None,
        prefix: bytes = b"",
        closed_hint: str = "",
        queue: HandshakeQueue | None = None,
        on_ready: OnReady,
        on_failed: OnFailed,
    ) -> None:
        self._inner = inner
        self._contexts = contexts
        self._server_side = server_side
        self._server_hostname = server_hostname
        self._closed_hint = closed_hint
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._pending = prefix
        self._queue = queue
        self._on_ready = on_ready
        self._on_failed = on_failed
        self._over = False
        inner.on_failure = self._inner_failed
        inner.watch(self._readable, self._step)

    def cancel(self) -> None:
        """Give up silently and close the connection. Idempotent."""
        if not self._over:
            self._over = True
            self._inner.watch(None, None)
            self._inner.abort()

    def _readable(self) -> None:
        try:
            raw = self._inner.read(RECORD_BYTES)
        except ConnectionLost as error:
            self._lose(str(error))
            return
        if raw is Outcome.EOF:
            self._lose("the peer closed")
        elif not isinstance(raw, Outcome):
            self._incoming.write(raw)
            if self._queue is None:
                self._step()
            else:
                self._inner.watch(None, None)
                self._queue.add(self._step_in_turn)

    def _step_in_turn(self) -> None:
        if self._over:  # cancelled while it waited
            return
        try:
            self._step()
        except Exception:
            self._inner_failed()
            raise

    def _step(self) -> None:
        """Go on as far as what was received allows."""
        try:
            is_done = self._shake()
            self._flush()
        except ConnectionLost as error:
            self._lose(str(error))
        except ssl.SSLError as error:
            with contextlib.suppress(ConnectionLost):
                self._flush()  # the peer learns why
            self._fail(explain(error, self._server_hostname), error)
        except ConfigError as error:
            self._fail(f"TLS: {error}", error)
        except ValueError as error:  # UnicodeError as well: what cannot be sent as a name
            self._fail(f"TLS: tls_server_name {self._server_hostname!r}: {error}", error)
        else:
            if is_done:
                self._succeed()
            else:
                self._inner.watch(self._readable, self._step if self._pending else None)

    def _shake(self) -> bool:
        if self._tls is None:
            self._tls = self._contexts.current().wrap_bio(
                self._incoming,
                self._outgoing,
                server_side=self._server_side,
                server_hostname=self._server_hostname,
            )
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def _flush(self) -> None:
        self._pending += self._outgoing.read()
        if self._pending:
            self._pending = self._pending[self._inner.write(self._pending) :]

    def _succeed(self) -> None:
        assert self._tls is not None
        records = TlsRecords(self._tls, self._incoming, self._outgoing)
        try:
            early = records.decode(b"")  # what came with the peer's last flight
        except RemoteProtocolError as error:
            self._fail(str(error), error)
            return
        self._over = True
        endpoint = FramedEndpoint(self._inner, records, decoded=early, pending=self._pending)
        self._on_ready(endpoint)

    def _lose(self, reason: str) -> None:
        self._fail(f"TLS: {reason} during the handshake{self._closed_hint}")

    def _inner_failed(self) -> None:
        self._fail("TLS: internal error, see the log")

    def _fail(self, reason: str, cause: Exception | None = None) -> None:
        if self._over:
            return
        self._over = True
        self._inner.watch(None, None)
        self._inner.close()
        error = TransportError(reason)
        error.__cause__ = cause
        self._on_failed(error)
