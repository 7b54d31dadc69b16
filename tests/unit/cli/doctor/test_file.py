"""The file, and the token in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from frpd.cli.config_file import ConfigFile
from frpd.cli.doctor.case import Case
from frpd.cli.doctor.file import (
    check_file,
    check_rights,
    check_token,
    judge_error,
    judge_file,
    judge_token,
)
from frpd.cli.doctor.finding import Verdict
from frpd.config.secret import Secret

OK, WARNING, FAULT = Verdict.OK, Verdict.WARNING, Verdict.FAULT


def case_of(program: str, path: Path, text: str) -> Case:
    path.write_text(text)
    return Case(program, ConfigFile.named(str(path), None))


def test_a_good_file_is_read_for_the_checks_that_follow(tmp_path: Path) -> None:
    case = case_of("frpc", tmp_path / "c", "[common]\nserver_port = 7001\n[a]\nlocal_port = 22\n")
    assert [one.verdict for one in check_file(case)] == [OK]
    assert case.client is not None
    assert case.client.common.server_port == 7001
    case = case_of("frps", tmp_path / "s", "[common]\nbind_port = 7001\n")
    assert [one.verdict for one in check_file(case)] == [OK]
    assert case.server is not None
    assert case.server.bind_port == 7001


def test_a_bad_file_is_a_fault_and_leaves_nothing_to_examine(tmp_path: Path) -> None:
    case = case_of("frps", tmp_path / "s", "[common]\nbind_port = 70000\n")
    (finding,) = check_file(case)
    assert finding.verdict is FAULT
    assert "frpd-ctl verify" in finding.remedy
    assert case.server is None
    assert list(check_token(case)) == []


def test_an_unknown_key_is_a_warning(tmp_path: Path) -> None:
    (finding,) = check_file(case_of("frps", tmp_path / "s", "[common]\nbind_prot = 7000\n"))
    assert finding.verdict is WARNING
    assert "bind_port" in finding.found


def test_what_is_refused_is_a_fault() -> None:
    refused, warned = judge_file("f", ["odd"], ["not supported yet"])
    assert (refused.verdict, warned.verdict) == (FAULT, WARNING)


def test_a_file_that_may_not_be_read_has_another_remedy() -> None:
    assert "as root" in judge_error("f", "open f: permission denied").remedy


def test_a_daemon_that_names_no_file_is_a_warning() -> None:
    assert [one.verdict for one in check_file(Case("frps"))] == [WARNING]


@pytest.mark.parametrize(("length", "verdict"), [(0, WARNING), (15, WARNING), (16, OK)])
def test_a_token_is_judged_by_its_length(length: int, verdict: Verdict) -> None:
    assert judge_token(Secret("x" * length), is_server=True).verdict is verdict


def test_who_has_no_token_is_told_what_that_means() -> None:
    assert "anybody may log in" in judge_token(Secret(), is_server=True).found
    assert "proves" in judge_token(Secret(), is_server=False).found


def test_the_token_is_never_shown(tmp_path: Path) -> None:
    case = case_of("frpc", tmp_path / "c", "[common]\ntoken = hush-hush\n")
    list(check_file(case))
    (finding,) = check_token(case)
    assert "hush" not in finding.found + finding.remedy


def test_a_token_that_everybody_can_read_is_a_warning(tmp_path: Path) -> None:
    case = case_of("frps", tmp_path / "s", "[common]\ntoken = a long one, not to be guessed\n")
    assert list(check_rights(case)) == []  # not read yet
    list(check_file(case))
    for mode, verdicts in ((0o644, [WARNING]), (0o640, [])):
        (tmp_path / "s").chmod(mode)
        assert [one.verdict for one in check_rights(case)] == verdicts
