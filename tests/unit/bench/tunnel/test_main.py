from __future__ import annotations

import pytest

from bench.tunnel.__main__ import chosen, implementations
from bench.tunnel.report import FIGURES
from bench.tunnel.scenarios import SCENARIOS

TWO = ["ours=frps -c|frpc -c", "go=go/frps -c|go/frpc -c"]


def test_a_setting_reaches_the_implementation_it_names() -> None:
    ours, go = implementations(TWO, ["ours: native = off", "ours:x=1"])
    assert ours.extra == ("native = off", "x=1")
    assert go.extra == ()


@pytest.mark.parametrize("setting", ["native = off", "go:native", "other:a=b"])
def test_a_setting_for_nobody_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match="NAME:KEY=VALUE"):
        implementations(TWO, [setting])


@pytest.mark.parametrize("impls", [[], [TWO[0], TWO[0]]])
def test_implementations_need_names_of_their_own(impls: list[str]) -> None:
    with pytest.raises(ValueError, match="--impl is needed"):
        implementations(impls, [])


def test_what_is_no_frp_is_taken_only_where_it_can_be_measured() -> None:
    assert [one.kind for one in implementations(["a=ssh:"], [], peers=True)] == ["ssh"]
    with pytest.raises(ValueError, match="not frp, and so not measured here: a"):
        implementations([*TWO, "a=ssh:"], [])


def test_a_setting_for_what_reads_no_ini_file_is_refused() -> None:
    with pytest.raises(ValueError, match="a is no frp"):
        implementations(["a=ssh:"], ["a:native=off"], peers=True)


def test_scenarios_are_taken_by_name_in_the_order_of_the_table() -> None:
    assert [one.name for one in chosen("udp, start")] == ["start", "udp"]
    assert chosen(None) == list(SCENARIOS)


def test_an_unknown_scenario_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown scenarios: warp"):
        chosen("start,warp")


def test_scenarios_have_names_of_their_own_and_known_figures() -> None:
    assert len({one.name for one in SCENARIOS}) == len(SCENARIOS)
    assert all(one.figure in FIGURES for one in SCENARIOS)
