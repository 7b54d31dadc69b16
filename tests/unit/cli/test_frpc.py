"""frpd.cli.frpc: files, quick forms, verify, and what each exits with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from frpd import __version__
from frpd.cli import assemble, frpc
from frpd.cli.config_file import ConfigFile
from frpd.cli.flags import DaemonOptions
from frpd.config.client import ClientSetup
from frpd.config.fields import CLIENT, PROXY, PROXY_TYPES, VISITOR
from frpd.config.flags import ALIASES
from frpd.config.proxies import TcpProxyConfig

STATUS = 23
INI = "[common]\nserver_port = 7002\n[web]\nlocal_port = 80\nremote_port = 6000\n"


class Started:
    """Stands in for run_client."""

    def __init__(self) -> None:
        self.setup: ClientSetup | None = None
        self.background: DaemonOptions | None = None
        self.file: ConfigFile | None = None

    def __call__(
        self,
        setup: ClientSetup,
        warnings: Iterable[str],
        background: DaemonOptions | None = None,
        file: ConfigFile | None = None,
    ) -> int:
        del warnings
        self.setup = setup
        self.background = background
        self.file = file
        return STATUS


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    stand_in = Started()
    monkeypatch.setattr(assemble, "run_client", stand_in)
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


@pytest.mark.parametrize(
    "server",
    [("-s", "host:7009"), ("-s", "host", "-P", "7009"), ("--server-addr=host:7009",)],
)
def test_the_server_is_host_and_port_or_host_port(
    started: Started, server: tuple[str, ...]
) -> None:
    setup = setup_of(started, "tcp", *server, "-l", "22", "-r", "6000")
    assert (setup.common.server_addr, setup.common.server_port) == ("host", 7009)


def test_the_quick_form_of_tcp_makes_one_proxy(started: Started) -> None:
    typed = "tcp -s host -t secret -u me -n ssh -i 10.0.0.1 -l 22 -r 6000 --ue --uc"
    setup = setup_of(started, *typed.split())
    assert setup.common.token.reveal() == "secret"
    (proxy,) = setup.proxies
    assert isinstance(proxy, TcpProxyConfig)
    assert (proxy.name, proxy.local_ip, proxy.local_port) == ("me.ssh", "10.0.0.1", 22)
    assert (proxy.remote_port, proxy.use_encryption, proxy.use_compression) == (6000, True, True)


@pytest.mark.parametrize(
    ("typed", "proxy_type"),
    [
        ("udp -l 53 -r 6000", "udp"),
        ("http -l 80 -d a.example", "http"),
        ("http -l 80 --custom-domain a.example --locations=/a", "http"),
        ("https -l 443 --sd www", "https"),
        ("stcp -l 22 --sk key", "stcp"),
    ],
)
def test_every_type_has_its_quick_form(started: Started, typed: str, proxy_type: str) -> None:
    (proxy,) = setup_of(started, *typed.split()).proxies
    assert proxy.proxy_type == proxy_type


@pytest.mark.parametrize("proxy_type", frpc.PROXY_FLAGS)
def test_every_flag_of_a_quick_form_stands_for_a_key(proxy_type: str) -> None:
    rows = (*CLIENT, *PROXY, *PROXY_TYPES[proxy_type], *VISITOR)
    keys = {row.name for row in rows} | {"proxy_name"}
    flags = (*frpc.COMMON_FLAGS, *frpc.PROXY_FLAGS[proxy_type])
    assert {ALIASES.get(name, name) for name, _ in flags} <= keys


def test_the_quick_form_of_a_visitor_makes_a_visitor(started: Started) -> None:
    typed = "stcp --role visitor --sk k --server_name s --bind_addr 127.0.0.1 --bind_port 9"
    setup = setup_of(started, *typed.split())
    assert not setup.proxies
    assert [visitor.bind_port for visitor in setup.visitors] == [9]


def test_a_quick_form_without_a_local_port_is_refused(
    started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    assert frpc.main(["tcp", "-r", "6000"]) == 1
    assert capsys.readouterr().out.startswith("local_port: ")
    assert started.setup is None


def test_a_server_without_a_host_is_refused(
    started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    assert frpc.main(["tcp", "-s", ":7000", "-l", "22"]) == 1
    assert "invalid server_addr" in capsys.readouterr().out
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


def test_an_unknown_protocol_is_refused(
    started: Started, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "frpc.ini"
    file.write_text("[common]\nprotocol = invalid\n")
    assert frpc.main(["-c", str(file)]) == 1
    assert f"{file}:2 [common] protocol" in capsys.readouterr().out
    assert started.setup is None


@pytest.mark.parametrize("flag", ["-v", "--version"])
def test_version_prints_just_the_number(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    with pytest.raises(SystemExit) as ending:
        frpc.main([flag])
    assert ending.value.code == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_help_names_the_quick_forms(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        frpc.main(["--help"])
    assert ending.value.code == 0
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
