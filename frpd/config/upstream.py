"""The proxy on frpc's way to the server: the key ``http_proxy`` and the environment.

The key wins. Only where it is not set the environment is asked, and only the environment
knows exceptions (NO_PROXY). A password is never part of a message, nor is any other piece
of the text: where it is malformed, the piece may be the password.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from frpd.config.secret import NO_SECRET, Secret
from frpd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""By scheme. Go frp has no defaults: it fails to dial without a port."""

ACCEPTED: Final = "accepted: http://user:password@host:port, https://..., socks5://..."
MAX_SOCKS_BYTES: Final = 255  # of a user and of a password

# First come, first taken. Go frp reads http_proxy alone; in capitals it comes from a request's
# "Proxy:" header where a web server runs us (CGI), so it does not count there.
VARIABLES: Final = (
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
)
EXCEPTIONS: Final = ("no_proxy", "NO_PROXY")

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]{0,20}"
_BAD_ESCAPE = r"%(?![0-9A-Fa-f]{2})"
_NOT_IN_A_HOST = r"[\s\x00-\x20\x7f%\\\[\]<>^`{|}\"]"


@dataclass(frozen=True, slots=True)
class UpstreamProxy:
    """A proxy to the server.

    Attributes:
        scheme: http, https, socks5 or socks5h; the last two mean the same: the server's
            name is looked up by the proxy.
        host: a name, or an address without brackets.
        port: its port.
        user: empty if there are no credentials.
        password: bytes that are not UTF-8 are surrogates in it, as in ``user``.
    """

    scheme: str
    host: str
    port: int
    user: str = ""
    password: Secret = NO_SECRET

    def __str__(self) -> str:
        """Return it without its credentials, for logs and errors."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_upstream(text: str) -> UpstreamProxy:
    """Read a proxy's URL; without a scheme it is http, as curl and others take it.

    A path, query or fragment means nothing and is dropped, as by Go.

    Raises:
        ConfigError: what is wrong, without any of the text but its scheme.
    """
    scheme, separator, rest = text.strip().partition("://")
    if not separator:
        scheme, rest = "http", scheme
    scheme = scheme.lower()
    if scheme not in DEFAULT_PORTS:
        named = f"{scheme}:// is" if re.fullmatch(_SCHEME, scheme) else "this is"
        raise ConfigError(f"{named} no proxy that frpd can use; {ACCEPTED}")
    # A password may hold what elsewhere ends the host: people do not escape it.
    userinfo, at, address = rest.rpartition("@")
    address = re.split(r"[/?#]", address, maxsplit=1)[0]
    host, port = _split_address(address, DEFAULT_PORTS[scheme])
    user, _, password = userinfo.partition(":")
    proxy = UpstreamProxy(scheme, host, port, _unescape(user), Secret(_unescape(password)))
    _check_credentials(proxy, given=bool(at and userinfo))
    return proxy


def _split_address(address: str, default_port: int) -> tuple[str, int]:
    if address.startswith("["):
        host, bracket, tail = address[1:].partition("]")
        host = host.replace("%25", "%", 1)  # the zone, as URLs have it
        if not bracket or tail[:1] not in {"", ":"} or not _is_ipv6(host):
            raise ConfigError(f"what stands in brackets is no IPv6 address; {ACCEPTED}")
        return host, _port(tail[1:], default_port)
    host, _, port = address.partition(":")
    if ":" in port:
        raise ConfigError(f"more than one colon behind the host: write [IPv6]:port; {ACCEPTED}")
    if not host or re.search(_NOT_IN_A_HOST, host):
        raise ConfigError(f"it names no host; {ACCEPTED}")
    return host, _port(port, default_port)


def _port(text: str, default_port: int) -> int:
    if not text:
        return default_port
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ConfigError("what stands behind the host is no port; accepted: 1 to 65535")
    return int(text)


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def _unescape(text: str) -> str:
    if re.search(_BAD_ESCAPE, text):
        raise ConfigError("write % in user and password as %25")
    return unquote(text, errors="surrogateescape")


def _check_credentials(proxy: UpstreamProxy, *, given: bool) -> None:
    """Refuse what the proxy's protocol cannot carry."""
    if given and not proxy.user:
        raise ConfigError(f"there is a password and no user; {ACCEPTED}")
    if not proxy.scheme.startswith("socks"):
        return
    for name, text in (("user", proxy.user), ("password", proxy.password.reveal())):
        if len(text.encode("utf-8", "surrogateescape")) > MAX_SOCKS_BYTES:
            raise ConfigError(f"the {name} is too long; SOCKS5 takes {MAX_SOCKS_BYTES} bytes")


def upstream_from_environment(
    environ: Mapping[str, str], server_host: str, server_port: int
) -> UpstreamProxy | None:
    """Return the proxy that the environment names for a server, if it names one.

    To be asked only if the key ``http_proxy`` is not set, which wins. Of the variables the
    first that is not empty is taken: http_proxy, https_proxy, all_proxy, each before its
    capitals. HTTP_PROXY does not count under CGI (REQUEST_METHOD is set). NO_PROXY lists
    servers to be dialled directly; those on loopback always are, as with Go's net/http and
    unlike Go frp, since a proxy's loopback is not ours.

    Raises:
        ConfigError: what is wrong with the variable, which is named.
    """
    for name in VARIABLES:
        text = environ.get(name, "").strip()
        if not text or (name == "HTTP_PROXY" and "REQUEST_METHOD" in environ):
            continue
        exceptions = _first(environ, EXCEPTIONS)
        if is_loopback(server_host) or is_exempt(exceptions, server_host, server_port):
            return None
        try:
            return parse_upstream(text)
        except ConfigError as error:
            raise ConfigError(error.message, key=f"environment variable {name}") from None
    return None


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := environ.get(name, "").strip())), "")


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its name or its address."""
    host = _bare(host)
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def is_exempt(exceptions: str, host: str, port: int) -> bool:
    """Return whether a NO_PROXY list names a server.

    Its entries are apart by commas or blanks: ``*``, an address, a network such as
    10.0.0.0/8, a name (with all below it), .name or *.name (only what is below it); all but
    networks may have a port. What is none of these names nobody.
    """
    host = _bare(host)
    entries = (entry.lower() for entry in re.split(r"[,\s]+", exceptions) if entry)
    return any(_names(entry, host, port) for entry in entries)


def _bare(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    address = _address(host)
    if "/" in entry:
        return address is not None and any(address in network for network in _networks(entry))
    pattern, wanted_port = _split_entry(entry)
    if wanted_port not in {"", str(port)}:
        return False
    if address is not None:
        return _address(pattern) == address
    pattern = pattern.removeprefix("*").rstrip(".")
    if pattern.startswith("."):
        return len(pattern) > 1 and host.endswith(pattern)
    return bool(pattern) and (host == pattern or host.endswith(f".{pattern}"))


def _split_entry(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        pattern, _, tail = entry[1:].partition("]")
        return pattern, tail.removeprefix(":")
    if entry.count(":") == 1:
        pattern, _, port = entry.partition(":")
        return pattern, port
    return entry, ""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def _networks(text: str) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        yield ipaddress.ip_network(text, strict=False)
    except ValueError:
        return
