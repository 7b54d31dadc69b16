from __future__ import annotations

from pathlib import Path

import pytest

from bench.tunnel.kinds import KINDS
from bench.tunnel.kinds.kind import asked
from bench.tunnel.scenarios import SCENARIOS
from bench.tunnel.settings import Setting
from tests.unit.bench.tunnel.kinds.tasks import task

SETTINGS = {one.name: one.setting for one in SCENARIOS}
PLAIN = {"start", "bulk_up", "bulk_down", "bulk_4", "rtt_1", "rtt_64", "cps", "http_tcp", "idle"}
OWN = {"bulk_nomux", "cps_nomux"}
"""A connection for each visitor."""


def test_what_a_setting_asks_is_told_in_words() -> None:
    assert asked(SETTINGS["rtt_1"]) == []
    assert asked(SETTINGS["both_text"]) == ["use_encryption", "use_compression"]
    assert asked(SETTINGS["http_vhost"]) == ["http"]
    assert asked(SETTINGS["bulk_kcp"]) == ["kcp"]
    assert asked(SETTINGS["cps_nomux"]) == ["no mux"]


@pytest.mark.parametrize(
    ("kind", "served"),
    [
        ("frp", set(SETTINGS)),
        ("rathole", PLAIN | OWN | {"udp"}),
        ("chisel", PLAIN | {"udp", "encrypted"}),
        ("ssh", PLAIN | {"encrypted"}),
        ("haproxy", PLAIN | OWN),
    ],
)
def test_each_kind_serves_what_it_can_and_says_why_not_the_rest(
    kind: str, served: set[str]
) -> None:
    refusals = {name: KINDS[kind].refusal(setting) for name, setting in SETTINGS.items()}
    assert {name for name, words in refusals.items() if not words} == served
    assert all(kind in words for words in refusals.values() if words)


def test_no_kind_lacks_what_nobody_asks() -> None:
    everything = {want for setting in SETTINGS.values() for want in asked(setting)}
    assert all(set(kind.lacks) <= everything for kind in KINDS.values())


def test_a_setting_of_plain_tcp_is_refused_by_nobody() -> None:
    plain: Setting = SETTINGS["rtt_64"]
    assert [kind.refusal(plain) for kind in KINDS.values()] == [""] * len(KINDS)


def test_files_have_names_that_every_program_can_read(tmp_path: Path) -> None:
    one = task("haproxy x2, old=haproxy:", tmp_path)
    assert one.path("front.cfg") == tmp_path / "haproxy-x2-old-front.cfg"
