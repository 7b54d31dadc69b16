"""BoundedConnection: aioquic's connection, sans-IO, with memory bounds that it has not.

aioquic doubles a stream's credit whenever half of it has arrived, whether anybody reads or
not. Here credit follows the reader: a stream holds at most one window of bytes that nobody
has read. Of the connection's credit nothing is held back, or one reader that is slow would
stop all the others.

The rest of the program touches no private name of aioquic; those that have to be are here.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from aioquic.buffer import UINT_VAR_MAX_SIZE
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicConnectionState
from aioquic.quic.packet import QuicFrameType
from aioquic.quic.stream import QuicStream as CoreStream
from aioquic.tls import CipherSuite, load_pem_x509_certificates
from OpenSSL import crypto

if TYPE_CHECKING:
    from aioquic.quic.connection import Limit
    from aioquic.quic.events import ConnectionTerminated
    from aioquic.quic.packet_builder import QuicPacketBuilder
    from aioquic.quic.recovery import QuicPacketSpace

ALPN: Final = "frp"
FIRST_WINDOW_BYTES: Final = 64 * 1024
"""Of each stream, before its first bytes were read; all that a stranger has."""
WINDOW_BYTES: Final = 1024 * 1024
"""Of a stream that is read. At 50 ms it lets 20 MB/s through, about what aioquic can do."""
CONNECTION_WINDOW_BYTES: Final = 16 * 1024 * 1024
MAX_DATAGRAM_BYTES: Final = 1232
"""What every way with IPv6 carries: the way's own limit is not probed for."""
ID_BYTES: Final = 8
"""Of our connection ids."""

# A client of Go's QUIC as frp 0.51 has it offers AES-256 and then cannot read it.
CIPHERS: Final = (
    CipherSuite.AES_128_GCM_SHA256,
    CipherSuite.CHACHA20_POLY1305_SHA256,
    CipherSuite.AES_256_GCM_SHA384,
)

_MAX_STREAM_DATA_BYTES: Final = 1 + 2 * UINT_VAR_MAX_SIZE
_CREDIT_STEP: Final = 4  # credit is given in quarters of a window

# What it says at length goes to nobody; how a connection ends is told as an event.
logging.getLogger("quic").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """What an end shows, and whom it believes; of aioquic's and cryptography's types."""

    certificates: tuple[object, ...] = ()
    """Ours first, then those between it and the authority."""
    private_key: object = None
    trusted_ca: bytes = field(default=b"", repr=False)
    """PEM; the other side has to be of it. Without, anybody is believed."""


def make_configuration(
    material: TlsMaterial, *, is_client: bool, idle_seconds: float, server_name: str = ""
) -> QuicConfiguration:
    """Return what connections are made from; of use for any number of them."""
    configuration = QuicConfiguration(
        alpn_protocols=[ALPN],
        cipher_suites=list(CIPHERS),
        is_client=is_client,
        congestion_control_algorithm="cubic",
        connection_id_length=ID_BYTES,
        idle_timeout=idle_seconds,
        max_data=CONNECTION_WINDOW_BYTES,
        max_stream_data=FIRST_WINDOW_BYTES,
        max_datagram_size=MAX_DATAGRAM_BYTES,
        server_name=server_name or None,
    )
    configuration.verify_mode = ssl.CERT_NONE
    if is_client and material.trusted_ca:
        configuration.verify_mode = ssl.CERT_REQUIRED
        configuration.cadata = material.trusted_ca
    if material.certificates:
        configuration.certificate = material.certificates[0]
        configuration.certificate_chain = list(material.certificates[1:])
        configuration.private_key = material.private_key
    return configuration


class BoundedConnection(QuicConnection):
    """One connection; clock and network are its owner's.

    Args:
        configuration: of make_configuration.
        original_id: the id that the client called first; only of a server.
        retry_id: the id that our Retry named; b"" if there was none.
        client_ca: PEM: the client has to show a certificate of it; see refusal().
    """

    def __init__(
        self,
        configuration: QuicConfiguration,
        *,
        original_id: bytes | None = None,
        retry_id: bytes = b"",
        client_ca: bytes = b"",
    ) -> None:
        super().__init__(
            configuration=configuration,
            original_destination_connection_id=original_id,
            retry_source_connection_id=retry_id or None,
        )
        self._client_ca = client_ca
        self.window_bytes = FIRST_WINDOW_BYTES
        """Of streams, from now on."""
        _set(self._local_max_streams_uni, 0)
        _set(self._local_max_streams_bidi, 0 if configuration.is_client else 1)

    def allow_streams(self, count: int) -> None:
        """Let the peer have so many streams open; at first a client may open one."""
        limit = self._local_max_streams_bidi
        limit.value = max(limit.value, count)

    def core_stream(self, stream_id: int) -> CoreStream:
        """Return a stream that there is, with its public attributes."""
        return self._streams[stream_id]

    def open_core_stream(self) -> CoreStream:
        """Open a stream; the peer hears of it with its first byte."""
        stream_id = self.get_next_available_stream_id()
        self.send_stream_data(stream_id, b"")
        return self._streams[stream_id]

    def is_own(self, stream_id: int) -> bool:
        """Whether a stream of this number is one that we open."""
        return (stream_id & 1 == 0) == self._is_client

    def read_to(self, stream: CoreStream, offset: int) -> bool:
        """Everything below this offset was read; return whether there is credit to send."""
        limit = offset + self.window_bytes
        if stream.receiver.is_finished:
            return False
        if limit - stream.max_stream_data_local < self.window_bytes // _CREDIT_STEP:
            return False
        stream.max_stream_data_local = limit
        return True

    @property
    def end_by_peer(self) -> ConnectionTerminated | None:
        """How the peer has closed; aioquic tells it as an event only a while later."""
        is_draining = self._state is QuicConnectionState.DRAINING
        return self._close_event if is_draining else None

    @property
    def has_unacked_data(self) -> bool:
        """Whether the peer may lack anything that was written."""
        return any(
            stream.sender._buffer and not stream.sender.is_finished  # noqa: SLF001 - no other way
            for stream in self._streams.values()
        )

    def refusal(self) -> str:
        """Return why the peer, whose handshake is complete, is not let in; "" if it is."""
        if not self._client_ca:
            return ""
        certificate = self.tls._peer_certificate  # noqa: SLF001 - no other way
        if certificate is None:
            return "the client shows no certificate"
        store = crypto.X509Store()
        # As in Go, whatever the file names is trusted, also if it is no root.
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        for one in load_pem_x509_certificates(self._client_ca):
            store.add_cert(crypto.X509.from_cryptography(one))
        chain = self.tls._peer_certificate_chain  # noqa: SLF001 - no other way
        context = crypto.X509StoreContext(
            store,
            crypto.X509.from_cryptography(certificate),
            [crypto.X509.from_cryptography(one) for one in chain],
        )
        try:
            context.verify_certificate()
        except crypto.X509StoreContextError as error:
            return f"the client's certificate: {error}"
        return ""

    # Inside of aioquic.

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        if self._client_ca:
            self.tls._request_client_certificate = True  # noqa: SLF001 - no other way

    def _write_stream_limits(
        self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: CoreStream
    ) -> None:
        """Tell the peer of credit that read_to() has given, and of no other."""
        limit = stream.max_stream_data_local
        if limit == stream.max_stream_data_local_sent or stream.receiver.is_finished:
            return
        frame = builder.start_frame(
            QuicFrameType.MAX_STREAM_DATA,
            capacity=_MAX_STREAM_DATA_BYTES,
            handler=self._on_max_stream_data_delivery,
            handler_args=(stream,),
        )
        assert stream.stream_id is not None
        frame.push_uint_var(stream.stream_id)
        frame.push_uint_var(limit)
        stream.max_stream_data_local_sent = limit


def _set(limit: Limit, count: int) -> None:
    limit.value = limit.sent = count
