"""ClientHellos as OpenSSL makes them."""

from __future__ import annotations

import ssl


def client_hello(name: str) -> bytes:
    """Return what a TLS client says first; without a name if it is ""."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    side = context.wrap_bio(incoming, outgoing, server_hostname=name or None)
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError
