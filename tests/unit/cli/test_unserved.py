"""frpd.cli.unserved: an operator hears of each setting that has no effect, and of no other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from frpd.cli.unserved import client_refusals, client_warnings
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.fields import CLIENT, SERVER
from frpd.config.kinds import SEED, Field, Kind, State
from frpd.config.visitors import VISITORS, XtcpVisitorConfig
from frpd.transports import TRANSPORTS
from frpd.transports.over_udp import NO_QUIC

if TYPE_CHECKING:
    from frpd.config.fields import Rows


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


def visiting(fallback_to: str) -> ClientSetup:
    """Return a visitor of each type; the xtcp one has this fallback."""
    others = [
        visitor(name=f"u.{name}_v", section=f"{name}_v", server_name="u.s")
        for name, visitor in VISITORS.items()
    ]
    xtcp = XtcpVisitorConfig(
        name="u.direct", section="direct", server_name="u.s", fallback_to=fallback_to
    )
    return replace(setup(), visitors=(*others, xtcp))


@pytest.mark.parametrize("name", ["", "stcp_v"])
def test_a_fallback_that_is_there_is_no_affair(name: str) -> None:
    assert list(client_warnings(visiting(name))) == []


@pytest.mark.parametrize("name", ["nobody", "xtcp_v", "sudp_v", "u.stcp_v"])
def test_a_fallback_that_users_cannot_be_handed_to_is_told(name: str) -> None:
    (said,) = client_warnings(visiting(name))
    assert said == (
        f"[direct] fallback_to = {name} has no effect: there is no such stcp visitor here"
    )


def test_frpc_does_not_run_over_a_carrier_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert list(client_refusals(setup(protocol="quic"))) == [f"[common] protocol: {NO_QUIC}"]


@pytest.mark.parametrize("protocol", TRANSPORTS)
def test_a_carrier_of_the_table_is_not_refused(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    assert list(client_refusals(setup(protocol=protocol))) == []
