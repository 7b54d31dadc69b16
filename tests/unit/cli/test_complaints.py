"""frpd.cli.complaints: what a daemon says of its file before it runs on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from frpd.cli.complaints import open_to_others, print_refusals
from frpd.config.load import Loaded
from frpd.config.secret import Secret
from frpd.config.server import ServerConfig


def test_who_can_read_a_token_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "frps.ini"
    file.write_text("[common]\ntoken = x\n")
    file.chmod(0o644)
    [warning] = open_to_others(str(file), ServerConfig(token=Secret("x")))
    assert "chmod o=" in warning
    assert not list(open_to_others(str(file), ServerConfig()))
    file.chmod(0o640)
    assert not list(open_to_others(str(file), ServerConfig(token=Secret("x"))))
    assert not list(open_to_others(str(tmp_path / "gone"), ServerConfig(token=Secret("x"))))


def test_refusals_are_printed_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_refusals(Loaded(object(), refusals=("no this", "no that")))
    assert capsys.readouterr().out == "no this\nno that\n"


def test_without_refusals_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert not print_refusals(Loaded(object(), warnings=("only this",)))
    assert not capsys.readouterr().out
