"""How much of the window is used."""

from __future__ import annotations

from frpd.proto.kcp.allowance import FLOOR_SEGMENTS, GROWTH_SHARE, HEAVY_SEGMENTS, Allowance


def test_what_arrives_opens_the_whole_window() -> None:
    allowance = Allowance(1024)
    assert allowance.segments == FLOOR_SEGMENTS
    allowance.arrived(128)
    assert allowance.segments == 256
    allowance.arrived(10_000)
    assert allowance.segments == 1024
    allowance.arrived(1)
    assert allowance.segments == 1024


def test_a_small_window_is_kept() -> None:
    allowance = Allowance(16)
    allowance.arrived(100)
    assert allowance.segments == 16


def test_scattered_loss_costs_nothing() -> None:
    allowance = Allowance(1024)
    allowance.arrived(1024)
    allowance.lost(HEAVY_SEGMENTS - 1, 64)
    allowance.lost(100, 1000)
    assert allowance.segments == 1024


def test_heavy_loss_halves_and_growth_is_slow_from_there() -> None:
    allowance = Allowance(1024)
    allowance.arrived(1024)
    allowance.lost(600, 1000)
    assert allowance.segments == 500
    allowance.arrived(GROWTH_SHARE * 2)
    assert allowance.segments == 502
    for _ in range(GROWTH_SHARE):
        allowance.arrived(1)
    assert allowance.segments == 503


def test_there_is_a_floor() -> None:
    allowance = Allowance(1024)
    for _ in range(5):
        allowance.lost(128, 128)
    assert allowance.segments == FLOOR_SEGMENTS
