"""Certificates over QUIC: who is believed, and what is wrong with files."""

from __future__ import annotations

from pathlib import Path

import pytest

from frpd.errors import ConfigError
from frpd.transports.quic_connection import TlsMaterial
from frpd.transports.quic_tls import client_material, own_material, server_material
from tests.helpers.authority import Authority
from tests.helpers.quic import QuicPair
from tests.helpers.world import World

NAME = "frps.test"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def ca_of(authority: Authority) -> str:
    return authority.ca_file


def outcome(pair: QuicPair) -> tuple[bool, str]:
    """Return whether both ends trust each other, and what the client hears otherwise."""
    pair.until(lambda: (pair.near.is_ready and pair.far.is_ready) or pair.client_lost)
    pair.settle()
    return not pair.client_lost, "".join(pair.client_lost)


def test_without_an_authority_anybody_is_believed(world: World) -> None:
    assert outcome(QuicPair(world, server=own_material())) == (True, "")


@pytest.mark.parametrize(("name", "is_trusted"), [(NAME, True), ("other.test", False)])
def test_a_client_with_an_authority_believes_only_its_servers(
    world: World, authority: Authority, name: str, is_trusted: bool
) -> None:
    shown = authority.issue(name)
    server = server_material(shown.cert, shown.key, "")
    client = client_material("", "", ca_of(authority))
    trusted, why = outcome(QuicPair(world, client=client, server=server, server_name=NAME))
    assert trusted is is_trusted
    assert is_trusted or "QUIC error" in why


def test_a_server_with_an_authority_believes_only_its_clients(
    world: World, authority: Authority, tmp_path: Path
) -> None:
    server = server_material("", "", ca_of(authority))
    shown = authority.issue("client.test")
    good = client_material(shown.cert, shown.key, "")
    assert outcome(QuicPair(world, client=good, server=server)) == (True, "")
    nobody = outcome(QuicPair(world, client=TlsMaterial(), server=server))
    assert nobody == (False, "the client shows no certificate")
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other").issue("client.test")
    bad = client_material(stranger.cert, stranger.key, "")
    trusted, why = outcome(QuicPair(world, client=bad, server=server))
    assert not trusted
    assert why.startswith("the client's certificate: ")


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.crt")
    for material in (server_material, client_material):
        with pytest.raises(ConfigError, match=r"missing\.crt"):
            material("", "", missing)
