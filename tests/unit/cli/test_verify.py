"""frpd.cli.verify: frp's words, warnings, refusals and exit statuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frpd.cli.verify import verify_client, verify_server
from tests.helpers.authority import Authority

Verify = Callable[..., int]
BOTH = pytest.mark.parametrize(
    ("verify", "program"), [(verify_server, "frps"), (verify_client, "frpc")]
)


def check(verify: Verify, file: Path | None, **options: Any) -> int:
    return verify(
        None if file is None else str(file), **({"dialect": None, "strict": False} | options)
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "a.ini"
    made.write_text("[common]\n")
    made.chmod(0o640)
    return made


@BOTH
def test_a_good_file_is_ok(
    capsys: pytest.CaptureFixture[str], file: Path, verify: Verify, program: str
) -> None:
    assert check(verify, file) == 0
    assert capsys.readouterr().out == f"{program}: the configuration file {file} syntax is ok\n"


@BOTH
def test_no_file_at_all_is_said_and_is_a_failure(
    capsys: pytest.CaptureFixture[str], verify: Verify, program: str
) -> None:
    assert check(verify, None) == 1
    assert capsys.readouterr().out == f"{program}: the configuration file is not specified\n"


@BOTH
def test_an_unknown_key_is_a_warning_and_an_error_when_strict(
    capsys: pytest.CaptureFixture[str], file: Path, verify: Verify, program: str
) -> None:
    file.write_text("[common]\nbogus = 1\n")
    assert check(verify, file) == 0
    warning, ok = capsys.readouterr().out.splitlines()
    assert warning == f"warning: {file}:2 [common] bogus: unknown key, ignored"
    assert ok.startswith(f"{program}: ")
    assert check(verify, file, strict=True) == 1
    assert "syntax is ok" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("verify", "line"), [(verify_server, "bind_port = 70000"), (verify_client, "protocol = bad")]
)
def test_a_bad_value_is_named_with_its_place(
    capsys: pytest.CaptureFixture[str], file: Path, verify: Verify, line: str
) -> None:
    file.write_text(f"[common]\n{line}\n")
    assert check(verify, file) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"{file}:2 [common] {line.partition(' ')[0]}: ")
    assert "syntax is ok" not in out


def test_every_problem_has_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    file.write_text("[common]\nbind_port = 70000\nallow_ports = x\n")
    assert check(verify_server, file) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" ")[0] for line in lines] == [f"{file}:2", f"{file}:3"]


def test_the_dialect_is_passed_on(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    file.write_text("[common]\nbind_port: 7000\n")  # an error in the old dialect only
    assert check(verify_server, file, dialect="new") == 0
    assert check(verify_server, file, dialect="old") == 1
    capsys.readouterr()


def test_a_file_that_no_daemon_would_run_on_is_not_ok(
    capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    file.write_text("[common]\nauthentication_method = oidc\n")
    assert check(verify_server, file) == 1
    out = capsys.readouterr().out
    assert "[common] oidc_issuer: missing" in out
    assert "syntax is ok" not in out


@BOTH
def test_a_token_that_can_be_guessed_is_a_warning_and_an_error_when_strict(
    capsys: pytest.CaptureFixture[str], file: Path, verify: Verify, program: str
) -> None:
    file.write_text(f"[common]\ntoken = {'x' * 15}\n")
    assert check(verify, file) == 0
    warning, ok = capsys.readouterr().out.splitlines()
    assert warning.startswith("warning: [common] token: shorter than 16 bytes")
    assert "xxx" not in warning
    assert ok.startswith(f"{program}: ")
    assert check(verify, file, strict=True) == 1
    file.write_text(f"[common]\ntoken = {'x' * 16}\n")
    assert check(verify, file, strict=True) == 0


CLIENT, SERVER = (verify_client, "tls_enable = true\n"), (verify_server, "")


@pytest.mark.parametrize(("verify", "more"), [SERVER, CLIENT])
@pytest.mark.parametrize("key", ["tls_cert_file", "tls_key_file", "tls_trusted_ca_file"])
def test_certificates_are_looked_at_as_at_the_start(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, verify: Verify, more: str, key: str
) -> None:
    authority = Authority(tmp_path)
    pair, other = authority.issue("frps.example"), authority.issue("frps.example")
    good = {
        "tls_cert_file": pair.cert,
        "tls_key_file": pair.key,
        "tls_trusted_ca_file": authority.ca_file,
    }
    file = tmp_path / "a.ini"

    def write(**files: str) -> None:
        lines = (f"{name} = {path}\n" for name, path in (good | files).items())
        file.write_text(f"[common]\n{more}{''.join(lines)}")

    write()
    assert check(verify, file) == 0
    write(**{key: "/nowhere/x.pem"})
    assert check(verify, file) == 1
    out = capsys.readouterr().out
    assert f"{key}: cannot read /nowhere/x.pem: no such file or directory\n" in out
    write(tls_key_file=other.key)
    assert check(verify, file) == 1
    assert f"{other.key} is not the key of {pair.cert}" in capsys.readouterr().out


def test_the_ssh_gateway_is_looked_at_as_at_the_start_and_makes_no_key(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, file: Path
) -> None:
    pytest.importorskip("asyncssh")
    key = tmp_path / "key"
    keys = f"ssh_gateway_bind_port = 2200\nssh_gateway_auto_gen_private_key_path = {key}\n"
    file.write_text(f"[common]\n{keys}")
    assert check(verify_server, file) == 0
    assert "ssh_gateway_bind_port: everybody can expose services here" in capsys.readouterr().out
    file.write_text(f"[common]\ntoken = x\n{keys}ssh_gateway_authorized_keys_file = /nowhere/x\n")
    assert check(verify_server, file) == 1
    out = capsys.readouterr().out
    assert "ssh_gateway_authorized_keys_file: cannot read /nowhere/x: no such file" in out
    file.write_text(f"[common]\nbind_port = 2200\ntoken = x\n{keys}")
    assert check(verify_server, file) == 1
    assert "ssh_gateway_bind_port: 2200 is bind_port as well" in capsys.readouterr().out
    assert not key.exists()


def test_certificates_that_are_not_used_are_not_looked_at(
    capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    file.write_text("[common]\ntls_trusted_ca_file = /nowhere/x.pem\n")
    assert check(verify_client, file) == 0
    assert "syntax is ok" in capsys.readouterr().out
    file.write_text("[common]\nprotocol = wss\ntls_trusted_ca_file = /nowhere/x.pem\n")
    assert check(verify_client, file) == 1
    assert "cannot read /nowhere/x.pem" in capsys.readouterr().out


@BOTH
def test_a_token_that_everybody_can_read_is_told_but_no_error(
    capsys: pytest.CaptureFixture[str], file: Path, verify: Verify, program: str
) -> None:
    file.write_text("[common]\ntoken = long enough to be none that is guessed\n")
    file.chmod(0o644)
    assert check(verify, file, strict=True) == 0
    warning, ok = capsys.readouterr().out.splitlines()
    assert warning.startswith("warning: the configuration file can be read by every user")
    assert ok.startswith(f"{program}: ")
    file.chmod(0o640)
    assert check(verify, file) == 0
    assert "warning" not in capsys.readouterr().out


@BOTH
def test_a_file_without_a_token_may_be_read_by_all(
    capsys: pytest.CaptureFixture[str], file: Path, verify: Verify, program: str
) -> None:
    file.chmod(0o644)
    assert check(verify, file) == 0
    assert capsys.readouterr().out == f"{program}: the configuration file {file} syntax is ok\n"
