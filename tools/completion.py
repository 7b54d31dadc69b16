"""Write the completion of bash: ``python3 -m tools.completion FOLDER``.

shtab makes it from the programs' own parsers. The package build calls this.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

import shtab

from frpd.cli.ctl.completion import repaired
from tools.manpages import PARSERS

# What a placeholder of the command line stands for, where the shell can help.
FILES: Final = {"FILE", "INI", "PATH"}


def script(name: str) -> str:
    """Return the completion of a program."""
    parser = PARSERS[name]()
    parser.prog = name
    _mark_files(parser)
    return repaired(shtab.complete(parser, "bash"))


def _mark_files(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _mark_files(command)
        elif action.metavar in FILES or action.dest.endswith("_file"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's own way


def main(arguments: list[str]) -> int:
    """Write the completions into the folder that the command line names."""
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name in PARSERS:
        (folder / name).write_text(script(name), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
