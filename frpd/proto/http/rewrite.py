"""Heads as they go on. RFC 9110 section 7.6.

To the service: its own Host, and what it should know of the visitor. Back to the
visitor: all but what was meant for us. The service always hears HTTP/1.1; an
HTTP/1.0 visitor gets an HTTP/1.0 status line, as from Go's server. Everything is
rendered from what head.py derived. The body goes on verbatim, so its framing is
said again as it was; a request without a length has no body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping  # here, since a compiled dataclass wants to know its types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from frpd.proto.http.fields import is_token, split_list
from frpd.proto.http.head import Form

if TYPE_CHECKING:
    from frpd.proto.http.head import RequestHead, ResponseHead, Version

# What Connection may not take away, whatever it lists.
PROTECTED: Final = frozenset(
    {
        "authorization",
        "content-length",
        "expect",
        "forwarded",
        "host",
        "transfer-encoding",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
    }
)
# What configuration may not set: it belongs to the connection or frames the body.
UNSETTABLE: Final = frozenset(
    {
        "connection",
        "content-length",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

_HOP_BY_HOP: Final = frozenset(
    {"connection", "http2-settings", "keep-alive", "proxy-connection", "te", "upgrade"}
)
_FORWARD_DROPS: Final[frozenset[str]] = _HOP_BY_HOP | {
    "host",
    "proxy-authenticate",
    "proxy-authorization",
    "trailer",
    "transfer-encoding",
}
_REQUEST_DROPS: Final[frozenset[str]] = _FORWARD_DROPS | {
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
}
# What is left out of nearly every answer, and of one that is chunked and stays so.
_PLAIN_ANSWER_DROPS: Final = _HOP_BY_HOP | {"proxy-authenticate", "trailer", "transfer-encoding"}
_CHUNKED_ANSWER_DROPS: Final = _HOP_BY_HOP | {"proxy-authenticate"}
# 426 names what it wants in Upgrade (RFC 9110 15.5.22).
_UPGRADE_STATUSES: Final = (101, 426)
_PROXY_AUTHENTICATION_REQUIRED: Final = 407
_ORIGIN_PART: Final = re.compile(r"^[^:]*://[^/?]*")
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_UNSAFE_IN_HOST: Final = re.compile(r"[\x00-\x20\x7f]")


class Rules(Protocol):
    """How requests change on their way to a service."""

    def drops(self, head: RequestHead) -> frozenset[str]:
        """Return the lower-case names of fields of ``head`` that do not go on."""

    def host_for(self, head: RequestHead) -> str:
        """Return the Host for the service."""

    def added(self, head: RequestHead) -> str:
        """Return the lines that stand behind the visitor's own."""


class ForwardRules:
    """What changes where the visitor has chosen the service: no more than belongs to this hop.

    Nothing is told about the visitor.
    """

    __slots__ = ()

    def drops(self, head: RequestHead) -> frozenset[str]:
        """See Rules.drops."""
        return _with_derived(_FORWARD_DROPS, head)

    def host_for(self, head: RequestHead) -> str:
        """See Rules.host_for: the target's, whatever the Host field says (RFC 9112 3.2.2)."""
        return head.host

    def added(self, head: RequestHead) -> str:
        """See Rules.added."""
        del head
        return ""


@dataclass(frozen=True, slots=True)
class RequestRules:
    """What is changed in the requests of one visitor connection on one route.

    Raises:
        ValueError: a configured name or value cannot stand in a head, or would
            change its framing.
    """

    host_rewrite: str = ""
    """The Host for the service; "": the visitor's own."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Fields to set in place of the visitor's, last of all. ``Host`` is a host rewrite."""
    x_forwarded_proto: str = "http"
    """``http`` or ``https``."""
    visitor_ip: str = ""
    """Without port and brackets."""
    forwards: bool = True
    """Tell the service who asks; without, what the visitor's own head says of it goes on."""
    relay_proxy_authorization: bool = False
    """Proxy-Authorization is for the service, not for us (RFC 9110 11.7.2 allows it)."""
    # Rendered once: what is left out of the visitor's fields, and what stands beside them.
    _drops: frozenset[str] = field(init=False, repr=False, default=frozenset())
    _host: str = field(init=False, repr=False, default="")
    _forwarded: bool = field(init=False, repr=False, default=True)
    _forwarded_host: bool = field(init=False, repr=False, default=True)
    _first_hop: str = field(init=False, repr=False, default="")
    _last: str = field(init=False, repr=False, default="")

    def __post_init__(self) -> None:
        if self.x_forwarded_proto not in ("http", "https"):
            raise ValueError(f"not a scheme: {self.x_forwarded_proto!r}")
        _check_value("visitor_ip", self.visitor_ip)
        settings: dict[str, tuple[str, str]] = {}
        if self.forwards:
            settings["x-forwarded-proto"] = ("X-Forwarded-Proto", self.x_forwarded_proto)
            if self.visitor_ip:
                settings["x-real-ip"] = ("X-Real-IP", self.visitor_ip)
        for name, value in self.headers.items():
            _check_name(name)
            _check_value(name, value)
            settings[name.lower()] = (name, value)
        _, host = settings.pop("host", ("Host", self.host_rewrite))
        if _UNSAFE_IN_HOST.search(host):
            raise ValueError("a host holds neither white space nor control characters")
        drops = (_REQUEST_DROPS if self.forwards else _FORWARD_DROPS).union(settings)
        if self.relay_proxy_authorization and "proxy-authorization" not in settings:
            drops -= {"proxy-authorization"}
        lines = [f"{name}: {_as_sent(value)}\r\n" for name, value in settings.values()]
        rendered = {
            "_drops": drops,
            "_host": _as_sent(host),
            "_forwarded": self.forwards and "x-forwarded-for" not in settings,
            "_forwarded_host": self.forwards and "x-forwarded-host" not in settings,
            "_first_hop": f"X-Forwarded-For: {self.visitor_ip}\r\n" if self.visitor_ip else "",
            "_last": "".join(lines),
        }
        for name, made in rendered.items():
            object.__setattr__(self, name, made)

    def drops(self, head: RequestHead) -> frozenset[str]:
        """Return the lower-case names of fields of ``head`` that do not go on."""
        return _with_derived(self._drops, head)

    def host_for(self, head: RequestHead) -> str:
        """Return the Host for the service."""
        return self._host or head.host

    def added(self, head: RequestHead) -> str:
        """Return the lines that stand behind the visitor's own."""
        lines = ""
        if self._forwarded and "x-forwarded-for" not in head.names:
            lines = self._first_hop
        elif self._forwarded:
            hops = [hop for hop in (*head.get_all("x-forwarded-for"), self.visitor_ip) if hop]
            lines = f"X-Forwarded-For: {', '.join(hops)}\r\n" if hops else ""
        if self._forwarded_host and head.host:
            lines += f"X-Forwarded-Host: {head.host}\r\n"
        return lines + self._last


class AnswerRules:
    """What is changed in the answers of one route: fields that are set in place of the service's.

    Args:
        headers: names and values.

    Raises:
        ValueError: a name or value cannot stand in a head, or would change its framing.
    """

    __slots__ = ("drops", "lines")

    def __init__(self, headers: Mapping[str, str]) -> None:
        for name, value in headers.items():
            _check_name(name)
            _check_value(name, value)
        self.drops = frozenset(map(str.lower, headers))
        self.lines = "".join(f"{name}: {_as_sent(value)}\r\n" for name, value in headers.items())


AS_ANSWERED: Final = AnswerRules({})


def _with_derived(drops: frozenset[str], head: RequestHead) -> frozenset[str]:
    """Return ``drops`` and what follows from this head."""
    names = head.names
    underscored = "_" in "".join(names)
    # Mostly there is no field that an option would drop: sets are made only where one is.
    if head.options and (underscored or not head.options.isdisjoint(names)):
        drops = drops.union(head.options - PROTECTED)
    if head.version == (1, 0):
        drops = drops.union(("expect",))  # to be ignored in HTTP/1.0; the service hears 1.1
    if not underscored:
        return drops
    # Behind CGI and WSGI X_Real_IP would be taken for our X-Real-IP.
    twins = [name for name in names if "_" in name and name.replace("_", "-") in drops]
    return drops.union(twins) if twins else drops


def render_request(head: RequestHead, rules: Rules, *, close: bool = False) -> bytes:
    """Return ``head`` as it goes to the service.

    Host comes first, then the visitor's fields in their order, then ours.

    Args:
        head: the visitor's request.
        rules: what is changed.
        close: tell the service that no other request will follow.
    """
    drops = rules.drops(head)
    kept = [
        f"{name}: {value}\r\n"
        for (name, value), lower in zip(head.fields, head.names, strict=True)
        if lower not in drops
    ]
    text = (
        f"{head.method} {_target(head)} HTTP/1.1\r\nHost: {rules.host_for(head)}\r\n"
        f"{''.join(kept)}{_request_hops(head, close=close)}{rules.added(head)}\r\n"
    )
    return text.encode("latin-1")


def render_response(
    head: ResponseHead,
    *,
    connection: str | None = None,
    dechunk: bool = False,
    version: Version = (1, 1),
    rules: AnswerRules = AS_ANSWERED,
) -> bytes:
    """Return ``head`` as it goes to the visitor: order and case of fields as they were.

    Args:
        head: the service's answer.
        rules: what is changed.
        connection: ``close`` or ``keep-alive`` to say so to the visitor.
        dechunk: the body's chunks are taken apart on the way (Dechunker).
        version: the visitor's.
    """
    drops = _response_drops(head, dechunk=dechunk)
    if rules.drops:
        drops |= rules.drops
    kept = [
        f"{name}: {value}\r\n"
        for (name, value), lower in zip(head.fields, head.names, strict=True)
        if lower not in drops
    ]
    options = [connection] if connection else []
    if head.status in _UPGRADE_STATUSES and "upgrade" in head.names:
        options.append("Upgrade")
    hops = f"Connection: {', '.join(options)}\r\n" if options else ""
    minor = "0" if version == (1, 0) else "1"
    text = f"HTTP/1.{minor} {head.status} {head.reason}\r\n{''.join(kept)}{rules.lines}{hops}\r\n"
    return text.encode("latin-1")


def _target(head: RequestHead) -> str:
    """Return the request target in the form that an origin server reads."""
    if head.form is not Form.ABSOLUTE:
        return head.target
    if head.path == "*":
        return "*"
    rest = _ORIGIN_PART.sub("", head.target)
    return rest if rest.startswith("/") else f"/{rest}"


def _request_hops(head: RequestHead, *, close: bool) -> str:
    """Return the lines about this hop of a request."""
    lines, options = "", "close" if close else ""
    if (
        "te" in head.names
        and head.version == (1, 1)
        and "trailers" in map(str.lower, split_list(head.get_all("te")))
    ):
        lines, options = "TE: trailers\r\n", f"{options}, TE" if options else "TE"
    if head.upgrade:
        lines += f"Upgrade: {head.upgrade}\r\n"
        options = f"{options}, Upgrade" if options else "Upgrade"
    if options:
        lines += f"Connection: {options}\r\n"
    if head.chunked:
        for trailer in head.get_all("trailer"):
            lines += f"Trailer: {trailer}\r\n"
        lines += "Transfer-Encoding: chunked\r\n"
    return lines


def _response_drops(head: ResponseHead, *, dechunk: bool) -> frozenset[str]:
    drops = _CHUNKED_ANSWER_DROPS if head.chunked and not dechunk else _PLAIN_ANSWER_DROPS
    if head.options and not head.options.isdisjoint(head.names):
        drops |= head.options - PROTECTED
    if head.status in _UPGRADE_STATUSES:
        drops -= {"upgrade"}
    if head.status == _PROXY_AUTHENTICATION_REQUIRED and "proxy-authenticate" not in head.options:
        drops -= {"proxy-authenticate"}
    if head.status < 200 or head.status == 204:
        drops |= {"content-length", "trailer", "transfer-encoding"}
    return drops


def _check_name(name: str) -> None:
    if not is_token(name):
        raise ValueError(f"not a header name: {name!r}")
    if name.lower() in UNSETTABLE:
        raise ValueError(f"header {name} belongs to the connection and cannot be set")


def _check_value(name: str, value: str) -> None:
    if _UNSAFE.search(value):
        raise ValueError(f"the value of {name} holds control characters")


def _as_sent(value: str) -> str:
    """Return ``value`` as its UTF-8 bytes read as latin-1, which is how heads are rendered."""
    return value.encode("utf-8").decode("latin-1")
