"""frpd.admin.control_socket: where it is, what it replaces, and when it is left away."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from frpd.admin import control_socket
from frpd.admin.control_socket import ControlSocket, name_of, open_control_socket, path_of
from frpd.errors import ConfigError


def opened(setting: str, program: str = "frps") -> ControlSocket:
    control = open_control_socket(setting, program)
    assert control is not None
    return control


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return False
        return True


def test_a_path_that_was_set_is_listened_on_by_us_and_our_group_only(tmp_path: Path) -> None:
    path = tmp_path / "s"
    control = opened(str(path))
    with control.sock:
        assert connects(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        control.remove()
        assert not path.exists()
        control.remove()


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with opened("s").sock as sock:
        assert sock.getsockname() == str(tmp_path / "s")


def test_without_the_run_folder_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket, "RUN_FOLDER", str(tmp_path / "missing"))
    assert open_control_socket("", "frps") is None


def test_with_the_run_folder_there_is_one_by_the_program_s_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket, "RUN_FOLDER", str(tmp_path))
    with opened("", "frpc").sock:
        assert connects(tmp_path / "frpc.sock")


def test_off_means_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_socket, "RUN_FOLDER", str(tmp_path))
    assert open_control_socket("off", "frps") is None
    assert path_of("off", "frps") == ""


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    opened(str(path)).sock.close()
    assert not connects(path)
    with opened(str(path)).sock:
        assert connects(path)


def test_a_socket_that_somebody_listens_on_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with opened(str(path)).sock:
        with pytest.raises(ConfigError, match=r"control_socket: .*address already in use"):
            open_control_socket(str(path), "frps")
        assert connects(path)


def test_one_with_a_full_backlog_is_listened_on_too(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(path)
        busy.listen(0)
        first.connect(path)
        with pytest.raises(ConfigError, match="address already in use"):
            open_control_socket(path, "frps")


def test_the_default_one_is_left_to_whoever_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket, "RUN_FOLDER", str(tmp_path))
    with opened("", "frps").sock:
        assert open_control_socket("", "frps") is None


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("kept")
    with pytest.raises(ConfigError, match="there is a file of that name"):
        open_control_socket(str(path), "frps")
    assert path.read_text() == "kept"


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file or directory"):
        open_control_socket(str(tmp_path / "missing" / "s"), "frps")


def test_a_successor_s_socket_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    old = opened(str(path))
    old.sock.close()
    os.link(path, tmp_path / "keeps its number busy")
    with opened(str(path)).sock:
        old.remove()
        assert connects(path)


def test_a_socket_is_called_as_the_file() -> None:
    assert name_of("/etc/frp/office.ini", "frps") == "office"
    assert name_of("./frpc.ini", "frpc") == "frpc"
    assert name_of(None, "frps") == "frps"
    assert path_of("", name_of("/etc/frp/office.ini", "frps")).endswith("/office.sock")
