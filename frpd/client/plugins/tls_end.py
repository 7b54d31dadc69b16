"""Where a visitor's TLS ends in a plugin: its certificate, and the handshake."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from frpd.client.proxies.base import ProxyContext
from frpd.config.params import Params
from frpd.errors import ConfigError, ProxyError, TransportError
from frpd.net.endpoint import Endpoint

if TYPE_CHECKING:
    from frpd.net.certificates import Contexts
    from frpd.net.tls import TlsHandshake

CERTIFICATE = "plugin_crt_path"
KEY = "plugin_key_path"


def certificates(context: ProxyContext, params: Params) -> Contexts:
    """Return what visitors are shown: the configured pair, read again when it changes, or our own.

    Raises:
        ProxyError: it cannot be used.
    """
    # Importing ssl costs a tenth of the start, so only who uses TLS pays.
    from frpd.net.certificates import server_contexts  # noqa: PLC0415

    crt, key = params.get(CERTIFICATE, ""), params.get(KEY, "")
    if bool(crt) != bool(key):
        raise ProxyError(f"{CERTIFICATE} and {KEY} are needed both, or neither")
    try:
        return server_contexts(crt, key, "", now=context.loop.now)
    except ConfigError as error:
        text = str(error).replace("tls_cert_file", CERTIFICATE).replace("tls_key_file", KEY)
        raise ProxyError(text) from error


def secured(
    endpoint: Endpoint,
    contexts: Contexts,
    on_ready: Callable[[Endpoint], None],
    on_failed: Callable[[TransportError], None],
) -> TlsHandshake:
    """Begin the handshake with a visitor; see TlsHandshake."""
    from frpd.net.tls import TlsHandshake  # noqa: PLC0415 # as above: it imports ssl

    return TlsHandshake(
        endpoint, contexts, server_side=True, on_ready=on_ready, on_failed=on_failed
    )
