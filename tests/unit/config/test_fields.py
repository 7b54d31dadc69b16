"""The dataclasses and the key table say the same: names, defaults, types."""

from __future__ import annotations

from dataclasses import MISSING, fields

import pytest

from frpd.config.client import ClientConfig
from frpd.config.fields import (
    CLIENT,
    PLUGIN_SINCE,
    PLUGINS,
    PROXY,
    PROXY_TYPES,
    SERVER,
    SERVER_PLUGIN,
    USER,
    VISITOR,
    VISITOR_TYPES,
    Rows,
)
from frpd.config.kinds import OWN, SEED, Kind, State
from frpd.config.proxies import PROXIES
from frpd.config.server import ServerConfig, ServerPluginConfig
from frpd.config.users import UserConfig
from frpd.config.visitors import VISITORS

SCOPES: list[tuple[str, type, Rows, set[str]]] = [
    ("frps", ServerConfig, SERVER, {"plugins", "users", "heartbeat_timeout_set"}),
    ("plugin", ServerPluginConfig, SERVER_PLUGIN, {"name"}),
    ("user", UserConfig, USER, {"name"}),
    ("frpc", ClientConfig, CLIENT, {"upstream"}),
    *(
        (name, PROXIES[name], PROXY + rows, {"name", "section"})
        for name, rows in PROXY_TYPES.items()
    ),
    *(
        (f"{name} visitor", VISITORS[name], VISITOR + rows, {"name", "section"})
        for name, rows in VISITOR_TYPES.items()
    ),
]
HANDLED_APART = {"proxy_type", "visitor_type", "role"}
PYTHON_TYPES = {
    Kind.STR: "str", Kind.ADDR: "str", Kind.SECRET: "Secret", Kind.BOOL: "bool", Kind.INT: "int",
    Kind.FLOAT: "float", Kind.PORT: "int", Kind.LIST: "tuple[str, ...]", Kind.PORTS: "PortSet",
    Kind.DOMAINS: "tuple[str, ...]", Kind.BANDWIDTH: "Bandwidth", Kind.MAP: "Params",
    Kind.PENALTIES: "PenaltyRules", Kind.NET_BLOCKS: "NetBlockSize",
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "rows", "extra"), [scope[1:] for scope in SCOPES], ids=[scope[0] for scope in SCOPES]
)
def test_dataclass_follows_its_rows(config: type, rows: Rows, extra: set[str]) -> None:
    wanted = {
        row.attribute: (PYTHON_TYPES[row.kind], row.default)
        for row in rows
        if row.state is not State.IGNORED and row.attribute not in HANDLED_APART
    }
    got = {
        row.name: (row.type, "" if row.default is MISSING else row.default)
        for row in fields(config)
        if row.name not in extra
    }
    assert got == wanted


@pytest.mark.parametrize("scope", SCOPES, ids=[scope[0] for scope in SCOPES])
def test_rows_are_sound(scope: tuple[str, type, Rows, set[str]]) -> None:
    rows = scope[2]
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert row.doc.endswith(".") or row.name == "role", row.name
        assert row.since in (SEED, OWN) or row.since.startswith("0."), row.name
        assert not row.choices or row.default in (*row.choices, ""), row.name
        assert set(row.planned_choices) <= set(row.choices)


def test_tables_of_types_agree() -> None:
    assert set(PROXIES) == set(PROXY_TYPES)
    assert set(VISITORS) == set(VISITOR_TYPES)
    assert set(PLUGINS) == set(PLUGIN_SINCE)
    assert all(name == config.proxy_type for name, config in PROXIES.items())
    assert all(name == config.visitor_type for name, config in VISITORS.items())
