"""frpd.cli.ctl.files: whose a file is, and the ways to its program."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from frpd.admin import control_socket
from frpd.cli.admin_client import Target
from frpd.cli.ctl import files
from frpd.cli.ctl.files import Ways, side_of, ways_of
from frpd.config.secret import Secret
from frpd.errors import ConfigError


def options(file: Path, text: str = "", *, flag: str = "") -> argparse.Namespace:
    if text:
        file.write_text(text)
    return argparse.Namespace(
        config=str(file), ini_dialect=None, server=flag == "server", client=flag == "client"
    )


@pytest.mark.parametrize(
    ("name", "flag", "side"),
    [
        ("frps.ini", "", "frps"),
        ("my-frpc.ini", "", "frpc"),
        ("frpc.ini", "server", "frps"),
        ("frps.ini", "client", "frpc"),
        ("none.ini", "", "frpc"),
    ],
)
def test_a_flag_tells_before_the_name(tmp_path: Path, name: str, flag: str, side: str) -> None:
    assert side_of(options(tmp_path / name, flag=flag)) == side


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("[common]\nbind_port = 7000\n", "frps"),
        ("[common]\nvhost_http_port = 80\ntoken = x\n", "frps"),
        ("bind_port = 7000\n", "frps"),
        ("[common]\nbind_port = 1\n[plugin.a]\naddr = x\n", "frps"),
        ("[common]\nserver_addr = x\n", "frpc"),
        ("[common]\nbind_port = 1\n[ssh]\ntype = tcp\n", "frpc"),
        ("[common]\ntoken = x\n", "frpc"),
        ("[common\n", "frpc"),
    ],
)
@pytest.mark.parametrize("name", ["tunnel.ini", "frps-and-frpc.ini"])
def test_where_the_name_says_nothing_the_content_tells(
    tmp_path: Path, text: str, side: str, name: str
) -> None:
    assert side_of(options(tmp_path / name, text)) == side


def test_the_control_socket_comes_before_the_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket, "RUN_FOLDER", "/run/x")
    file = tmp_path / "frpc.ini"
    text = "[common]\nadmin_port = 7400\nadmin_user = u\nadmin_pwd = p\n"
    port = Target(host="127.0.0.1", port=7400, user="u", password=Secret("p"))
    default = Target("/run/x/frpc.sock")
    assert ways_of(options(file, text)) == Ways("frpc", str(file), [default, port], True)
    ways = ways_of(options(file, text + "control_socket = /a/b\n"))
    assert (ways.targets, ways.is_default_socket) == ([Target("/a/b"), port], False)
    assert ways_of(options(file, text + "control_socket = off\n")).targets == [port]


def test_a_dashboard_with_https_is_known_by_its_certificate(tmp_path: Path) -> None:
    file = tmp_path / "frps.ini"
    text = "[common]\nbind_addr = 127.0.0.1\ndashboard_port = 7500\ncontrol_socket = off\n"
    plain = Target(host="127.0.0.1", port=7500, user="admin", password=Secret("admin"))
    assert ways_of(options(file, text)).targets == [plain]
    text += "dashboard_tls_mode = true\ndashboard_tls_cert_file = /c\ndashboard_tls_key_file = /k\n"
    assert [one.certificate for one in ways_of(options(file, text)).targets] == ["/c"]


@pytest.mark.parametrize(("name", "key"), [("frps", "dashboard_port"), ("frpc", "admin_port")])
def test_a_file_that_leaves_no_way_is_an_error(tmp_path: Path, name: str, key: str) -> None:
    with pytest.raises(ConfigError, match=f"control_socket is off and {key} is not set"):
        ways_of(options(tmp_path / f"{name}.ini", "[common]\ncontrol_socket = off\n"))


def test_who_may_not_read_the_file_is_told_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> Ways:
        raise ConfigError("open x: permission denied")

    monkeypatch.setattr(files, "_client_ways", refuse)
    with pytest.raises(ConfigError, match="run as root or as a member of group frpd"):
        ways_of(options(tmp_path / "frpc.ini"))
