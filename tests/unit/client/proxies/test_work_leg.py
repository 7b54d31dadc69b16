"""Both ends of a visit: the opened work connection, and what joins it to a service.

How ciphers and compression come off is tests/unit/client/proxies/test_general.py.
"""

from __future__ import annotations

import pytest

from frpd.client.proxies.work_leg import join, open_work, refuse_work, source_of
from frpd.config.proxies import TcpProxyConfig
from frpd.metrics.counters import ProxyCounters
from frpd.net.transform import TransformEndpoint
from frpd.proto.message.types import StartWorkConn
from frpd.proto.native import HALF_CLOSE
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
