"""Tests of server.guard.clients."""

from __future__ import annotations

from dataclasses import replace

from frpd.config.penalties import NetBlockSize, PenaltyRules
from frpd.config.server import ServerConfig
from frpd.server.guard.clients import ACCESS, PENALTY, RATE, ClientGuard
from frpd.server.guard.penalties import Offence
from tests.helpers.clock import MockClock

HOST, OTHER = "192.0.2.1", "192.0.2.2"
CONFIG = ServerConfig(per_source_penalties=PenaltyRules.parse("authfail:20 refuseconnection:20"))


def guard(config: ServerConfig = CONFIG) -> tuple[ClientGuard, MockClock]:
    clock = MockClock()
    return ClientGuard(clock.now, config), clock


def test_who_has_offended_is_turned_away_until_the_penalty_is_over() -> None:
    door, clock = guard()
    assert not door.turns_away(HOST)
    door.accuse(HOST, Offence.AUTHFAIL)
    assert door.turns_away(HOST)
    assert not door.turns_away(OTHER)
    clock.advance(20.0)
    assert not door.turns_away(HOST)
    assert door.refused == {PENALTY: 1, ACCESS: 0, RATE: 0}


def test_where_a_client_is_logged_in_nobody_is_turned_away_for_a_penalty() -> None:
    door, _ = guard()
    door.entered(HOST)
    door.entered(HOST)
    door.accuse(HOST, Offence.AUTHFAIL)
    door.left(HOST)
    assert not door.turns_away(HOST)
    door.left(HOST)
    assert door.turns_away(HOST)


def test_a_home_is_as_wide_as_a_source_also_after_a_reload() -> None:
    door, _ = guard()
    door.entered("2001:db8::1")
    door.accuse("2001:db8::2", Offence.AUTHFAIL)
    assert not door.turns_away("2001:db8::2")
    door.use(replace(CONFIG, per_source_net_block_size=NetBlockSize(32, 128)))
    door.accuse("2001:db8::2", Offence.AUTHFAIL)
    assert door.turns_away("2001:db8::2")
    door.left("2001:db8::1")


def test_the_lists_turn_away_and_that_is_an_offence_of_who_is_known_to_be_there() -> None:
    door, _ = guard(replace(CONFIG, allow_cidrs=("192.0.2.0/24",), deny_cidrs=(OTHER,)))
    assert not door.turns_away(HOST)
    assert door.turns_away(OTHER, is_proven=False)
    assert door.turns_away("198.51.100.1")
    assert [one.source for one in door.penalties.rows(0.0)] == ["198.51.100.1"]
    assert door.refused[ACCESS] == 2
    assert door.turns_away("198.51.100.1")
    assert door.refused == {PENALTY: 1, ACCESS: 2, RATE: 0}
    door.use(CONFIG)
    assert not door.turns_away(OTHER)


def test_the_lists_count_where_a_client_is_logged_in_too() -> None:
    door, _ = guard()
    door.entered(HOST)
    door.use(replace(CONFIG, deny_cidrs=("192.0.2.0/24",)))
    assert door.turns_away(HOST)


def test_who_comes_too_fast_is_turned_away_and_that_is_an_offence() -> None:
    door, clock = guard(replace(CONFIG, max_connection_rate_per_source=2.0))
    assert [door.is_too_fast(HOST) for _ in range(3)] == [False, False, True]
    assert not door.is_too_fast(OTHER)
    assert door.turns_away(HOST)
    assert door.refused == {PENALTY: 1, ACCESS: 0, RATE: 1}
    clock.advance(1.0)
    assert not door.is_too_fast(HOST)


def test_who_is_exempt_is_held_to_no_rate_and_no_penalty() -> None:
    door, _ = guard(replace(CONFIG, max_connection_rate_per_source=1.0))
    door.accuse("127.0.0.1", Offence.AUTHFAIL)
    assert not door.turns_away("127.0.0.1")
    assert not any(door.is_too_fast("127.0.0.1") for _ in range(9))


def test_without_limits_nothing_is_kept_of_anyone() -> None:
    door, _ = guard(ServerConfig())
    assert not any(door.is_too_fast(f"192.0.2.{n}") or door.turns_away(HOST) for n in range(99))
    assert door.penalties.rows(0.0) == []
