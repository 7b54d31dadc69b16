"""Both ends of a visit: the opened work connection, and what joins it to a service.

How ciphers and compression come off is tests/unit/client/proxies/test_general.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from frpd.client.proxies.work_leg import introduce, join, open_work, refuse_work, source_of
from frpd.config.proxies import TcpProxyConfig
from frpd.metrics.counters import ProxyCounters
from frpd.net.transform import TransformEndpoint
from frpd.proto.message.types import StartWorkConn
from frpd.proto.native import HALF_CLOSE
from frpd.relay.limiter import Limiter
from frpd.transports.work import WorkStream
from tests.helpers.endpoint import ScriptedEndpoint
from tests.helpers.world import World
from tests.unit.client.conftest import world
from tests.unit.client.plugins.stage import context_of

__all__ = ["world"]


@pytest.mark.parametrize("encrypt", [False, True])
def test_a_work_connection_is_wrapped_as_configured(world: World, encrypt: bool) -> None:
    config = TcpProxyConfig(name="a", section="a", use_encryption=encrypt)
    work = ScriptedEndpoint(world.loop)
    opened = open_work(context_of(world), config, WorkStream(work))
    assert isinstance(opened, TransformEndpoint) == encrypt
    assert (opened is work) == (not encrypt)


@pytest.mark.parametrize(
    ("features", "act"), [(frozenset(), "close"), (frozenset({HALF_CLOSE}), "abort")]
)
def test_a_refused_visitor_hears_it_at_once(
    world: World, features: frozenset[str], act: str
) -> None:
    work = ScriptedEndpoint(world.loop)
    refuse_work(context_of(world, features), work)
    assert work.acts == [act]


@pytest.mark.parametrize(
    ("address", "source"),
    [("9.9.9.9", "9.9.9.9:99"), ("2001:db8::1", "[2001:db8::1]:99"), ("", "visitor")],
)
def test_a_visitor_has_a_name_for_the_log(address: str, source: str) -> None:
    start = StartWorkConn(proxy_name="a", src_addr=address, src_port=99)
    assert source_of(start) == source


def test_joined_they_are_a_relay_that_is_counted(world: World) -> None:
    local, work = ScriptedEndpoint(world.loop), ScriptedEndpoint(world.loop)
    counters = ProxyCounters()
    counters.opened()
    join(context_of(world), counters, local, work, source="s", begun=0.0)
    work.say(b"question")
    local.say(b"answer")
    world.turn(3)
    local.end()
    work.end()
    world.turn(3)
    assert (local.got, work.got) == (b"question", b"answer")
    assert counters == ProxyCounters(0, 1, bytes_in=8, bytes_out=6)


@pytest.mark.parametrize(
    ("version", "fields", "told"),
    [
        ("v1", {"dst_addr": "198.51.100.1", "dst_port": 80}, b"192.0.2.7 198.51.100.1 5 80\r\n"),
        ("v1", {}, b"192.0.2.7 127.0.0.1 5 0\r\n"),
        ("v2", {}, b"\xc0\0\2\7\x7f\0\0\1\0\5\0\0"),
        ("v1", {"src_addr": ""}, b""),
        ("v1", {"src_port": 0}, b""),
        ("v2", {"src_port": 65536}, b""),
        ("v1", {"src_addr": "no address"}, b""),
        ("", {}, b""),
    ],
)
def test_a_service_is_told_who_comes_if_it_wants_to_and_that_is_known(
    world: World, version: str, fields: dict[str, Any], told: bytes
) -> None:
    config = TcpProxyConfig(name="a", section="a", proxy_protocol_version=version)
    local = ScriptedEndpoint(world.loop)
    known: dict[str, Any] = {"proxy_name": "a", "src_addr": "192.0.2.7", "src_port": 5}
    start = StartWorkConn(**(known | fields))
    introduce(config, start, local)
    assert local.got.endswith(told)
    assert bool(local.got) == bool(told)


@pytest.mark.parametrize("encrypt", [False, True])
def test_a_limit_counts_what_is_on_the_wire(world: World, encrypt: bool) -> None:
    config = TcpProxyConfig(name="a", section="a", use_encryption=encrypt)
    context = replace(context_of(world), limiter=Limiter(world.loop, 1000))
    work = ScriptedEndpoint(world.loop)
    opened = open_work(context, config, WorkStream(work))
    assert opened is not None
    opened.write(bytes(200))
    assert len(work.got) == 100
