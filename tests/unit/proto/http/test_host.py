from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.proto.http.host import canonical_domain, canonical_host, port_of
from tests.unit.proto.http.corpus import FOLDER

RECORDED = json.loads((FOLDER / "vhost_routing_v070.json").read_text(encoding="utf-8"))
# A literal keeps its brackets in frp if no port follows, so that "[::1]" and "[::1]:80" are
# two hosts there. That is an accident: one is the other with the default port.
OURS = {"[::1]": "::1"}


@pytest.mark.parametrize("case", RECORDED["canonical_host"], ids=lambda case: repr(case["in"]))
def test_hosts_are_spelled_as_in_frp(case: dict[str, str]) -> None:
    assert canonical_host(case["in"]) == OURS.get(case["in"], case["out"])


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("example.com:", "example.com"),
        ("EXAMPLE.com:8080", "example.com"),
        ("example.com..", "example.com."),
        ("[2001:DB8::A]:8080", "2001:db8::a"),
        ("[::1", "[::1"),
        ("[::1]x", "[::1]x"),
        ("host:http", "host:http"),
        (":80", ""),
        (".", ""),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example:80", "xn--bcher-kva.example"),
        ("bücher.example.", "xn--bcher-kva.example"),
        ("bücher.example".encode().decode("latin-1"), "xn--bcher-kva.example"),
        ("日本.example:80".encode().decode("latin-1"), "xn--wgv71a.example"),
        ("日本。example", "xn--wgv71a.example"),
        ("xn--bcher-KVA.example", "xn--bcher-kva.example"),
        ("a_b.example", "a_b.example"),
        ("\xff.example", "xn--wda.example"),
        ("\xe9..x", "\xe9..x"),
        ("\xe9" * 256, "\xe9" * 256),
    ],
)
def test_one_spelling_for_each_host(authority: str, host: str) -> None:
    assert canonical_host(authority) == host


@pytest.mark.parametrize(
    ("domain", "canonical"),
    [
        ("", ""),
        ("*", "*"),
        ("Example.COM.", "example.com"),
        ("*.Example.com", "*.example.com"),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        ("Ã©.example", "xn--gba9i.example"),  # text, not bytes of UTF-8
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_configured_domains_have_the_same_spelling(domain: str, canonical: str) -> None:
    assert canonical_domain(domain) == canonical


@given(st.text(max_size=30))
def test_any_text_has_a_spelling_that_is_stable(text: str) -> None:
    canonical_host(text)
    domain = canonical_domain(text)
    if domain.isascii() and not domain.endswith("."):
        assert canonical_domain(domain) == domain


@pytest.mark.parametrize(
    ("authority", "port"),
    [
        ("a.example", 80),
        ("a.example:", 80),
        ("a.example:8080", 8080),
        ("[::1]", 80),
        ("[::1]:", 80),
        ("[2001:db8::80]", 80),
        ("[2001:db8::1]:8080", 8080),
        ("2001:db8::1", 80),
        ("a.example:http", 80),
    ],
)
def test_a_port_stands_behind_the_host_and_nowhere_else(authority: str, port: int) -> None:
    assert port_of(authority, 80) == port
