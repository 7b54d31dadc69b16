"""frpd.cli.ctl.program: the command line, errors, and readers that leave."""

from __future__ import annotations

import subprocess
import sys

import pytest

from frpd import __version__
from frpd.cli.admin_client import Answer
from frpd.cli.ctl import program as ctl
from frpd.cli.ctl.registry import COMMANDS
from tests.unit.cli.ctl.scene import Scene


@pytest.mark.parametrize("typed", ["version", "-v", "--version"])
def test_version_prints_just_the_number(capsys: pytest.CaptureFixture[str], typed: str) -> None:
    try:
        status: object = ctl.main([typed])
    except SystemExit as ending:
        status = ending.code
    assert status == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ([], "a command is needed: " + ", ".join(command.name for command in COMMANDS)),
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


def test_flags_that_name_a_daemon_stand_before_the_command_or_behind_it() -> None:
    parser = ctl.new_parser()
    before = parser.parse_args(["-c", "x.ini", "--server", "status"])
    behind = parser.parse_args(["status", "-c", "x.ini", "--server"])
    assert (before.config, before.server, before.client) == ("x.ini", True, False)
    assert vars(before) == vars(behind)


def test_an_error_is_one_line_and_cannot_steer_the_terminal(scene: Scene) -> None:
    def respond(_method: str, _path: str, _body: object) -> Answer:
        return Answer(500, b'{"code": 500, "msg": "a bug: \\u001b[2Jx"}')

    path = scene.put("x", respond)
    done = scene("status", "--socket", path)
    assert (done.status, done.out) == (1, "")
    assert done.err == f"frpd-ctl: {path}: a bug: \ufffd[2Jx\n"


@pytest.mark.parametrize(("error", "status"), [(BrokenPipeError, 141), (KeyboardInterrupt, 130)])
def test_who_has_read_enough_or_gives_up_sees_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    error: type[BaseException],
    status: int,
) -> None:
    def run(_options: object) -> int:
        raise error

    (command,) = (one for one in COMMANDS if one.name == "version")
    monkeypatch.setattr(ctl, "COMMANDS", (command._replace(run=run),))
    assert ctl.main(["version"]) == status
    assert capfd.readouterr() == ("", "")


def test_a_full_disk_is_an_error_of_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "frpd.cli.ctl.program", "version"],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr == "frpd-ctl: cannot write: No space left on device\n"


def test_nobody_need_listen() -> None:
    shell = 'exec "$@" >&-'
    line = ["/bin/sh", "-c", shell, "sh", sys.executable, "-m", "frpd.cli.ctl.program", "version"]
    done = subprocess.run(line, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_start_reads_no_tables_of_keys_and_no_web_server() -> None:
    """They would double it."""
    slow = ("bottle", "configobj", "frpd.config.load", "frpd.server", "http.client", "tabulate")
    code = f"import sys, frpd.cli.ctl.program; print([n for n in {slow} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[]\n"
