"""What the SSH gateway needs is looked at before anyone comes; a host key is made once."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from frpd.config.server import ServerConfig
from frpd.errors import ConfigError
from frpd.server.ssh_gateway import settings
from frpd.server.ssh_gateway.settings import load_settings, made_key_path, require_ssh

GATEWAY = ServerConfig(ssh_gateway_bind_port=2200)


def test_without_a_port_there_is_none() -> None:
    assert load_settings(ServerConfig(), {}) is None


def test_a_key_is_made_once_and_only_we_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    config = replace(GATEWAY, ssh_gateway_auto_gen_private_key_path=str(path))
    looked = load_settings(config, {}, may_make=False)
    assert looked is not None
    assert (looked.host_key, path.exists()) == (b"", False)
    path.touch(0o644)  # empty is as good as none
    first, second = load_settings(config, {}), load_settings(config, {})
    assert first is not None
    assert first == second
    assert asyncssh.import_private_key(first.host_key).get_algorithm() == "ssh-ed25519"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_made_key_is_with_the_state() -> None:
    assert made_key_path(GATEWAY, {}) == "./.autogen_ssh_key"
    assert made_key_path(GATEWAY, {"STATE_DIRECTORY": "/s:/t"}) == "/s/.autogen_ssh_key"


def test_a_file_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("no key")
    locked = tmp_path / "locked"
    key = asyncssh.generate_private_key("ssh-ed25519")
    locked.write_bytes(key.export_private_key("pkcs8-pem", passphrase="secret"))
    huge = tmp_path / "huge"
    huge.write_bytes(bytes(settings.MAX_FILE_BYTES + 1))
    for path, words in (
        (broken, "no private key"),
        (locked, "no private key"),
        (huge, "longer than"),
        (tmp_path / "nowhere", "cannot read"),
    ):
        with pytest.raises(ConfigError, match=words):
            load_settings(replace(GATEWAY, ssh_gateway_private_key_file=str(path)), {})
    nowhere = str(tmp_path / "no" / "folder")
    with pytest.raises(ConfigError, match="cannot write"):
        load_settings(replace(GATEWAY, ssh_gateway_auto_gen_private_key_path=nowhere), {})
    with pytest.raises(ConfigError, match="ssh_gateway_authorized_keys_file"):
        load_settings(replace(GATEWAY, ssh_gateway_authorized_keys_file=nowhere), {})


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="python3-asyncssh"):
        require_ssh()
