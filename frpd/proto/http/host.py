"""One spelling for each host name, so that routes are found whatever a visitor writes.

Names with other letters than ASCII become A-labels by IDNA 2003 (the standard
library's codec); a name that has none is left as it is and matches nothing.
"""

from __future__ import annotations

import re
from typing import Final

MAX_NAME_CHARACTERS: Final = 255
"""Longest name that is worth converting; the codec's time grows with the square."""

_BRACKETED = re.compile(r"\[([^\]]*)\](?::[0-9]*)?")
_WITH_PORT = re.compile(r"([^:]*):[0-9]*")
_PORT = re.compile(r"(?:^[^:]*|\]):([0-9]{1,5})$", re.ASCII)


def canonical_host(authority: str) -> str:
    """Return the host in ``authority`` as routes know it: lower case, no port, no last dot.

    Args:
        authority: of a Host field or a request target, latin-1 as received (then
            UTF-8 is understood); or a server name of TLS. An IPv6 literal loses
            its brackets.
    """
    host = authority
    if ":" in host or "[" in host:
        match = _BRACKETED.fullmatch(host) or _WITH_PORT.fullmatch(host)
        host = match[1] if match else host
    return _canonical(host if host.isascii() else _as_utf8(host))


def port_of(authority: str, default: int) -> int:
    """Return the port in ``authority``, or ``default`` where it names none."""
    match = _PORT.search(authority)
    return int(match[1]) if match else default


def canonical_domain(domain: str) -> str:
    """Return a configured domain in the spelling of canonical_host(); a leading ``*.`` stays."""
    if domain.startswith("*."):
        return "*." + canonical_domain(domain[2:])
    match = _BRACKETED.fullmatch(domain)
    return _canonical(match[1] if match else domain)


def _canonical(host: str) -> str:
    if not host.isascii() and len(host) <= MAX_NAME_CHARACTERS:
        host = _a_labels(host)
    return host.lower().removesuffix(".")


def _a_labels(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


def _as_utf8(host: str) -> str:
    """Undo the reading as latin-1 if the bytes were UTF-8."""
    try:
        return host.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return host
