"""Which domains and locations a NewProxy asks for, and the address it is told.

The checks and their words are those of frp up to 0.51 (pkg/config/proxy.go);
every message begins as its own do. The bounds and the check of the spelling are
ours. All comparisons are of canonical names: ``b.SUB.example`` and names with
full-width dots belong to ``sub.example`` as well.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from frpd.errors import ProxyError
from frpd.proto.http.host import canonical_domain
from frpd.server.vhost.router import ANY_DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from frpd.proto.message.types import NewProxy

MAX_DOMAINS: Final = 100
"""Of one proxy, its subdomain included."""
MAX_LOCATIONS: Final = 100
"""Of one proxy; each stands in every domain."""
MAX_DOMAIN_BYTES: Final = 253

# As in a TLS hello: what browsers resolve, not what RFC 1123 says.
_HOST_NAME = re.compile(r"(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")


class Route(NamedTuple):
    """Where a proxy stands in the router; its http user comes with the request."""

    domain: str
    location: str


def domains_of(request: NewProxy, subdomain_host: str) -> list[str]:
    """Return the canonical domains of a proxy, as often and in the order it names them.

    Args:
        request: what the client asked for; empty domains count as left out.
        subdomain_host: of the server; "" when it has none.

    Raises:
        ProxyError: they cannot be had; frp's text where frp has one.
    """
    try:
        return _domains(request, subdomain_host)
    except ProxyError as error:
        raise ProxyError(f"{_prefix(request)}{error}") from None


def locations_of(request: NewProxy) -> list[str]:
    """Return the locations of a proxy; ``[""]``, every path, when it names none.

    Raises:
        ProxyError: there are too many.
    """
    if len(request.locations) > MAX_LOCATIONS:
        raise ProxyError(f"{_prefix(request)}a proxy may have {MAX_LOCATIONS} locations")
    return list(request.locations) or [""]


def routes_of(request: NewProxy, subdomain_host: str) -> list[Route]:
    """Return each location in each domain. Raises ProxyError as the two functions above do."""
    locations = locations_of(request)
    return [
        Route(domain, location)
        for domain in domains_of(request, subdomain_host)
        for location in locations
    ]


def remote_addr(domains: Iterable[str], locations: Sequence[str], port: int) -> str:
    """Return what NewProxyResp tells: each domain once per location, as frp does.

    Args:
        domains: canonical.
        locations: at least one.
        port: visitors come to; 80 and 443 are left out. With 0 there is no address.
    """
    if not port:
        return ""
    told = (domain if port in (80, 443) else _with_port(domain, port) for domain in domains)
    return ",".join(address for address in told for _ in locations)


def _prefix(request: NewProxy) -> str:
    return f"proxy [{request.proxy_name}] domain conf check error: "


def _domains(request: NewProxy, subdomain_host: str) -> list[str]:
    custom = [domain for domain in request.custom_domains if domain]
    if not custom and not request.subdomain:
        raise ProxyError("custom_domains and subdomain should set at least one of them")
    if len(custom) + bool(request.subdomain) > MAX_DOMAINS:
        raise ProxyError(f"a proxy may have {MAX_DOMAINS} domains")
    domains = [_custom_domain(domain, subdomain_host) for domain in custom]
    if request.subdomain:
        domains.append(_subdomain(request.subdomain, subdomain_host))
    return domains


def _custom_domain(domain: str, subdomain_host: str) -> str:
    name = _checked("custom domain", domain)
    if subdomain_host and name.endswith(f".{canonical_domain(subdomain_host)}"):
        raise ProxyError(
            f"custom domain [{domain}] should not belong to subdomain_host [{subdomain_host}]"
        )
    return name


def _subdomain(subdomain: str, subdomain_host: str) -> str:
    if not subdomain_host:
        raise ProxyError(
            "subdomain is not supported because this feature is not enabled in remote frps"
        )
    # IDNA turns some other letters into dots and stars.
    label = subdomain if len(subdomain) > MAX_DOMAIN_BYTES else canonical_domain(subdomain)
    if set(".*") & {*subdomain, *label}:
        raise ProxyError("'.' and '*' is not supported in subdomain")
    return _checked("subdomain", f"{label}.{subdomain_host}")


def _checked(what: str, domain: str) -> str:
    """Return a domain in its canonical spelling if it is one."""
    # The length comes first: it bounds the work of the rest.
    name = canonical_domain(domain) if len(domain) <= MAX_DOMAIN_BYTES else ""
    well_formed = name == ANY_DOMAIN or _HOST_NAME.fullmatch(name) or _is_ipv6(name)
    if not well_formed or len(name) > MAX_DOMAIN_BYTES:
        raise ProxyError(f"{what} {domain[:MAX_DOMAIN_BYTES]!r} is not a host name")
    return name


def _is_ipv6(name: str) -> bool:
    try:
        return not ipaddress.IPv6Address(name).scope_id
    except ValueError:
        return False


def _with_port(domain: str, port: int) -> str:
    return f"[{domain}]:{port}" if ":" in domain else f"{domain}:{port}"
