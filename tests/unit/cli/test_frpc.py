"""frpd.cli.frpc: files, quick forms, verify, and what each exits with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from frpd import __version__
from frpd.cli import assemble_client, frpc
from frpd.cli.config_file import ConfigFile
from frpd.cli.flags import DaemonOptions
from frpd.config.client import ClientSetup
from frpd.proto import seal_keys

STATUS = 23
INI = "[common]\nserver_port = 7002\n[web]\nlocal_port = 80\nremote_port = 6000\n"


class Started:
    """Stands in for run_client."""

    def __init__(self) -> None:
        self.setup: ClientSetup | None = None
        self.background: DaemonOptions | None = None
        self.file: ConfigFile | None = None
        self.stretched: Callable[[], bytes] | None = None

    def __call__(
        self,
        setup: ClientSetup,
        warnings: Iterable[str],
        background: DaemonOptions | None = None,
        file: ConfigFile | None = None,
        stretched: Callable[[], bytes] | None = None,
    ) -> int:
        del warnings
        self.setup = setup
        self.background = background
        self.file = file
        self.stretched = stretched
        return STATUS


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    stand_in = Started()
    monkeypatch.setattr(assemble_client, "run_client", stand_in)
    return stand_in


def setup_of(started: Started, *arguments: str) -> ClientSetup:
    assert frpc.main(arguments) == STATUS
    assert started.setup is not None
    return started.setup


def test_without_arguments_it_reads_frpc_ini_of_the_working_directory(
    started: Started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "frpc.ini").write_text(INI)
    monkeypatch.chdir(tmp_path)
    assert setup_of(started).common.server_port == 7002


def test_a_file_needs_no_extension(started: Started, tmp_path: Path) -> None:
    file = tmp_path / "frp-client-1"
    file.write_text(INI)
    assert [proxy.name for proxy in setup_of(started, "-c", str(file)).proxies] == ["web"]


def test_a_quick_form_has_no_file_to_read_again(started: Started) -> None:
    setup = setup_of(started, "tcp", "-n", "ssh", "-l", "22", "-c", "nobody.ini")
    assert [proxy.name for proxy in setup.proxies] == ["ssh"]
    assert started.file is None


def test_a_quick_form_that_cannot_be_is_one_line_on_stdout(
    started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    assert frpc.main(["tcp", "-r", "6000"]) == 1
    assert capsys.readouterr().out.startswith("local_port: ")
    assert started.setup is None


@pytest.mark.parametrize("order", [["verify", "-c", "FILE"], ["-c", "FILE", "verify"]])
def test_verify_takes_the_file_before_or_after_its_name(
    started: Started, capsys: pytest.CaptureFixture[str], tmp_path: Path, order: list[str]
) -> None:
    file = tmp_path / "other.ini"
    file.write_text(INI)
    assert frpc.main([str(file) if word == "FILE" else word for word in order]) == 0
    assert capsys.readouterr().out == f"frpc: the configuration file {file} syntax is ok\n"
    assert started.setup is None


def test_verify_takes_the_dialect_before_or_after_its_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "frpc.ini"
    file.write_text("[common]\nserver_port: 7002\n")  # an error in the old dialect only
    for typed in (["verify", "--ini-dialect", "old"], ["--ini-dialect", "old", "verify"]):
        assert frpc.main(["-c", str(file), *typed]) == 1
        assert capsys.readouterr().out.startswith(f"{file}:2")
    assert frpc.main(["-c", str(file), "verify"]) == 0


def test_verify_alone_checks_the_default_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert frpc.main(["verify"]) == 1
    assert capsys.readouterr().out == "open ./frpc.ini: no such file or directory\n"


def test_verify_of_a_folder_checks_every_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    good, other = tmp_path / "a.ini", tmp_path / "sub" / "b.ini"
    good.write_text(INI)
    other.write_text(INI)
    assert frpc.main(["verify", "--config-dir", str(tmp_path)]) == 0
    assert [line.split()[4] for line in capsys.readouterr().out.splitlines()] == [
        *(str(good), str(other))
    ]
    good.write_text("[common]\nprotocol = invalid\n")
    assert frpc.main(["verify", "--config_dir", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert f"{good}:2 [common] protocol" in out
    assert f"{other} syntax is ok" in out


def test_a_folder_runs_one_for_each_file(
    started: Started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In this process, for the test; test_config_dir has the real ones."""
    (tmp_path / "a.ini").write_text(INI)
    ran: list[str] = []

    def run_each(files: Iterable[str], run: Callable[[str], int]) -> int:
        ran.extend(files)
        return max(map(run, ran))

    monkeypatch.setattr(frpc, "run_each", run_each)
    assert setup_of(started, "--config_dir", str(tmp_path)).common.server_port == 7002
    assert ran == [f"{tmp_path}/a.ini"]
    assert started.file == ConfigFile.named(ran[0], None)


def test_a_folder_is_no_affair_of_a_daemon(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "a.ini").write_text(INI)
    assert frpc.main(["--daemon", "--config_dir", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert said.startswith("--daemon: cannot be combined with --config_dir; run one daemon for ")


def test_the_kind_of_nat_is_asked_for_by_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert frpc.main(["nathole", "discover", "--nat-hole-stun-server", "a", "-l", "b:x"]) == 1
    assert capsys.readouterr().out == "discover error: not an address of this machine: 'b:x'\n"
    assert frpc.main(["nathole"]) == 0
    assert "discover" in capsys.readouterr().out


def test_an_unknown_protocol_is_refused(
    started: Started, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "frpc.ini"
    file.write_text("[common]\nprotocol = invalid\n")
    assert frpc.main(["-c", str(file)]) == 1
    assert f"{file}:2 [common] protocol" in capsys.readouterr().out
    assert started.setup is None


@pytest.mark.parametrize(
    "typed", ["-v", "--version", "tcp -v", "stcp visitor -v", "reload --version", "verify -v"]
)
def test_version_prints_just_the_number(capsys: pytest.CaptureFixture[str], typed: str) -> None:
    with pytest.raises(SystemExit) as ending:
        frpc.main(typed.split())
    assert ending.value.code == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--help", "run one tcp proxy from flags"),
        ("-h", "run one tcp proxy from flags"),
        ("help", "run one tcp proxy from flags"),
        ("help tcp", "usage: frpc tcp "),
        ("tcp --help", "usage: frpc tcp "),
        ("stcp visitor -h", "be a visitor of such a proxy"),
        ("help reload", "usage: frpc reload "),
    ],
)
def test_help_explains_all_or_one_command(
    capsys: pytest.CaptureFixture[str], typed: str, said: str
) -> None:
    with pytest.raises(SystemExit) as ending:
        frpc.main(typed.split())
    assert ending.value.code == 0
    assert said in capsys.readouterr().out


def test_the_command_help_is_one_also_behind_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert frpc.main(["-c", "x", "help"]) == 0
    assert "run one tcp proxy from flags" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        (["relaod"], 'unknown command "relaod" for "frpc"'),
        (["--nope"], "unknown flag: --nope"),
        (["tcp", "--nope"], "unknown flag: --nope"),
    ],
)
def test_what_it_does_not_know_is_named_and_exits_with_1(
    capsys: pytest.CaptureFixture[str], typed: list[str], text: str
) -> None:
    with pytest.raises(SystemExit) as ending:
        frpc.main(typed)
    assert ending.value.code == 1
    assert capsys.readouterr().err == f"Error: {text}\nRun 'frpc --help' for usage.\n"


def test_a_daemon_s_user_and_the_user_of_a_quick_form_are_two(started: Started) -> None:
    daemon = ("--daemon", "--user", "nobody")
    quick = ("tcp", "--user", "alice", "-n", "web", "-l", "80", "-r", "6000")
    assert setup_of(started, *daemon, *quick).common.user == "alice"
    assert started.background == DaemonOptions(user="nobody")
    setup_of(started, *quick)
    assert started.background is None


@pytest.mark.parametrize(
    ("lines", "is_begun"),
    [
        ("token = abc", True),
        ("", False),
        ("token = abc\nnative = off", False),
    ],
)
def test_the_token_is_stretched_while_the_rest_is_loaded(
    started: Started, tmp_path: Path, lines: str, is_begun: bool
) -> None:
    file = tmp_path / "frpc.ini"
    file.write_text(f"[common]\n{lines}\n")
    file.chmod(0o600)
    assert frpc.main(["-c", str(file)]) == STATUS
    assert (started.stretched is not None) == is_begun
    if started.stretched is not None:
        assert started.stretched() == seal_keys.stretch("abc")
