"""The xtcp proxy itself: no port, a secret, whose visitors may come, and who owns it."""

from __future__ import annotations

from typing import Any

import pytest

from frpd.auth.token import privilege_key
from frpd.errors import FrpError
from frpd.proto.message.types import NatHoleClientDetectOK, NatHoleSid, Pong
from frpd.server.proxies.xtcp import NO_UDP_PORT, early_generation
from frpd.server.snapshot import take_snapshot
from tests.helpers.peers import ScriptedClient
from tests.helpers.ports import free_port
from tests.helpers.steps import outcome
from tests.helpers.world import World
from tests.unit.server.house import House
from tests.unit.server.nathole.cast import OURS, SK, Cast

VERSIONS = [
    ("0.18.0", "a"),
    ("0.21.0", "a"),
    ("0.24.1", "a"),
    ("0.25.0", "b"),
    ("0.48.0", "b"),
    ("0.49.0", ""),
    ("0.51.3", ""),
    ("0.70.1", ""),
    ("1.0.0", ""),
    ("", ""),
    ("unknown", ""),
]


@pytest.mark.parametrize(("version", "early"), VERSIONS)
def test_the_version_tells_how_a_go_client_punches(version: str, early: str) -> None:
    assert early_generation(version, frozenset()) == early
    assert early_generation(version, {"half-close"}) == ""


def test_it_has_no_port(world: World) -> None:
    cast = Cast(world, max_ports_per_client=1)
    proxy = cast.proxy()
    assert (proxy.remote_addr, proxy.ports_used) == ("", 0)
    cast.house.proxy(cast.owner, "web")


@pytest.mark.parametrize(
    ("login", "error"),
    [
        ({"version": "0.21.0"}, NO_UDP_PORT),
        ({"version": "0.48.0"}, NO_UDP_PORT),
        ({"version": "0.49.0"}, ""),
        ({"version": "0.21.0", **OURS}, ""),
    ],
)
def test_an_old_client_needs_the_udp_port(world: World, login: dict[str, Any], error: str) -> None:
    client = House(world).client(**login)
    assert client.new_proxy("hole", 0, "xtcp", sk=SK).error == error


def test_clients_hear_of_the_udp_port_at_login(world: World) -> None:
    for port in (0, free_port()):
        client = ScriptedClient(world, House(world, bind_udp_port=port).port, mux=True)
        assert client.login().server_udp_port == port


def test_it_is_listed_like_any_other(world: World) -> None:
    cast = Cast(world)
    cast.proxy()
    snapshot = outcome(take_snapshot(cast.house.service, world.loop))
    assert snapshot.count_by_type() == {"xtcp": 1}
    (proxy,) = snapshot.proxies
    assert (proxy.figures.name, proxy.figures.proxy_type, proxy.remote_addr) == ("hole", "xtcp", "")


def test_only_the_sk_signs(world: World) -> None:
    proxy = Cast(world).proxy()
    assert proxy.is_signed(privilege_key(SK, 7), 7)
    for wrong in (privilege_key(SK, 8), privilege_key("no", 7), "", "\xe9", "\udcff"):
        assert not proxy.is_signed(wrong, 7)


@pytest.mark.parametrize(
    ("owner", "allowed", "admitted"),
    [
        ({}, [], {""}),
        ({"user": "bob"}, [], {"bob"}),
        ({"user": "bob"}, ["ann"], {"ann"}),
        ({"user": "bob"}, ["*"], {"", "ann", "bob"}),
        ({"user": "bob", "version": "0.31.0"}, [], {"", "ann", "bob"}),
    ],
)
def test_allow_users_says_whose_visitors_may_come(
    world: World, owner: dict[str, Any], allowed: list[str], admitted: set[str]
) -> None:
    proxy = Cast(world, owner=owner).proxy(allow_users=allowed)
    assert {user for user in ("", "ann", "bob") if proxy.admits(user)} == admitted


class Heard:
    """What comes of a notice to the owner."""

    def __init__(self) -> None:
        self.errors: list[FrpError] = []
        self.detected = 0

    def detect(self) -> None:
        self.detected += 1


def test_a_notice_that_nobody_waits_for_ends_its_stream(world: World) -> None:
    cast, heard = Cast(world), Heard()
    call = cast.proxy().tell_owner(NatHoleSid(sid="1"), heard.errors.append)
    work = cast.house.serve(cast.owner)
    assert cast.told(work) == NatHoleSid(sid="1")
    work.until_end("eof")
    call.close()
    assert not heard.errors


def test_only_the_right_word_of_the_owner_counts_and_only_once(world: World) -> None:
    cast, heard = Cast(world), Heard()
    cast.proxy().tell_owner(NatHoleSid(sid="1"), heard.errors.append, heard.detect)
    work = cast.house.serve(cast.owner)
    cast.told(work)
    work.send(Pong())
    world.settle()
    assert heard.detected == 0
    work.send(NatHoleClientDetectOK(), NatHoleClientDetectOK())
    work.until_end("eof")
    assert heard.detected == 1


def test_a_call_that_was_closed_says_nothing_more(world: World) -> None:
    cast, heard = Cast(world, user_conn_timeout=5), Heard()
    proxy = cast.proxy()
    waiting = proxy.tell_owner(NatHoleSid(sid="1"), heard.errors.append, heard.detect)
    waiting.close()
    waiting.close()
    world.advance(6.0)
    assert not heard.errors
    told = proxy.tell_owner(NatHoleSid(sid="2"), heard.errors.append, heard.detect)
    work = cast.house.serve(cast.owner)
    cast.told(work)
    told.close()
    work.send(NatHoleClientDetectOK())
    work.until_end()
    assert (heard.errors, heard.detected) == ([], 0)


def test_who_cannot_be_told_is_told_of_once(world: World) -> None:
    cast, heard = Cast(world, user_conn_timeout=5), Heard()
    cast.proxy().tell_owner(NatHoleSid(sid="1"), heard.errors.append, heard.detect)
    world.advance(6.0)
    assert [str(error) for error in heard.errors] == ["timeout trying to get work connection"]


def test_close_lets_nobody_in_any_more(world: World) -> None:
    cast = Cast(world)
    proxy = cast.proxy()
    proxy.close()
    proxy.close()
    assert cast.refusal().error == "xtcp server for [hole] doesn't exist"
