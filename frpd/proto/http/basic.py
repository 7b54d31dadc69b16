"""Basic authentication: the credentials in a field's value. RFC 7617."""

from __future__ import annotations

import binascii
import re

_BASIC = re.compile(r"basic +([A-Za-z0-9+/]+={0,2})", re.IGNORECASE | re.ASCII)


def parse_basic(value: str) -> tuple[str, str] | None:
    """Return user and password of an Authorization value, or None if it holds none.

    The base64 must be strict, padding included: a value that readers could
    understand differently is no credential. UTF-8, or else latin-1.
    """
    match = _BASIC.fullmatch(value)
    if match is None:
        return None
    coded = match[1].encode("ascii")
    try:
        pair = binascii.a2b_base64(coded)
    except binascii.Error:
        return None
    if binascii.b2a_base64(pair, newline=False) != coded:
        return None  # the decoder's own strict mode lets surplus padding through
    try:
        text = pair.decode("utf-8")
    except UnicodeDecodeError:
        text = pair.decode("latin-1")
    user, colon, password = text.partition(":")
    return (user, password) if colon else None


def challenge(realm: str = "Restricted") -> str:
    """Return the value of WWW-Authenticate or Proxy-Authenticate.

    Args:
        realm: printable ASCII; frp says ``Restricted``.
    """
    escaped = realm.replace("\\", "\\\\").replace('"', '\\"')
    return f'Basic realm="{escaped}"'
