"""Host names: as visitors write them, as proxies ask for them, and the routes between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from frpd.errors import ProxyError
from frpd.proto.http.host import canonical_domain, canonical_host, port_of
from frpd.proto.message.types import NewProxy
from frpd.server.vhost.names import MAX_DOMAINS, domains_of, remote_addr, routes_of
from frpd.server.vhost.router import ANY_DOMAIN, Router
from fuzz.reading import Choices

_SUBDOMAIN_HOST: Final = "sub.example"


def one(data: bytes) -> None:
    """A domain that was granted is found by whoever writes it; none belongs to the server's own."""
    choices = Choices(data)
    form = choices.byte()
    text = choices.rest().decode("utf-8", "replace")
    host = canonical_host(text.encode("utf-8").decode("latin-1"))
    assert host == host.lower()
    assert 0 <= port_of(text, 80) <= 99999
    first, _, second = text.partition("\n")
    if form & 1:
        request = NewProxy(proxy_name="p", subdomain=first, locations=[second])
    else:
        request = NewProxy(proxy_name="p", custom_domains=first.split(","), locations=[second])
    try:
        domains = domains_of(request, _SUBDOMAIN_HOST)
        routes = routes_of(request, _SUBDOMAIN_HOST)
    except ProxyError:
        return
    assert len(domains) <= MAX_DOMAINS
    router: Router[str] = Router()
    for route in dict.fromkeys(routes):
        router.add(route.domain, route.location, "", route.domain)
    remote_addr(domains, request.locations, 8080)
    for domain in domains:
        _check(domain, router, second, is_sub=bool(form & 1))
    if not form & 1:
        _written_again(first, router, second)
    for route in dict.fromkeys(routes):
        router.remove(route.domain, route.location, "")
    assert router.find(domains[0], second, "") is None


def _check(domain: str, router: Router[str], path: str, *, is_sub: bool) -> None:
    assert domain.endswith(f".{_SUBDOMAIN_HOST}") == is_sub, domain
    assert domain == ANY_DOMAIN or canonical_domain(domain) == domain, domain
    if "*" not in domain:
        assert router.find(domain, path, "") == domain
        if ":" not in domain:
            assert canonical_host(domain) == domain
            assert canonical_host(f"{domain.upper()}.:80") == domain


def _written_again(domains: str, router: Router[str], path: str) -> None:
    """Ask as a visitor does who writes the name as the proxy's owner has written it."""
    for domain in domains.split(","):
        if domain and "*" not in domain and ":" not in domain:
            host = canonical_host(domain.encode("utf-8").decode("latin-1"))
            assert router.find(host, path, "") == canonical_domain(domain), (domain, host)


def seeds() -> Iterator[bytes]:
    """Yield names in many spellings."""
    for text in (
        "www.example.com,*.example.org\n/a",
        "B\u00fccher.example,xn--bcher-kva.example",
        "a.sub.example",
        "a\uff0esub\uff0eexample",
        "*",
        "[::1]",
        "::1",
        "\u0131.example,STRASSE.de,stra\u00dfe.de",
        "www.example.com.",
    ):
        yield b"\0" + text.encode()
    yield b"\x01www"
    yield b"\x01a\xe3\x80\x82b"
