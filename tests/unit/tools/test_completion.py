"""The completion of bash: that it parses, and offers what the programs take."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.completion import main, script
from tools.manpages import PARSERS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    assert main([str(folder)]) == 0
    return folder


def offers(folder: Path, line: str) -> list[str]:
    """What bash would offer for the last word of a command line."""
    code = """
        shopt -s extglob
        program=$1; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        source "$FOLDER/$program"
        function=$(complete -p "$program" | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        "$function" "$program" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", code, "bash", *line.split(" ")],
        env={"FOLDER": str(folder), "PATH": "/usr/bin:/bin"},
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return done.stdout.split()


@pytest.mark.parametrize("program", PARSERS)
def test_a_script_parses(program: str) -> None:
    subprocess.run(["bash", "-n"], input=script(program), text=True, check=True, timeout=20)


def test_flags_are_offered_by_their_beginning(folder: Path) -> None:
    assert offers(folder, "frps --bind_p") == ["--bind_port"]


def test_subcommands_and_their_flags_are_offered(folder: Path) -> None:
    assert "reload" in offers(folder, "frpc re")
    assert "--remote_port" in offers(folder, "frpc tcp --remote")


def test_files_are_offered_where_one_is_wanted(folder: Path) -> None:
    (folder / "my.ini").touch()
    assert "my.ini" in offers(folder, "frps -c my")
