"""way_of: which way of punching a session offers."""

from __future__ import annotations

import pytest

from frpd.client.nathole.generation import NEWEST, SocketBudget, way_of
from frpd.proto.message.types import EARLY_A, EARLY_B

HELPER = ("frps.example", 7002)


@pytest.mark.parametrize(
    ("version", "way"),
    [
        ("0.21.0", EARLY_A),
        ("0.24.1", EARLY_A),
        ("0.25.0", EARLY_B),
        ("0.48.0", EARLY_B),
        ("0.49.0", NEWEST),
        ("0.70.1", NEWEST),
        ("1.0.0", NEWEST),
        ("", NEWEST),
        ("newest", NEWEST),
    ],
)
def test_a_go_server_goes_the_way_of_its_version(version: str, way: str) -> None:
    assert way_of(version, frozenset(), HELPER) == way


def test_an_early_server_without_a_udp_port_has_no_way() -> None:
    assert way_of("0.31.0", frozenset(), None) is None
    assert way_of("0.51.3", frozenset(), None) == NEWEST


def test_a_server_of_ours_goes_the_newest_way_whatever_its_version() -> None:
    assert way_of("0.31.0", frozenset({"half-close"}), None) == NEWEST


def test_extra_sockets_are_shared_out_until_none_are_left() -> None:
    budget = SocketBudget(300)
    assert (budget.take(256), budget.take(256), budget.take(1)) == (256, 44, 0)
    budget.give(44)
    assert budget.take(256) == 44
