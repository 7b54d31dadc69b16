"""frpd-ctl doctor: what it prints, and its exit status."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from frpd.admin import control_socket
from frpd.cli.ctl.doctor import lines_of, summary
from frpd.cli.ctl.program import main
from frpd.cli.ctl.tables import Screen
from frpd.cli.doctor import examine
from frpd.cli.doctor.case import Case
from frpd.cli.doctor.examine import Result
from frpd.cli.doctor.finding import fault, ok, warning

FINE = Result("file", ok("the file is valid"))
ODD = Result("clock", warning("nobody sets the clock", "use NTP"))
BROKEN = Result("dns", fault("DNS fails", "check the name"))


class Patient:
    """What the examination shall find, and what was examined."""

    def __init__(self) -> None:
        self.results = [FINE]
        self.cases: list[Case] = []

    def examine(self, case: Case) -> Iterator[Result]:
        self.cases.append(case)
        yield from self.results


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Patient:
    patient = Patient()
    monkeypatch.setattr(examine, "examine", patient.examine)
    return patient


@pytest.fixture
def client_file(tmp_path: Path) -> str:
    path = tmp_path / "frpc.ini"
    path.write_text(f"[common]\ncontrol_socket = {tmp_path}/none.sock\n")
    return str(path)


def test_only_a_fault_fails(
    patient: Patient, client_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    patient.results = [FINE, ODD]
    assert main(["doctor", "-c", client_file]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok       file          the file is valid",
        "warning  clock         nobody sets the clock",
        "                       remedy: use NTP",
        "no faults, 1 warning",
    ]
    patient.results = [BROKEN, BROKEN]
    assert main(["doctor", "-c", client_file]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "2 faults, no warnings"


def test_programs_get_all_of_it(
    patient: Patient, client_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    patient.results = [FINE, BROKEN]
    assert main(["doctor", "-c", client_file, "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "program": "frpc",
        "file": client_file,
        "pid": None,
        "faults": 1,
        "warnings": 0,
        "findings": [
            {"check": "file", "verdict": "ok", "found": "the file is valid", "remedy": ""},
            {
                "check": "dns",
                "verdict": "fault",
                "found": "DNS fails",
                "remedy": "check the name",
            },
        ],
    }


def test_a_file_is_examined_without_its_daemon_too(patient: Patient, client_file: str) -> None:
    main(["doctor", "-c", client_file])
    (case,) = patient.cases
    assert (case.program, case.pid) == ("frpc", 0)
    assert isinstance(case.daemon, str)
    assert "does not run" in case.daemon


def test_so_is_one_that_cannot_be_used(patient: Patient, tmp_path: Path) -> None:
    path = tmp_path / "frps.ini"
    path.write_text("[common]\nbind_port = 70000\n")
    assert main(["doctor", "-c", os.fspath(path)]) == 0
    (case,) = patient.cases
    assert case.program == "frps"
    assert "not known how to ask" in str(case.daemon)


def test_without_a_file_and_a_daemon_there_is_nobody_to_examine(
    patient: Patient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(control_socket, "RUN_FOLDER", str(tmp_path))
    assert main(["doctor"]) == 1
    assert "name its file with -c FILE" in capsys.readouterr().err
    assert patient.cases == []


def test_a_narrow_screen_breaks_lines_and_a_good_one_shows_colours() -> None:
    lines = list(lines_of(BROKEN, Screen(32, colour=True)))
    assert lines[0] == "\x1b[31mfault\x1b[0m    dns           DNS fails"
    assert lines[1:] == [
        "                       remedy:",
        "                         check",
        "                         the",
        "                         name",
    ]


def test_several_daemons_have_one_summary() -> None:
    reports = [{"faults": 1, "warnings": 0}, {"faults": 0, "warnings": 2}]
    assert summary(reports) == "1 fault, 2 warnings"
