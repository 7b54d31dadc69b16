"""The filter for fail2ban: which lines accuse whom. Its patterns are read as fail2ban reads them.

The lines in tests/data/fail2ban are recorded, or forged; the real fail2ban-regex finds the same
in them: ``fail2ban-regex tests/data/fail2ban/refused.log etc/fail2ban/filter.d/frpd.conf``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from frpd import log
from frpd.proto.message.types import LoginResp
from tests.helpers.peers import ScriptedClient
from tests.unit.server.conftest import world
from tests.unit.server.house import House

__all__ = ["world"]

if TYPE_CHECKING:
    from tests.helpers.world import World

ROOT = Path(__file__).parents[2]
FILTER = ROOT / "etc/fail2ban/filter.d/frpd.conf"
JAIL = ROOT / "etc/fail2ban/jail.d/frpd.conf"
DATA = ROOT / "tests/data/fail2ban"
# What fail2ban makes of its own words.
ADDR = (
    r"\[?(?:(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})|(?P<ip6>[0-9a-fA-F:]*:[0-9a-fA-F:]+))\]?"
)
DATE = {"Y": r"\d{4}", "m": r"\d\d", "d": r"\d\d", "H": r"\d\d", "M": r"\d\d", "S": r"\d\d",
        "f": r"\d{1,6}", "z": r"[+-]\d\d:?\d\d"}  # fmt: skip


def read_filter() -> tuple[list[str], list[str]]:
    """Return the patterns of lines, and those of dates, for Python."""
    parser = ConfigParser()
    # Its interpolation is of the form %(name)s; in patterns other % are doubled.
    parser.read(FILTER)
    definition = parser["Definition"]
    lines = [line.replace("<ADDR>", ADDR) for line in definition["failregex"].splitlines()]
    dates = [
        re.sub(r"%(\w)", lambda found: DATE[found[1]], line)
        for line in definition["datepattern"].splitlines()
    ]
    return lines, dates


def accused(line: str) -> str | None:
    """Return the address that a line is about, as fail2ban finds it."""
    patterns, dates = read_filter()
    for date in dates:
        found = re.match(date, line)
        if found is not None:
            line = line[found.end() :]
            break
    for pattern in patterns:
        found = re.search(pattern, line)
        if found is not None:
            return found["ip4"] or found["ip6"]
    return None


def test_refused_logins_accuse_their_source_in_all_forms() -> None:
    lines = (DATA / "refused.log").read_text(encoding="utf-8").splitlines()
    assert [accused(line) for line in lines] == [
        "192.0.2.7", "2001:db8::7", "192.0.2.8", "192.0.2.9", *["127.0.0.1"] * 3,
        "192.0.2.10", "2001:db8::11", "2001:db8::12", *["127.0.0.1"] * 3,
        "192.0.2.13", "192.0.2.14",
    ]  # fmt: skip


def test_no_other_line_accuses_anybody_whatever_a_client_calls_itself() -> None:
    lines = (DATA / "innocent.log").read_text(encoding="utf-8").splitlines()
    assert lines
    assert [line for line in lines if accused(line) is not None] == []


@pytest.mark.parametrize("line_format", ["text", "json"])
def test_what_frps_writes_today_is_found(world: World, tmp_path: Path, line_format: str) -> None:
    path = tmp_path / "frps.log"
    log.setup(target=str(path), level="warn", max_days=0, color=False, line_format=line_format)
    try:
        house = House(world)
        forged = "x] [W] [login.py:1] 198.51.100.9:1: login refused: "
        client = ScriptedClient(world, house.port, mux=True)
        assert isinstance(client.login(privilege_key="wrong", hostname=forged), LoginResp)
    finally:
        log.close()
    assert [accused(line) for line in path.read_text().splitlines()] == ["127.0.0.1"]


def test_the_jail_is_off_as_shipped_and_names_our_filter() -> None:
    parser = ConfigParser()
    parser.read(JAIL)
    assert parser["frpd"]["enabled"] == "false"
    assert parser["frpd"]["filter"] == FILTER.stem


@pytest.mark.parametrize(("name", "is_found"), [("refused", True), ("innocent", False)])
def test_the_real_fail2ban_agrees(name: str, is_found: bool) -> None:
    program = shutil.which("fail2ban-regex")
    if program is None:
        pytest.skip("fail2ban is not installed")
    path = DATA / f"{name}.log"
    done = subprocess.run(
        [program, str(path), str(FILTER)], capture_output=True, text=True, check=False
    )
    number = path.read_text(encoding="utf-8").count("\n")
    matched = number if is_found else 0
    assert f"{matched} matched, {number - matched} missed" in done.stdout
