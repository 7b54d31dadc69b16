"""frpd.cli.ctl.program: version, verify, and how it tells a frps.ini from a frpc.ini."""

from __future__ import annotations

from pathlib import Path

import pytest

from frpd import __version__
from frpd.cli.ctl import program as ctl


@pytest.mark.parametrize("typed", ["version", "-v", "--version"])
def test_version_prints_just_the_number(capsys: pytest.CaptureFixture[str], typed: str) -> None:
    try:
        status: object = ctl.main([typed])
    except SystemExit as ending:
        status = ending.code
    assert status == 0
    assert capsys.readouterr().out == f"{__version__}\n"


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


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ([], "a command is needed: verify, version"),
        (["--nope"], "unknown flag: --nope"),
        (["nothing"], 'unknown command "nothing" for "frpd-ctl"'),
        (["version", "--nope"], "unknown flag: --nope"),
    ],
)
def test_what_it_cannot_do_exits_with_1(
    capsys: pytest.CaptureFixture[str], typed: list[str], error: str
) -> None:
    with pytest.raises(SystemExit) as ending:
        ctl.main(typed)
    assert ending.value.code == 1
    assert capsys.readouterr().err == f"Error: {error}\nRun 'frpd-ctl --help' for usage.\n"
