"""Who really comes: PROXY protocol headers for services, and of balancers in front of frps."""

from __future__ import annotations

import socket

import pytest

from frpd.proto.proxy_protocol import VERSIONS, encode
from tests.helpers.balancer import GET, SOURCE, start_haproxy, start_mirror
from tests.helpers.ports import free_port
from tests.helpers.programs import SECONDS
from tests.helpers.stage import Stage, tcp
from tests.helpers.visitors import read_to_end, visit

NAME = "real.example.test"
ANN = ("203.0.113.9", 40_000)
LINE = encode("v1", ANN, ("198.51.100.1", 80))


@pytest.fixture(scope="module")
def mirror(module_stage: Stage) -> int:
    """Port of a service that takes the PROXY protocol only, and says what it said."""
    return start_mirror(module_stage)


def said(sock: socket.socket, data: bytes = GET) -> str:
    """Return the body of the answer."""
    with sock:
        sock.sendall(data)
        return read_to_end(sock).partition(b"\r\n\r\n")[2].decode()


def from_balancer(port: int) -> socket.socket:
    return socket.create_connection(
        ("127.0.0.1", port), timeout=SECONDS, source_address=(SOURCE, 0)
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_nginx_learns_who_comes_by_tcp_and_http(stage: Stage, mirror: int, version: str) -> None:
    bind, web, port = free_port(), free_port(), free_port()
    stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind, "vhost_http_port": web})
    told = {"proxy_protocol_version": version}
    http = {"type": "http", "local_port": mirror, "custom_domains": NAME}
    stage.frpc(
        {"server_addr": "127.0.0.1", "server_port": bind},
        {"tcp": {**tcp(mirror, port), **told}, "http": {**http, **told}},
    )
    visitor = visit(port)
    own = f"127.0.0.1:{visitor.getsockname()[1]}"
    assert said(visitor) == f"{own} []"
    visitor = visit(web)
    own = f"127.0.0.1:{visitor.getsockname()[1]}"
    assert said(visitor) == f"{own} [127.0.0.1]"


def test_what_a_balancer_says_is_true_everywhere_and_others_cannot_say_it(
    stage: Stage, mirror: int
) -> None:
    bind, web, port = free_port(), free_port(), free_port()
    frps = stage.frps(
        {
            "bind_addr": "127.0.0.1",
            "bind_port": bind,
            "vhost_http_port": web,
            "accept_proxy_protocol": SOURCE,
        }
    )
    told = {"proxy_protocol_version": "v2"}
    http = {"type": "http", "local_port": mirror, "custom_domains": NAME}
    stage.frpc(
        {"server_addr": "127.0.0.1", "server_port": bind},
        {"tcp": {**tcp(mirror, port), **told}, "http": {**http, **told}},
    )
    assert said(from_balancer(port), LINE + GET) == "203.0.113.9:40000 []"
    assert said(from_balancer(web), LINE + GET) == "203.0.113.9:40000 [203.0.113.9]"
    frps.wait_for(r"visitor 203\.0\.113\.9:40000 ")
    visitor = visit(port)
    own = f"127.0.0.1:{visitor.getsockname()[1]}"
    assert said(visitor) == f"{own} []"
    assert said(visit(web), LINE + GET) != "203.0.113.9:40000 [203.0.113.9]"
    with from_balancer(bind) as sock:
        sock.sendall(LINE + b"o" + bytes(20))
        frps.wait_for(r"203\.0\.113\.9:40000")


@pytest.mark.full
@pytest.mark.parametrize("version", VERSIONS)
def test_haproxy_in_front_of_frps_and_behind_frpc(stage: Stage, mirror: int, version: str) -> None:
    """Visitor, HAProxy, frps, frpc, HAProxy again, nginx: the last knows the first."""
    bind, port, service, door = free_port(), free_port(), free_port(), free_port()
    clients = free_port()
    sends = "send-proxy" if version == "v1" else "send-proxy-v2"
    frps = stage.frps(
        {"bind_addr": "127.0.0.1", "bind_port": bind, "accept_proxy_protocol": SOURCE}
    )
    start_haproxy(
        stage,
        {
            door: f" 127.0.0.1:{port} {sends} source {SOURCE}",
            clients: f" 127.0.0.1:{bind} {sends} source {SOURCE}",
            service: f"accept-proxy 127.0.0.1:{mirror} {sends}",
        },
    )
    told = {"proxy_protocol_version": version}
    stage.frpc(
        {"server_addr": "127.0.0.1", "server_port": clients},
        {"tcp": {**tcp(service, port), **told}},
    )
    frps.wait_for(r"client login info: ip \[127\.0\.0\.1:")
    visitor = visit(door)
    own = f"127.0.0.1:{visitor.getsockname()[1]}"
    assert said(visitor) == f"{own} []"
