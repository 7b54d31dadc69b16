from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import ProxyError
from frpd.proto.message.types import NewProxy
from frpd.server.vhost.names import (
    MAX_DOMAIN_BYTES,
    MAX_DOMAINS,
    MAX_LOCATIONS,
    domains_of,
    locations_of,
    remote_addr,
    routes_of,
)

HOST = "sub.example.test"
PREFIX = "proxy [me.web] domain conf check error: "


def asks(*domains: str, subdomain: str = "", locations: tuple[str, ...] = ()) -> NewProxy:
    return NewProxy(
        proxy_name="me.web",
        proxy_type="http",
        custom_domains=list(domains),
        subdomain=subdomain,
        locations=list(locations),
    )


def refusal(request: NewProxy, subdomain_host: str = HOST) -> str:
    with pytest.raises(ProxyError) as caught:
        domains_of(request, subdomain_host)
    text = str(caught.value)
    assert text.startswith(PREFIX)
    return text.removeprefix(PREFIX)


@pytest.mark.parametrize(
    ("domain", "name"),
    [
        ("web.test", "web.test"),
        ("Web.TEST.", "web.test"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("BÜCHER.test", "xn--bcher-kva.test"),
        ("*", "*"),
        ("*.Web.test", "*.web.test"),
        ("*.test", "*.test"),
        ("localhost", "localhost"),
        ("my_host-.test", "my_host-.test"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[::1]", "::1"),
        ("a" * 63 + ".test", "a" * 63 + ".test"),
        # the host itself, its neighbours and what lies above it may be had
        (HOST, HOST),
        ("x" + HOST, "x" + HOST),
        ("*.example.test", "*.example.test"),
    ],
)
def test_a_custom_domain_gets_its_canonical_spelling(domain: str, name: str) -> None:
    assert domains_of(asks(domain), HOST) == [name]


@pytest.mark.parametrize(
    "domain",
    [
        ".",
        "*.",
        "**.test",
        "*.*.test",
        "a.*.test",
        "*test",
        "a..test",
        ".test",
        "a b.test",
        "a.test:80",
        "http://a.test",
        "a.test/x",
        "a\x00.test",
        "a.test\n",
        "[::1",
        "fe80::1%eth0",
        "*.::1",
        "1:2",
        "a" * 64 + ".test",
        "a." * 126 + "ab",
        "*." * 5000,
        "ü" * 5000,
        "ü" * 250,
    ],
)
def test_what_is_no_domain_is_refused_by_its_name(domain: str) -> None:
    assert refusal(asks("a.test", domain)) == (
        f"custom domain {domain[:MAX_DOMAIN_BYTES]!r} is not a host name"
    )


@pytest.mark.parametrize(
    ("domain", "host"),
    [
        ("a.sub.example.test", HOST),
        ("b.a.sub.example.test", HOST),
        ("*.sub.example.test", HOST),
        ("A.Sub.example.TEST.", HOST),
        ("a.sub。example.test", HOST),
        ("a.bücher.test", "Bücher.test"),
    ],
)
def test_a_custom_domain_may_not_belong_to_the_subdomain_host(domain: str, host: str) -> None:
    text = f"custom domain [{domain}] should not belong to subdomain_host [{host}]"
    assert refusal(asks("a.test", domain), host) == text
    assert len(domains_of(asks("a.test", domain), "")) == 2


def test_a_subdomain_stands_below_the_host_and_behind_the_custom_domains() -> None:
    assert domains_of(asks(subdomain="Web"), HOST) == ["web.sub.example.test"]
    assert domains_of(asks("b.test", "a.test", subdomain="bücher"), HOST) == [
        "b.test",
        "a.test",
        "xn--bcher-kva.sub.example.test",
    ]


@pytest.mark.parametrize("subdomain", [".", "a.b", "a.", "*", "*a", "a。b", "\uff0a", "a\uff0eb"])
def test_a_subdomain_is_one_label(subdomain: str) -> None:
    assert refusal(asks(subdomain=subdomain)) == "'.' and '*' is not supported in subdomain"


@pytest.mark.parametrize("subdomain", ["a b", "a\n", "a" * 64, "a:b", "a/b", "a" * 5000])
def test_a_subdomain_is_part_of_a_host_name(subdomain: str) -> None:
    full = f"{subdomain}.{HOST}"[:MAX_DOMAIN_BYTES]
    assert refusal(asks(subdomain=subdomain)) == f"subdomain {full!r} is not a host name"


def test_frp_s_words() -> None:
    assert refusal(asks(subdomain="a"), "") == (
        "subdomain is not supported because this feature is not enabled in remote frps"
    )
    nothing = "custom_domains and subdomain should set at least one of them"
    assert refusal(asks()) == nothing
    assert refusal(asks("", "")) == nothing


def test_empty_domains_count_as_left_out() -> None:
    assert domains_of(asks("", "a.test", ""), HOST) == ["a.test"]
    assert domains_of(asks("", subdomain="a"), HOST) == ["a.sub.example.test"]


def test_the_number_of_domains_is_bounded() -> None:
    most = [f"n{number}.test" for number in range(MAX_DOMAINS)]
    assert domains_of(asks(*most), HOST) == most
    assert len(domains_of(asks(*most[1:], subdomain="a"), HOST)) == MAX_DOMAINS
    for request in (asks(*most, "a.test"), asks(*most, subdomain="a")):
        assert refusal(request) == "a proxy may have 100 domains"


def test_the_number_of_locations_is_bounded() -> None:
    most = tuple(f"/{number}" for number in range(MAX_LOCATIONS))
    assert locations_of(asks("a.test", locations=most)) == list(most)
    with pytest.raises(ProxyError) as caught:
        routes_of(asks("a.test", locations=(*most, "/x")), HOST)
    assert str(caught.value) == f"{PREFIX}a proxy may have 100 locations"


def test_a_route_is_a_location_in_a_domain() -> None:
    request = asks("A.test", subdomain="b", locations=("/y", "/X"))
    assert routes_of(request, HOST) == [
        ("a.test", "/y"),
        ("a.test", "/X"),
        ("b.sub.example.test", "/y"),
        ("b.sub.example.test", "/X"),
    ]


@pytest.mark.parametrize("locations", [(), ("",)])
def test_no_location_means_every_path(locations: tuple[str, ...]) -> None:
    assert routes_of(asks("a.test", locations=locations), HOST) == [("a.test", "")]


@pytest.mark.parametrize(
    ("domains", "locations", "port", "told"),
    [
        (["a.test"], [""], 8080, "a.test:8080"),
        (["a.test"], [""], 80, "a.test"),
        (["a.test"], [""], 443, "a.test"),
        (["a.test", "b.test"], [""], 8080, "a.test:8080,b.test:8080"),
        (["a.test", "b.test"], ["/x", "/y"], 80, "a.test,a.test,b.test,b.test"),
        (["*.a.test", "*"], [""], 81, "*.a.test:81,*:81"),
        (["::1"], [""], 81, "[::1]:81"),
        (["::1"], [""], 80, "::1"),
        (["a.test"], [""], 0, ""),
    ],
)
def test_what_the_client_is_told(
    domains: list[str], locations: list[str], port: int, told: str
) -> None:
    assert remote_addr(domains, locations, port) == told


@given(st.text(max_size=300), st.text(max_size=70))
def test_any_text_gives_canonical_domains_or_a_proxy_error(domain: str, subdomain: str) -> None:
    try:
        domains = domains_of(asks(domain, subdomain=subdomain), HOST)
    except ProxyError:
        return
    assert domains_of(asks(*domains), "") == domains
    assert all(name.isascii() and name.isprintable() for name in domains)
