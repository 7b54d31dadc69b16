"""LateTable: rows are imported when they are asked for, and every row of ours is there."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from frpd.cli.late_modules import LATE
from frpd.client.plugins import PLUGINS
from frpd.client.proxies import PROXIES as CLIENT_PROXIES
from frpd.client.visitors import VISITORS
from frpd.late_table import LateTable
from frpd.server.proxies import PROXIES as SERVER_PROXIES
from frpd.transports import TRANSPORTS

TABLES: list[LateTable[Any]] = [PLUGINS, CLIENT_PROXIES, VISITORS, SERVER_PROXIES, TRANSPORTS]


def test_a_row_is_imported_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "xml.sax.saxutils", raising=False)
    table: LateTable[Any] = LateTable("xml.sax", {"escape": "saxutils:escape"})
    assert (list(table), len(table)) == (["escape"], 1)
    assert "xml.sax.saxutils" not in sys.modules
    assert table["escape"]("<") == "&lt;"
    assert "xml.sax.saxutils" in sys.modules
    assert table.get("quote") is None


@pytest.mark.parametrize("table", TABLES)
def test_each_row_of_ours_is_there(table: LateTable[Any]) -> None:
    assert all(callable(table[name]) for name in table)


@pytest.mark.parametrize("table", TABLES)
def test_a_daemon_loads_all_rows_before_it_gives_up_root(table: LateTable[Any]) -> None:
    assert table.modules() <= set(LATE)
