"""Where TLS ends: whose certificate, and what is wrong with it. The handshake: tests/e2e."""

from __future__ import annotations

from pathlib import Path

import pytest

from frpd.client.plugins.tls_end import certificates
from frpd.config.params import Params
from frpd.errors import ProxyError
from tests.helpers.world import World
from tests.unit.client.conftest import world
from tests.unit.client.plugins.stage import context_of

__all__ = ["world"]


def test_without_files_there_is_a_certificate_of_our_own(world: World) -> None:
    assert certificates(context_of(world), Params({})).current().get_ca_certs() == []


def test_a_pair_that_cannot_be_used_is_refused_by_its_key(world: World, tmp_path: Path) -> None:
    paths = {"plugin_crt_path": str(tmp_path / "no.pem"), "plugin_key_path": "/nowhere"}
    with pytest.raises(ProxyError, match=r"plugin_crt_path") as refusal:
        certificates(context_of(world), Params(paths))
    assert "tls_" not in str(refusal.value)


@pytest.mark.parametrize("given", ["plugin_crt_path", "plugin_key_path"])
def test_a_file_without_the_other_is_refused_by_its_key(
    world: World, given: str, tmp_path: Path
) -> None:
    with pytest.raises(ProxyError, match=r"plugin_crt_path and plugin_key_path"):
        certificates(context_of(world), Params({given: str(tmp_path / "no.pem")}))
