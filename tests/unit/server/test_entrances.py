"""Entrances: which ports frps listens on, and what is spoken where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frpd.config.ports import PortSet
from frpd.config.server import ServerConfig
from frpd.net.listener import ListenError
from frpd.net.socket_store import TCP, UDP, Place, SocketStore
from frpd.server.entrances import Entrance, Speech, bind_entrances, entrances, still_wanted
from tests.helpers.ports import free_port

HERE = "127.0.0.1"


def config(bind: int, http: int = 0, https: int = 0, proxies: str = HERE) -> ServerConfig:
    return ServerConfig(
        bind_addr=HERE,
        proxy_bind_addr=proxies,
        bind_port=bind,
        vhost_http_port=http,
        vhost_https_port=https,
        tcp_keepalive=77,
    )


@pytest.mark.parametrize(
    ("ports", "speeches"),
    [
        ((7000, 0, 0), {7000: Speech.FRP}),
        ((7000, 80, 443), {7000: Speech.FRP, 80: Speech.HTTP, 443: Speech.HTTPS}),
        ((7000, 7000, 0), {7000: Speech.FRP | Speech.HTTP}),
        ((7000, 0, 7000), {7000: Speech.FRP | Speech.HTTPS}),
        ((7000, 7000, 7000), {7000: Speech.FRP | Speech.HTTP | Speech.HTTPS}),
        ((7000, 80, 80), {7000: Speech.FRP, 80: Speech.HTTP | Speech.HTTPS}),
    ],
)
def test_keys_with_the_same_port_share_it(
    ports: tuple[int, int, int], speeches: dict[int, Speech]
) -> None:
    wanted = entrances(config(*ports))
    assert {one.port: one.speech for one in wanted} == speeches
    assert wanted[0].port == 7000


def test_another_address_is_another_port() -> None:
    wanted = entrances(config(7000, 7000, proxies="127.0.0.2"))
    assert wanted == [
        Entrance(HERE, 7000, Speech.FRP, 77),
        Entrance("127.0.0.2", 7000, Speech.HTTP),
    ]


def test_each_service_is_announced_in_the_words_of_frp() -> None:
    shared = Entrance(HERE, 7000, Speech.FRP | Speech.HTTP | Speech.HTTPS)
    assert shared.announce() == ["frps tcp", "http service", "https service"]
    assert Entrance(HERE, 80, Speech.HTTP).announce() == ["http service"]


def test_they_are_bound_in_order_or_not_at_all() -> None:
    ports = [free_port() for _ in range(3)]
    wanted = [Entrance(HERE, port, Speech.HTTP) for port in ports]
    bound = bind_entrances(wanted, SocketStore())
    assert [sock.getsockname()[1] for sock in bound] == ports
    with pytest.raises(ListenError):
        bind_entrances([Entrance(HERE, free_port(), Speech.HTTP), wanted[0]], SocketStore())
    for sock in bound:
        sock.close()
    for sock in bind_entrances(wanted, SocketStore()):  # the failure left nothing bound
        sock.close()


def test_the_next_process_keeps_what_its_settings_still_ask_for() -> None:
    settings = replace(
        config(7000, http=80),
        bind_udp_port=6001,
        allow_ports=PortSet.parse("80,6000-6009,7000,7500"),
    )
    wanted = still_wanted(settings, [("0.0.0.0", 7500), (HERE, 0)])
    kept = [
        (Place(TCP, HERE, 7000), ""),
        (Place(TCP, HERE, 80), ""),
        (Place(TCP, "*", 7500), ""),
        (Place(TCP, HERE, 6000), "proxy%20ssh"),
        (Place(TCP, HERE, 6001), "proxy%20ssh"),
        (Place(UDP, HERE, 6000), "proxy%20dns"),
        (Place(UDP, HERE, 6001), ""),
        (Place(UDP, HERE, 7500), "proxy%20dns"),  # another book than that of TCP
        (Place(TCP, HERE, 7000), "proxy%20ssh"),  # the program takes it over
    ]
    closed = [
        (Place(TCP, "*", 7000), ""),
        (Place(TCP, HERE, 443), ""),
        (Place(TCP, HERE, 6001), ""),
        (Place(UDP, HERE, 6000), ""),
        (Place(TCP, HERE, 7500), "proxy%20ssh"),  # would be in the dashboard's way
        (Place(TCP, HERE, 6010), "proxy%20ssh"),
        (Place(TCP, "*", 6000), "proxy%20ssh"),
        (Place(TCP, HERE, 6000), ""),
    ]
    assert [one for one in kept if not wanted(*one)] == []
    assert [one for one in closed if wanted(*one)] == []
