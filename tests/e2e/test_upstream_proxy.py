"""frpc behind real proxies: HTTP CONNECT through tinyproxy, SOCKS5 through microsocks."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.helpers.authority import Authority
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN
from tests.helpers.proxies import PASSWORD, USER, Proxy, in_tls, start_microsocks, start_tinyproxy
from tests.helpers.services import Service
from tests.helpers.stage import Stage, started, tcp
from tests.helpers.visitors import echoes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helpers.programs import Program

    Start = Callable[..., Proxy]

WRONG = "wr0ng"
# The environment's proxy is not asked for loopback; this is a name to us, and 127.0.0.1 to libc.
NEARBY = "127.1"
STARTS: dict[str, Start] = {"http": start_tinyproxy, "socks5": start_microsocks}


@pytest.fixture(scope="module")
def proxies(module_stage: Stage) -> dict[tuple[str, bool], Proxy]:
    """One of each kind, open and locked."""
    return {
        (scheme, locked): start(module_stage, locked=locked)
        for scheme, start in STARTS.items()
        for locked in (False, True)
    }


@dataclass(slots=True)
class Route:
    """A way through a proxy."""

    scheme: str
    locked: bool
    mux: bool
    client: dict[str, object] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The server, as the proxy is asked for it."""
        return str(self.client.get("server_addr", "127.0.0.1"))


ROUTES = {
    "http": Route("http", locked=False, mux=True),
    # tinyproxy tries all addresses of a name.
    "http, locked": Route(
        "http", locked=True, mux=False, client={"server_addr": "localhost", "tls_enable": True}
    ),
    "socks5": Route("socks5", locked=False, mux=False, client={"protocol": "websocket"}),
    "socks5, locked": Route("socks5", locked=True, mux=True),
}


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_a_tunnel_goes_through_a_proxy(
    stage: Stage, proxies: dict[tuple[str, bool], Proxy], echo_port: int, route: Route
) -> None:
    proxy = proxies[route.scheme, route.locked]
    before = proxy.tunnels()
    url = proxy.url(USER, PASSWORD) if route.locked else proxy.url()
    tunnel = stage.tunnel(
        {"echo": echo_port}, mux=route.mux, client={"http_proxy": url, **route.client}
    )
    assert echoes(tunnel.ports["echo"], b"through a proxy " * 50_000)
    proxy.wait_for_tunnel(route.host, tunnel.bind_port)
    if not route.mux:
        assert proxy.tunnels() - before >= 2, "the work connection went another way"


@pytest.mark.parametrize(
    ("scheme", "user", "why"),
    [
        ("http", "", "407 Proxy Authentication Required: it wants a user and a password"),
        ("http", USER, "401 Unauthorized: it does not accept the user and password given"),
        ("socks5", "", "it wants a user and a password, and none are given"),
        ("socks5", USER, "it does not accept the user and password given"),
    ],
)
def test_a_locked_proxy_is_told_from_a_server_that_is_away(
    stage: Stage, proxies: dict[tuple[str, bool], Proxy], scheme: str, user: str, why: str
) -> None:
    proxy, port = proxies[scheme, True], free_port()
    common = {"server_addr": "127.0.0.1", "server_port": port}
    frpc = stage.frpc({**common, "http_proxy": proxy.url(user, WRONG)}, {})
    assert frpc.wait() != 0
    assert f"proxy {proxy.url()}, asked for 127.0.0.1:{port}: {why}" in frpc.output
    assert WRONG not in frpc.output


def frpc_with(
    stage: Stage, server_port: int, local_port: int, **environ: str
) -> tuple[Program, int]:
    """Start frpc with one proxy and this environment only; return it and the visitors' port."""
    visitors = free_port()
    common = {"server_addr": NEARBY, "server_port": server_port}
    path = stage.write({"common": common, "echo": tcp(local_port, visitors)})
    frpc = stage.start("frpc", str(BIN / "frpc"), "-c", str(path), env=environ)
    return frpc, visitors


@pytest.fixture
def server_port(stage: Stage) -> int:
    port = free_port()
    stage.frps({"bind_addr": "127.0.0.1", "bind_port": port})
    return port


def test_the_environment_names_a_proxy(
    stage: Stage, proxies: dict[tuple[str, bool], Proxy], server_port: int, echo_port: int
) -> None:
    proxy = proxies["socks5", False]
    frpc, visitors = frpc_with(stage, server_port, echo_port, ALL_PROXY=proxy.url())
    frpc.wait_for(started("echo"))
    assert echoes(visitors)
    proxy.wait_for_tunnel(NEARBY, server_port)


def test_the_environment_names_servers_that_need_no_proxy(
    stage: Stage, server_port: int, echo_port: int
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    excepted = f"192.0.2.0/24, {NEARBY}:{server_port}"
    frpc, visitors = frpc_with(stage, server_port, echo_port, http_proxy=nobody, NO_PROXY=excepted)
    frpc.wait_for(started("echo"))
    assert echoes(visitors)


def test_frpc_comes_from_the_address_asked_for(
    stage: Stage, proxies: dict[tuple[str, bool], Proxy], echo_port: int
) -> None:
    proxy = proxies["socks5", False]
    client = {"http_proxy": proxy.url(), "connect_server_local_ip": "127.0.0.7"}
    tunnel = stage.tunnel({"echo": echo_port}, client=client)
    assert echoes(tunnel.ports["echo"])
    proxy.program.wait_for(rf"127\.0\.0\.7: connected to 127\.0\.0\.1:{tunnel.bind_port}\b")


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "unknown"])
def test_the_way_to_the_proxy_may_be_in_tls(
    stage: Stage,
    proxies: dict[tuple[str, bool], Proxy],
    server_port: int,
    echo_port: int,
    trusted: bool,
) -> None:
    proxy, authority = proxies["http", True], Authority(stage.folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("127.0.0.1"))
    known = {"SSL_CERT_FILE": authority.ca_file if trusted else "/dev/null"}
    with Service(in_tls(context, proxy.port)) as front:
        url = f"https://{USER}:{PASSWORD}@127.0.0.1:{front.port}"
        frpc, visitors = frpc_with(stage, server_port, echo_port, HTTPS_PROXY=url, **known)
        if trusted:
            frpc.wait_for(started("echo"))
            assert echoes(visitors, b"through a proxy " * 50_000)
            proxy.wait_for_tunnel(NEARBY, server_port)
        else:
            frpc.wait_for("certificate")
            assert frpc.wait() != 0
