"""What is spoken on a fresh connection, told from its first bytes; none is consumed.

One listener may serve frp clients, their websocket and TLS variants, and the
visitors of virtual hosts. No two of them start alike: frp's first messages are
the lower-case 'o', 'w' and 'v', a yamux header starts with its version, 0, and
an HTTP method is upper-case. Source: frp's pkg/util/net and its bind port.
"""

from __future__ import annotations

import enum
import re
from typing import Final

WEBSOCKET_PREFIX: Final = b"GET /~!frp"
"""How the request of frp's own websocket transport starts."""
MAX_PREFIX_BYTES: Final = 24
"""Nobody needs more to be recognised; the longest registered method has 17 letters."""

# BASELINE-CONTROL and its like are why a hyphen may stand inside.
_METHOD_AND_SPACE = re.compile(rb"[A-Z][A-Z-]{0,%d} " % (MAX_PREFIX_BYTES - 2))
_METHOD_BEGINS = re.compile(rb"[A-Z][A-Z-]{0,%d}" % (MAX_PREFIX_BYTES - 2))


class Spoken(enum.Enum):
    """A protocol that a connection can start with."""

    YAMUX = "yamux"
    TLS = "tls"
    FRP_TLS = "frp tls"
    """One byte, which is dropped; TLS follows."""
    WEBSOCKET = "websocket"
    HTTP = "http"
    FRP = "frp"
    """A message of frp's, or anything that is nothing else."""


_FIRST_BYTE: Final = {0x00: Spoken.YAMUX, 0x16: Spoken.TLS, 0x17: Spoken.FRP_TLS}


def recognize(prefix: bytes, *, http: bool) -> Spoken | None:
    """Return what a connection that starts with ``prefix`` speaks.

    Args:
        prefix: all that has come so far; at most MAX_PREFIX_BYTES are looked at.
        http: visitors of virtual hosts come to the same port. Without it a
            request that is not for the websocket transport counts as FRP.

    Returns:
        The protocol, which no further byte changes; None when that cannot be
        told yet, never for MAX_PREFIX_BYTES or more.
    """
    if not prefix:
        return None
    spoken = _FIRST_BYTE.get(prefix[0])
    if spoken is not None:
        return spoken
    if prefix.startswith(WEBSOCKET_PREFIX):
        return Spoken.WEBSOCKET
    if WEBSOCKET_PREFIX.startswith(prefix):
        return None
    return _recognize_method(prefix) if http else Spoken.FRP


def _recognize_method(prefix: bytes) -> Spoken | None:
    if _METHOD_AND_SPACE.match(prefix):
        return Spoken.HTTP
    if len(prefix) < MAX_PREFIX_BYTES and _METHOD_BEGINS.fullmatch(prefix):
        return None
    return Spoken.FRP
