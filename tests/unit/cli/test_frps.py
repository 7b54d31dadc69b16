"""frpd.cli.frps: which configuration a command line makes, and what it exits with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from frpd import __version__
from frpd.cli import assemble_server, frps
from frpd.cli.config_file import ConfigFile
from frpd.cli.flags import DaemonOptions
from frpd.config.fields import SERVER
from frpd.config.flags import ALIASES
from frpd.config.server import ServerConfig

STATUS = 23


class Started:
    """Stands in for run_server."""

    def __init__(self) -> None:
        self.config: ServerConfig | None = None
        self.background: DaemonOptions | None = None
        self.file: ConfigFile | None = None
        self.warnings: list[str] = []

    def __call__(
        self,
        config: ServerConfig,
        warnings: Iterable[str],
        background: DaemonOptions | None = None,
        file: ConfigFile | None = None,
    ) -> int:
        self.config = config
        self.background = background
        self.file = file
        self.warnings = list(warnings)
        return STATUS


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    stand_in = Started()
    monkeypatch.setattr(assemble_server, "run_server", stand_in)
    return stand_in


def config_of(started: Started, *arguments: str) -> ServerConfig:
    assert frps.main(arguments) == STATUS
    assert started.config is not None
    return started.config


def test_flags_alone_make_the_configuration(started: Started) -> None:
    config = config_of(started, "-p", "7001", "-t", "secret", "--max-ports-per-client=3")
    assert (config.bind_port, config.max_ports_per_client) == (7001, 3)
    assert config.token.reveal() == "secret"


@pytest.mark.parametrize(
    ("flag", "text", "value"),
    [
        ("bind_addr", "127.0.0.1", "127.0.0.1"),
        ("bind_port", "7001", 7001),
        ("bind_udp_port", "7002", 7002),
        ("kcp_bind_port", "7003", 7003),
        ("proxy_bind_addr", "127.0.0.1", "127.0.0.1"),
        ("vhost_http_port", "80", 80),
        ("vhost_https_port", "443", 443),
        ("vhost_http_timeout", "9", 9),
        ("dashboard_addr", "127.0.0.1", "127.0.0.1"),
        ("dashboard_port", "7500", 7500),
        ("dashboard_user", "ann", "ann"),
        ("dashboard_tls_cert_file", "/a", "/a"),
        ("dashboard_tls_key_file", "/b", "/b"),
        ("enable_prometheus", "true", True),
        ("log_file", "/var/log/x", "/var/log/x"),
        ("log_level", "warn", "warn"),
        ("log_max_days", "9", 9),
        ("disable_log_color", "true", True),
        ("auth_timeout", "60", 60),
        ("subdomain_host", "example.test", "example.test"),
        ("max_ports_per_client", "3", 3),
        ("tls_only", "true", True),
    ],
)
def test_every_flag_has_both_spellings_and_its_effect(
    started: Started, flag: str, text: str, value: object
) -> None:
    attribute = ALIASES.get(flag, flag)
    for typed in (flag, flag.replace("_", "-")):
        assert getattr(config_of(started, f"--{typed}={text}"), attribute) == value
        assert getattr(config_of(started, f"--{typed}", text), attribute) == value


def test_flags_that_are_secrets_or_lists(started: Started) -> None:
    config = config_of(started, "--token=a", "--dashboard-pwd", "b", "--allow_ports", "1-3,9")
    assert (config.token.reveal(), config.dashboard_pwd.reveal()) == ("a", "b")
    assert 2 in config.allow_ports
    assert 4 not in config.allow_ports
    assert config_of(started, "-t", "c", "--log_way", "file").token.reveal() == "c"


def test_without_any_flag_it_starts_on_the_defaults(started: Started) -> None:
    config = config_of(started)
    assert (config.bind_addr, config.bind_port) == ("0.0.0.0", 7000)


def test_surplus_words_are_ignored_as_frps_does(started: Started) -> None:
    assert config_of(started, "extra", "words").bind_port == 7000


@pytest.mark.parametrize("typed", ["extra -p 7001", "-p 7001 extra", "a -p 7001 b"])
def test_a_surplus_word_is_told_in_the_log(started: Started, typed: str) -> None:
    assert config_of(started, *typed.split()).bind_port == 7001
    assert all("means nothing and is ignored" in line for line in started.warnings)
    assert len(started.warnings) == len(typed.split()) - 2


def test_the_word_help_is_the_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        frps.main(["help"])
    assert ending.value.code == 0
    assert "--max_ports_per_client" in capsys.readouterr().out


def test_with_a_file_only_the_file_counts(started: Started, tmp_path: Path) -> None:
    file = tmp_path / "no-extension"
    file.write_text("[common]\nbind_port = 7002\nbogus = 1\n")
    assert config_of(started, "-c", str(file), "-p", "7001").bind_port == 7002
    assert started.warnings == [f"{file}:3 [common] bogus: unknown key, ignored"]


def test_every_flag_stands_for_a_key() -> None:
    keys = {row.name for row in SERVER}
    assert {ALIASES.get(name, name) for name, _ in frps.FLAGS} <= keys


def test_a_file_that_is_not_there_is_one_line_on_stdout(
    started: Started, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "nope.ini"
    assert frps.main(["-c", str(file)]) == 1
    assert capsys.readouterr().out == f"open {file}: no such file or directory\n"
    assert started.config is None


def test_a_bad_flag_is_one_line_on_stdout(
    started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    assert frps.main(["-p", "70000"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("bind_port: '70000' cannot be used; accepted: ")
    assert out.count("\n") == 1
    assert started.config is None


def test_a_protection_that_cannot_be_given_stops_the_start(
    started: Started, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "frps.ini"
    file.write_text("[common]\nauthentication_method = oidc\n")
    assert frps.main(["-c", str(file)]) == 1
    said = capsys.readouterr().out
    assert "[common] oidc_issuer: missing; authentication_method = oidc needs it" in said
    assert started.config is None


@pytest.mark.parametrize(
    "order",
    [
        ["verify", "-c", "FILE"],
        ["-c", "FILE", "verify"],
        ["--strict-config", "verify", "--config=FILE"],
        ["verify", "-c", "FILE", "--allow-unsafe", "x", "word"],
    ],
)
def test_verify_checks_and_starts_nothing(
    started: Started, capsys: pytest.CaptureFixture[str], tmp_path: Path, order: list[str]
) -> None:
    file = tmp_path / "frps.ini"
    file.write_text("[common]\n")
    assert frps.main([word.replace("FILE", str(file)) for word in order]) == 0
    assert capsys.readouterr().out == f"frps: the configuration file {file} syntax is ok\n"
    assert started.config is None


@pytest.mark.parametrize("flag", ["-v", "--version"])
def test_version_prints_just_the_number(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    with pytest.raises(SystemExit) as ending:
        frps.main([flag])
    assert ending.value.code == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_goes_to_stdout_and_is_a_success(
    capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    with pytest.raises(SystemExit) as ending:
        frps.main([flag])
    assert ending.value.code == 0
    assert "--max_ports_per_client" in capsys.readouterr().out


def test_an_unknown_flag_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        frps.main(["--nope"])
    assert ending.value.code == 1
    assert capsys.readouterr().err == "Error: unknown flag: --nope\nRun 'frps --help' for usage.\n"


def test_a_daemon_has_its_flags(started: Started) -> None:
    config_of(started, "--daemon", "--pid-file", "/run/frps.pid", "--user=frpd:adm")
    assert started.background == DaemonOptions(pid_file="/run/frps.pid", user="frpd:adm")
    config_of(started)
    assert started.background is None


@pytest.mark.parametrize("flag", ["--pid_file", "--user"])
def test_a_flag_of_daemons_is_an_error_in_the_foreground(
    started: Started, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    with pytest.raises(SystemExit) as ending:
        frps.main([flag, "x"])
    assert ending.value.code == 1
    assert capsys.readouterr().err.startswith(f"Error: {flag} works only with --daemon\n")
    assert started.config is None
