"""frpd.cli.unserved: an operator hears of each setting that has no effect, and of no other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from frpd.cli.unserved import client_refusals, client_warnings
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.fields import CLIENT, SERVER
from frpd.config.kinds import SEED, Field, Kind, State
from frpd.config.proxies import TcpProxyConfig
from frpd.config.visitors import VISITORS
from frpd.transports import TRANSPORTS

if TYPE_CHECKING:
    from frpd.config.fields import Rows

SERVED = {"stcp", "sudp", "xtcp"}


def setup(**common: object) -> ClientSetup:
    return ClientSetup(common=replace(ClientConfig(), **common))  # type: ignore[arg-type] # any key


def unserved_ports(rows: Rows) -> set[str]:
    """Ports that nobody serves and that the reader says nothing about, as frp always had them."""

    def silent(row: Field) -> bool:
        return row.state is State.PLANNED and row.since == SEED

    return {row.name for row in rows if row.kind is Kind.PORT and silent(row)}


def test_no_port_is_forgotten() -> None:
    assert unserved_ports(SERVER) == set()
    assert unserved_ports(CLIENT) == set()


def test_defaults_are_all_served() -> None:
    assert list(client_warnings(setup())) == []
    assert list(client_refusals(setup())) == []


def test_each_visitor_that_is_not_served_is_told_by_its_section_and_proxies_are_not() -> None:
    visitors = tuple(
        visitor(name=f"u.{name}_v", section=f"{name}_v", server_name="u.s")
        for name, visitor in VISITORS.items()
    )
    proxy = TcpProxyConfig(name="u.a", section="a", local_port=1)
    told = replace(setup(), visitors=visitors, proxies=(proxy,))
    assert list(client_warnings(told)) == [
        f"[{name}_v] is not started: {name} visitors cannot be served yet"
        for name in VISITORS
        if name not in SERVED
    ]


def test_frpc_does_not_run_over_a_carrier_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert list(client_refusals(setup(protocol="quic"))) == [
        "[common] protocol: QUIC needs the library aioquic, which is not installed:"
        " pip install 'frpd[quic]'"
    ]


@pytest.mark.parametrize("protocol", TRANSPORTS)
def test_a_carrier_of_the_table_is_not_refused(protocol: str) -> None:
    assert list(client_refusals(setup(protocol=protocol))) == []
