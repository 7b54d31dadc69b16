"""What of debian/ must agree with the rest of the project."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from frpd import __version__
from frpd.config.load_client import load_client
from frpd.config.load_server import load_server

ROOT = Path(__file__).resolve().parents[3]
DEBIAN = ROOT / "debian"
# Names that Debian gives to projects, where "python3-" in front is not all.
RENAMED = {
    "pynacl": "python3-nacl",
    "python-daemon": "python3-daemon",
    "python-snappy": "python3-snappy",
}


def test_the_version_is_that_of_the_programs() -> None:
    first = (DEBIAN / "changelog").read_text().splitlines()[0]
    assert first.startswith(f"frpd ({__version__})")


def test_the_build_has_every_library() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split("[<>=]", wanted)[0] for wanted in project["dependencies"]]
    control = (DEBIAN / "control").read_text()
    missing = [n for n in names if f" {RENAMED.get(n, f'python3-{n}')},\n" not in control]
    assert missing == []


@pytest.mark.parametrize("program", ["frps", "frpc"])
def test_an_instance_differs_from_its_service_by_the_file_only(program: str) -> None:
    service = (DEBIAN / f"frpd.{program}.service").read_text()
    instance = (DEBIAN / f"frpd.{program}@.service").read_text()
    assert instance.replace("%i.ini", f"{program}.ini").replace(" (%i)", "") == service


def test_both_services_are_shut_in_equally() -> None:
    def sandbox(program: str) -> list[str]:
        lines = (DEBIAN / f"frpd.{program}.service").read_text().splitlines()
        return lines[lines.index("User=frpd") :]

    assert sandbox("frps") == sandbox("frpc")


def test_services_see_the_files_of_proc_that_psutil_wants() -> None:
    # It cannot be imported without /proc/stat, nor can the admin API that shows its figures.
    assert "ProcSubset" not in (DEBIAN / "frpd.frps.service").read_text()


@pytest.mark.parametrize("program", ["frps", "frpc"])
def test_a_template_is_a_configuration_without_warnings(program: str, tmp_path: Path) -> None:
    text = (DEBIAN / "templates" / f"{program}.ini").read_text()
    assert text.count("@TOKEN@") == text.count("@PASSWORD@") == 1
    ini = tmp_path / f"{program}.ini"
    ini.write_text(text.replace("@TOKEN@", "0" * 64).replace("@PASSWORD@", "1" * 64))
    loaded = load_server(str(ini)) if program == "frps" else load_client(str(ini))
    assert not loaded.warnings
    assert not loaded.refusals
