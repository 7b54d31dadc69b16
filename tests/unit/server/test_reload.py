"""Which keys a reload of frps honours: each attribute is decided about, and told truly."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from frpd.config.ports import PortSet
from frpd.config.secret import Secret
from frpd.config.server import ServerConfig, ServerPluginConfig
from frpd.server.reload import LIVE, RESTART, compare, strangers

BASE = ServerConfig(bind_addr="127.0.0.1", proxy_bind_addr="127.0.0.1", dashboard_addr="127.0.0.1")


def test_every_attribute_is_decided_about_once() -> None:
    names = [field.name for field in fields(ServerConfig)]
    assert sorted([*LIVE, *RESTART]) == sorted(names)


def other(value: object) -> Any:
    """Return another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}x"
        case Secret():
            return Secret("another")
        case PortSet():
            return PortSet.parse("6000-6001")
    return (ServerPluginConfig(name="x"),)


@pytest.mark.parametrize("name", [field.name for field in fields(ServerConfig)])
def test_a_live_key_changes_and_any_other_stays_and_is_named(name: str) -> None:
    changes: dict[str, Any] = {name: other(getattr(BASE, name))}
    new = replace(BASE, **changes)
    key = {
        "heartbeat_timeout_set": "heartbeat_timeout",
        "plugins": "[plugin.*]",
        "users": "[user.*]",
    }.get(name, name)
    found = compare(BASE, new)
    expected = (new, (key,), ()) if name in LIVE else (BASE, (), (key,))
    assert found[:3] == expected
    assert found.unchanged == len(fields(ServerConfig)) - 1


def test_what_is_equal_changes_nothing() -> None:
    found = compare(BASE, replace(BASE))
    assert (found.config, found.changed, found.not_live) == (BASE, (), ())


def test_a_key_that_two_attributes_stand_for_is_named_once() -> None:
    new = replace(BASE, heartbeat_timeout=5, heartbeat_timeout_set=True)
    assert compare(BASE, new).changed == ("heartbeat_timeout",)


def test_an_address_that_follows_bind_addr_stays_with_it() -> None:
    new = replace(BASE, bind_addr="0.0.0.0", proxy_bind_addr="0.0.0.0", dashboard_addr="0.0.0.0")
    found = compare(BASE, new)
    assert found.config == BASE
    assert found.not_live == ("bind_addr", "proxy_bind_addr", "dashboard_addr")
    own = replace(BASE, bind_addr="0.0.0.0", proxy_bind_addr="127.0.0.2")
    assert compare(BASE, own).config == replace(BASE, proxy_bind_addr="127.0.0.2")


def test_proxies_outside_of_the_ports_are_named() -> None:
    config = replace(BASE, allow_ports=PortSet.parse("6000"))
    assert list(strangers(config, {6000: "web", 6001: "ssh"})) == ["ssh (6001)"]
    assert list(strangers(BASE, {6000: "web"})) == []


def test_the_guide_says_of_each_live_key_whom_it_concerns() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "operator-guide.md").read_text()
    section = guide.partition("\n## Reload of frps\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| (`.*) \|$", section, re.MULTILINE)
    told = {key: whom for whom, keys in rows for key in re.findall(r"`(\w+)`", keys)}
    assert told == {key: whom for key, whom in LIVE.items() if key != "heartbeat_timeout_set"}
