"""Fittings: files are read before anything is done with what they are named in."""

from __future__ import annotations

from pathlib import Path

import pytest

from frpd.config.server import ServerConfig
from frpd.errors import ConfigError
from frpd.server.fittings import load_fittings
from tests.helpers.world import World


def test_the_page_is_read_where_it_can_be_seen(world: World, tmp_path: Path) -> None:
    path = tmp_path / "404.html"
    path.write_bytes(b"<p>nobody</p>")
    config = ServerConfig(custom_404_page=str(path), vhost_http_port=80)
    assert load_fittings(world.loop, config).page == b"<p>nobody</p>"
    assert load_fittings(world.loop, ServerConfig(custom_404_page="/nowhere")).page is None
    path.unlink()
    with pytest.raises(ConfigError, match="custom_404_page"):
        load_fittings(world.loop, config)


def test_a_certificate_that_cannot_be_used_is_an_error(world: World) -> None:
    config = ServerConfig(tls_cert_file="/nowhere.crt", tls_key_file="/nowhere.key")
    with pytest.raises(ConfigError, match="tls_cert_file"):
        load_fittings(world.loop, config)


def test_without_files_there_is_what_is_made_here(world: World) -> None:
    fittings = load_fittings(world.loop, ServerConfig())
    assert (fittings.page, sorted(fittings.layers)) == (None, ["tls", "websocket"])
