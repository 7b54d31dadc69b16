"""What logs are told of a request, and who has made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from frpd.errors import ConnectionLost
from frpd.net.address import format_address
from frpd.net.stream import SocketStream
from frpd.proto.http.basic import parse_basic
from frpd.proto.http.head import Form, RequestHead

if TYPE_CHECKING:
    from frpd.net.endpoint import Endpoint


def what_is_asked(head: RequestHead) -> str:
    """Return host and path for logs, without a query: it may hold secrets."""
    path = head.target.partition("?")[0]
    return f"{head.host}{path}" if head.form in (Form.ORIGIN, Form.ASTERISK) else path


def facts_of(head: RequestHead) -> dict[str, str]:
    """Return what was asked: method, host, and path without a query, which may hold secrets."""
    path = head.target.partition("?")[0]
    if head.form is Form.AUTHORITY:
        path = ""
    elif head.form is Form.ABSOLUTE:
        path = "/" + path.partition("//")[2].partition("/")[2]
    return {"method": head.method, "host": head.host, "path": path}


def came_to(stream: Endpoint) -> str:
    """Return the address that a visitor came to; a system call."""
    if isinstance(stream, SocketStream):
        try:
            return format_address(stream.local_address())
        except ConnectionLost:
            pass
    return ""


_TO_PROXY: Final = (Form.ABSOLUTE, Form.AUTHORITY)


def credentials(head: RequestHead) -> tuple[tuple[str, str] | None, int]:
    """Return user and password, and the status that asks for them.

    Who speaks to us as to a proxy identifies itself by Proxy-Authorization. This one
    reading serves the route, the check and the log (CVE-2026-40910).
    """
    to_proxy = head.form in _TO_PROXY
    name, status = ("proxy-authorization", 407) if to_proxy else ("authorization", 401)
    if name not in head.names:
        return None, status
    values = head.get_all(name)
    return (parse_basic(values[0]) if len(values) == 1 else None), status


def user_of(head: RequestHead) -> str:
    """Return the user that a request names; only where it was checked it proves anything."""
    found, _ = credentials(head)
    return found[0] if found else ""
