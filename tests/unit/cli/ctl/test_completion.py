"""frpd.cli.ctl.completion: scripts that a shell can use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from frpd.cli.ctl.completion import repaired, script
from frpd.cli.ctl.program import new_parser
from tests.unit.cli.ctl.scene import Scene

TRY = """
source "$1"; shift
while [ $# -gt 0 ]; do
    read -ra COMP_WORDS <<< "$1"; shift
    [ "${COMP_WORDS[-1]}" = _ ] && COMP_WORDS[-1]=
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
    _shtab_frpd_ctl
    echo "${COMPREPLY[@]}"
done
"""


def test_bash_completes_commands_flags_choices_and_files(tmp_path: Path) -> None:
    file = tmp_path / "script"
    file.write_text(script(new_parser(), "bash"))
    (tmp_path / "frps.ini").touch()
    lines = ["st", "-c x.ini cl", "log-level d", "proxies _", "conns --li", "status -c frp"]
    done = subprocess.run(
        ["bash", "-c", TRY, "bash", str(file), *(f"frpd-ctl {line}" for line in lines)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "status stop",
        "clients",
        "debug",
        "tcp udp http https tcpmux stcp sudp xtcp",
        "--limit",
        "frps.ini",
    ]


def test_both_shells_are_served(scene: Scene) -> None:
    for shell, mark in (("bash", "complete -"), ("zsh", "#compdef frpd-ctl")):
        done = scene("completion", shell)
        assert done.status == 0
        assert mark in done.out
    assert scene("completion", "fish").status == 1


def test_what_debian_12_s_shtab_gets_wrong_is_repaired() -> None:
    old = 'x\n  local current_action_choices_var="${current_action}_choices"\n  y\na_nargs=?\n'
    assert repaired(old) == (
        "x\n  local IFS=$'\\n' current_action_choices_var=\"${current_action}_choices[*]\"\n"
        "  y\na_nargs=1\n"
    )
    later = '  local current_action_choices_var="${current_action}_choices[@]"\n'
    assert repaired(later) == later


def test_without_shtab_the_error_names_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert "shtab is missing: install python3-shtab" in scene("completion", "bash").err
