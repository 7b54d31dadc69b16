"""URLs of proxies on frpc's way, and whom NO_PROXY excepts."""

from __future__ import annotations

from collections.abc import Iterator

from frpd.config.upstream import (
    DEFAULT_PORTS,
    is_exempt,
    is_loopback,
    parse_upstream,
    upstream_from_environment,
)
from frpd.errors import ConfigError
from fuzz.reading import Choices

WORDS = (b"://", b"socks5h", b"https", b"@[", b"]:", b"%40", b"::ffff:", b"/8", b"%25eth0")


def one(data: bytes) -> None:
    """Only ConfigError comes out, without the password; what was read is a host and a port."""
    choices = Choices(data)
    form = choices.byte()
    text = choices.rest().decode("utf-8", "surrogateescape")
    is_loopback(text)
    for host in ("frps.example", "192.0.2.1", text[:60]):
        is_exempt(text, host, 7000)
    try:
        proxy = parse_upstream(text)
        upstream_from_environment({"http_proxy": text, "no_proxy": text[form:]}, "a", 7000)
    except ConfigError as error:
        secret = text.rpartition("@")[0].partition(":")[2].rpartition(":")[2]
        assert len(secret) < 8 or not secret.isalnum() or secret not in str(error)
        return
    assert proxy.scheme in DEFAULT_PORTS
    assert proxy.host
    assert 1 <= proxy.port <= 65535
    again = parse_upstream(str(proxy).replace("%", "%25") if "%" in proxy.host else str(proxy))
    assert (again.scheme, again.host, again.port) == (proxy.scheme, proxy.host, proxy.port)


def seeds() -> Iterator[bytes]:
    """Yield URLs with everything that may stand in them."""
    for text in (
        "http://user:p%40ss@proxy.example:3128/",
        "socks5://u:p@[2001:db8::1]:1080",
        "proxy:3128",
        "socks5h://[fe80::1%25eth0]",
        "https://a@b:c@d",
        ".example,10.0.0.0/8 *.b:7000,[::1]:5",
        "ftp://x",
    ):
        yield b"\x03" + text.encode()
