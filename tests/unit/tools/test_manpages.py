"""The man pages: that they say what the programs and the key table say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from frpd.config.fields import CLIENT, PROXY, SERVER, Rows
from frpd.config.kinds import State
from tools.manpages import PARSERS, escaped, main, pages


def plain(page: str) -> str:
    """The text of a page without roff's marks."""
    return re.sub(r"\\f[BRI]|\\&|^\.\w+ ?", "", page, flags=re.MULTILINE).replace("\\-", "-")


def test_there_is_a_page_for_each_program_and_each_file(tmp_path: Path) -> None:
    assert main([str(tmp_path / "new")]) == 0
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"frps.8", "frpc.8", "frpd-ctl.8", "frps.ini.5", "frpc.ini.5"}


@pytest.mark.parametrize(("page", "rows"), [("frps.ini.5", SERVER), ("frpc.ini.5", CLIENT + PROXY)])
def test_a_file_page_has_every_key_that_means_something(page: str, rows: Rows) -> None:
    text = plain(pages()[page])
    missing = [r.name for r in rows if r.state is not State.IGNORED and f"\n{r.name}" not in text]
    assert missing == []


@pytest.mark.parametrize("program", PARSERS)
def test_a_program_page_has_every_flag_and_subcommand(program: str) -> None:
    text = plain(pages()[f"{program}.8"])
    parser = PARSERS[program]()
    flags = re.findall(r"--\w+", parser.format_help())
    assert flags
    assert [flag for flag in flags if flag not in text] == []
    commands = [action.choices for action in parser._actions if action.nargs == "A..."]
    for name in [name for choices in commands for name in choices or ()]:
        assert f'\n"{name}"\n' in text


def test_no_line_begins_with_a_request_that_is_none() -> None:
    known = {".TH", ".SH", ".SS", ".TP", ".PP", '.\\"'}
    for page in pages().values():
        requests = {line.split(" ")[0] for line in page.splitlines() if line[:1] in {".", "'"}}
        assert requests <= known


def test_marks_of_roff_are_plain_text_in_the_programs_words() -> None:
    assert escaped(".x \\ a-b") == "\\&.x \\e a\\-b"
