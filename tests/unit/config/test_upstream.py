from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.config.secret import Secret
from frpd.config.upstream import (
    UpstreamProxy,
    is_exempt,
    parse_upstream,
    upstream_from_environment,
)
from frpd.errors import ConfigError

ACCEPTED = "accepted: http://user:password@host:port, https://..., socks5://..."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://p:3128", UpstreamProxy("http", "p", 3128)),
        (" HTTP://p.test ", UpstreamProxy("http", "p.test", 80)),
        ("https://p", UpstreamProxy("https", "p", 443)),
        ("socks5://10.0.0.2", UpstreamProxy("socks5", "10.0.0.2", 1080)),
        ("socks5h://p:1", UpstreamProxy("socks5h", "p", 1)),
        ("p:3128", UpstreamProxy("http", "p", 3128)),
        ("http://p:", UpstreamProxy("http", "p", 80)),
        ("http://p:3128/#frag", UpstreamProxy("http", "p", 3128)),
        ("http://p?x=1", UpstreamProxy("http", "p", 80)),
        ("http://[::1]:8080", UpstreamProxy("http", "::1", 8080)),
        ("http://[fd00::2]", UpstreamProxy("http", "fd00::2", 80)),
        ("http://[fe80::1%25eth0]:9", UpstreamProxy("http", "fe80::1%eth0", 9)),
        ("http://u@p", UpstreamProxy("http", "p", 80, "u")),
        ("http://@p", UpstreamProxy("http", "p", 80)),
        ("http://u:@p", UpstreamProxy("http", "p", 80, "u")),
        ("http://u:a:b@p", UpstreamProxy("http", "p", 80, "u", Secret("a:b"))),
        ("http://u:a/b?c#d@p", UpstreamProxy("http", "p", 80, "u", Secret("a/b?c#d"))),
        ("http://u:a@b@p", UpstreamProxy("http", "p", 80, "u", Secret("a@b"))),
        (
            "http://al%20ice:%40%2F%3a%25@p",
            UpstreamProxy("http", "p", 80, "al ice", Secret("@/:%")),
        ),
        ("http://u:%ff@p", UpstreamProxy("http", "p", 80, "u", Secret("\udcff"))),
    ],
)
def test_a_url_is_read(text: str, expected: UpstreamProxy) -> None:
    assert parse_upstream(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", f"it names no host; {ACCEPTED}"),
        ("http://", f"it names no host; {ACCEPTED}"),
        ("http://:3128", f"it names no host; {ACCEPTED}"),
        ("http://hunter2 x", f"it names no host; {ACCEPTED}"),
        ("http://hun%74er2", f"it names no host; {ACCEPTED}"),
        ("ntlm://u:hunter2@p:1", f"ntlm:// is no proxy that frpd can use; {ACCEPTED}"),
        ("socks4://p", f"socks4:// is no proxy that frpd can use; {ACCEPTED}"),
        ("u:hunter2://p", f"this is no proxy that frpd can use; {ACCEPTED}"),
        ("http://p:0", "what stands behind the host is no port; accepted: 1 to 65535"),
        ("http://p:65536", "what stands behind the host is no port; accepted: 1 to 65535"),
        ("http://u:hunter2", "what stands behind the host is no port; accepted: 1 to 65535"),
        ("http://u:hunter2/x", "what stands behind the host is no port; accepted: 1 to 65535"),
        ("http://u:hunter2%zz@p", "write % in user and password as %25"),
        ("http://:hunter2@p", f"there is a password and no user; {ACCEPTED}"),
        ("http://::1:80", f"more than one colon behind the host: write [IPv6]:port; {ACCEPTED}"),
        ("http://[::1", f"what stands in brackets is no IPv6 address; {ACCEPTED}"),
        ("http://[::1]80", f"what stands in brackets is no IPv6 address; {ACCEPTED}"),
        ("http://[10.0.0.1]", f"what stands in brackets is no IPv6 address; {ACCEPTED}"),
        ("http://[hunter2]:80", f"what stands in brackets is no IPv6 address; {ACCEPTED}"),
        (f"socks5://{'u' * 256}@p", "the user is too long; SOCKS5 takes 255 bytes"),
        (f"socks5://u:{'p' * 256}@p", "the password is too long; SOCKS5 takes 255 bytes"),
    ],
)
def test_what_is_wrong_with_a_url_is_told_without_its_password(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_upstream(text)
    assert str(caught.value) == why


@given(st.text(max_size=40))
def test_any_text_is_a_proxy_or_a_configuration_error(text: str) -> None:
    try:
        proxy = parse_upstream(text)
    except ConfigError:
        return
    assert 1 <= proxy.port <= 65535
    assert proxy.host


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://alice:hunter2@p:3128", "http://p:3128"),
        ("socks5://alice:hunter2@[::1]", "socks5://[::1]:1080"),
    ],
)
def test_it_is_shown_without_credentials(text: str, shown: str) -> None:
    proxy = parse_upstream(text)
    assert str(proxy) == shown
    assert "hunter2" not in repr(proxy)


# The environment.


def from_environment(**environ: str) -> str | None:
    proxy = upstream_from_environment(environ, "frps.test", 7000)
    return None if proxy is None else proxy.host


@pytest.mark.parametrize(
    ("environ", "host"),
    [
        ({}, None),
        ({"http_proxy": ""}, None),
        ({"http_proxy": "http://a"}, "a"),
        ({"HTTP_PROXY": "http://a"}, "a"),
        ({"https_proxy": "http://a"}, "a"),
        ({"HTTPS_PROXY": "http://a"}, "a"),
        ({"all_proxy": "socks5://a"}, "a"),
        ({"ALL_PROXY": "socks5h://a"}, "a"),
        ({"http_proxy": " ", "ALL_PROXY": "a"}, "a"),
        ({"http_proxy": "a", "HTTP_PROXY": "b", "ALL_PROXY": "c"}, "a"),
        ({"HTTP_PROXY": "b", "https_proxy": "c", "ALL_PROXY": "d"}, "b"),
        ({"HTTPS_PROXY": "c", "all_proxy": "d"}, "c"),
        ({"REQUEST_METHOD": "GET", "HTTP_PROXY": "evil"}, None),
        ({"REQUEST_METHOD": "GET", "HTTP_PROXY": "evil", "http_proxy": "a"}, "a"),
        ({"http_proxy": "a", "no_proxy": "other.test"}, "a"),
        ({"http_proxy": "a", "no_proxy": "frps.test"}, None),
        ({"http_proxy": "a", "NO_PROXY": "frps.test"}, None),
        ({"http_proxy": "a", "no_proxy": "other.test", "NO_PROXY": "*"}, "a"),
    ],
)
def test_the_first_variable_that_says_something_is_taken(
    environ: dict[str, str], host: str | None
) -> None:
    assert from_environment(**environ) == host


def test_a_variable_that_cannot_be_used_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        from_environment(ALL_PROXY="socks4://u:hunter2@p")
    assert str(caught.value) == (
        f"environment variable ALL_PROXY: socks4:// is no proxy that frpd can use; {ACCEPTED}"
    )


@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("localhost", True),
        ("LocalHost.", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("localhost.test", False),
        ("128.0.0.1", False),
        ("::2", False),
    ],
)
def test_a_server_on_this_machine_is_dialled_directly(name: str, host: str, near: bool) -> None:
    assert (upstream_from_environment({name: "http://a"}, host, 7000) is None) is near


def test_a_server_that_is_exempt_needs_no_proxy_that_works() -> None:
    assert from_environment(http_proxy="ntlm://p", no_proxy="*") is None


@pytest.mark.parametrize(
    ("exceptions", "host", "exempt"),
    [
        ("", "frps.test", False),
        ("*", "frps.test", True),
        ("a.test, frps.test", "frps.test", True),
        ("a.test frps.test", "frps.test", True),
        (",,", "frps.test", False),
        ("FRPS.test", "frps.TEST.", True),
        ("frps.test.", "frps.test", True),
        ("test", "frps.test", True),
        ("rps.test", "frps.test", False),
        (".test", "frps.test", True),
        ("*.test", "frps.test", True),
        (".frps.test", "frps.test", False),
        ("*.frps.test", "frps.test", False),
        (".", "frps.test", False),
        ("frps.test:7000", "frps.test", True),
        (".test:7000", "frps.test", True),
        ("frps.test:7001", "frps.test", False),
        ("frps.test:https", "frps.test", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1:7000", "10.0.0.1", True),
        ("10.0.0.1:7001", "10.0.0.1", False),
        ("10.0.0", "10.0.0.1", False),
        (".0.0.1", "10.0.0.1", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.1.2.3/8", "10.9.9.9", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "frps.test", False),
        ("10.0.0.0/99, 10.0.0.1", "10.0.0.1", True),
        ("fd00::/8", "fd00::1", True),
        ("fd00::/8", "10.0.0.1", False),
        ("::1", "[::1]", True),
        ("[0:0::1]:7000", "::1", True),
        ("[::1]:7001", "::1", False),
        ("[::1]", "::1", True),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("10.0.0.0/8", "::ffff:10.0.0.1", True),
        ("localhost", "127.0.0.1", False),
        ("other.test", "localhost", False),
    ],
)
def test_exceptions_name_servers(exceptions: str, host: str, exempt: bool) -> None:
    assert is_exempt(exceptions, host, 7000) is exempt


@given(st.text(max_size=30), st.text(max_size=20))
def test_any_list_of_exceptions_has_an_answer(exceptions: str, host: str) -> None:
    assert is_exempt(exceptions, host, 7000) in {True, False}
