"""frpd.cli.ctl.verify: check a file, as frps.ini or as frpc.ini."""

from __future__ import annotations

from pathlib import Path

import pytest

from frpd.cli.ctl import program as ctl


@pytest.mark.parametrize(
    ("name", "side", "program"),
    [
        ("frps.ini", "", "frps"),
        ("my-frps-2.ini", "", "frps"),
        ("frpc.ini", "", "frpc"),
        ("other.ini", "", "frpc"),
        ("other.ini", "--server", "frps"),
        ("frps.ini", "--client", "frpc"),
    ],
)
def test_the_name_tells_the_side_unless_a_flag_does(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, side: str, program: str
) -> None:
    file = tmp_path / name
    file.write_text("[common]\n")
    assert ctl.main(["verify", "-c", str(file), *([side] if side else [])]) == 0
    assert capsys.readouterr().out == f"{program}: the configuration file {file} syntax is ok\n"


def test_strict_makes_errors_of_warnings(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "frps.ini"
    file.write_text("[common]\nbogus = 1\n")
    assert ctl.main(["verify", "-c", str(file)]) == 0
    assert ctl.main(["verify", "-c", str(file), "--strict"]) == 1
    capsys.readouterr()


def test_without_a_file_there_is_nothing_to_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl.main(["verify", "--server"]) == 1
    assert capsys.readouterr().out == "frps: the configuration file is not specified\n"
