"""frpd.cli.config_file: the file of -c, wherever the program has gone meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from frpd.cli.config_file import ConfigFile
from frpd.errors import ConfigError


def test_a_relative_path_is_that_of_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "frps.ini").write_text("[common]\nbind_port = 7001\n")
    monkeypatch.chdir(tmp_path)
    file = ConfigFile.named("frps.ini", None)
    monkeypatch.chdir("/")
    assert file.load_server().value.bind_port == 7001
    Path(file.path).write_text("[common]\nbind_prot = 1\n")
    with pytest.raises(ConfigError, match="unknown"):
        file.load_server(strict=True)


def test_its_dialect_is_that_of_the_start(tmp_path: Path) -> None:
    path = tmp_path / "frpc.ini"
    path.write_text("[common]\nlogin_fail_exit = 0\n[a]\nlocal_port = 1\nremote_port = 0\n")
    assert ConfigFile.named(str(path), "new").load_client().value.common.login_fail_exit is False
    assert ConfigFile.named(str(path), "old").load_client().value.common.login_fail_exit is True


def test_another_file_can_be_checked_in_its_place(tmp_path: Path) -> None:
    other = tmp_path / "other.ini"
    other.write_text("[common\n")
    file = ConfigFile.named(str(tmp_path / "frpc.ini"), None)
    with pytest.raises(ConfigError):
        file.check_client(str(other))


def test_another_text_is_held_for_a_while(tmp_path: Path) -> None:
    file = ConfigFile(str(tmp_path / "frps.ini"), "old")
    with file.holding("[common]\nbind_port = 7001\n") as held:
        assert held.load_server().value.bind_port == 7001
        assert held.dialect == "old"
    assert not Path(held.path).exists()


def test_the_era_is_of_the_flag_or_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ConfigFile("x", "old").era == "old"
    monkeypatch.delenv("FRP_INI_DIALECT", raising=False)
    assert ConfigFile("x").era == "new"
    monkeypatch.setenv("FRP_INI_DIALECT", "old")
    assert ConfigFile("x").era == "old"
