"""``frpd-ctl completion``: what a shell needs to complete our command line, made by shtab."""

from __future__ import annotations

import argparse
from typing import Final

from frpd.cli.ctl.command import Command
from frpd.cli.ctl.daemons import CtlError

SHELLS: Final = ("bash", "zsh")
FILES: Final = ("FILE", "PATH")
"""Placeholders that stand for files."""

_FIRST_CHOICE: Final = """local current_action_choices_var="${current_action}_choices"\n"""
_ALL_CHOICES: Final = (
    """local IFS=$'\\n' current_action_choices_var="${current_action}_choices[*]"\n"""
)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=" or ".join(SHELLS))


def _run(options: argparse.Namespace) -> int:
    # The program's parser has this command in it.
    from frpd.cli.ctl.program import new_parser  # noqa: PLC0415

    print(script(new_parser(), options.shell))
    return 0


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the script for a shell.

    Raises:
        CtlError: shtab is missing.
    """
    # Who completes has asked for this once, and most never do.
    try:
        import shtab  # noqa: PLC0415
    except ImportError as error:
        raise CtlError("shtab is missing: install python3-shtab, or pip install shtab") from error
    _mark_files(parser)
    return repaired(shtab.complete(parser, shell))


def repaired(text: str) -> str:
    """Return a script of shtab without the faults of 1.5.5, which Debian 12 has.

    It offers but the first of all choices, and counts with the "?" of a value that may be left
    out. Nothing is done to scripts of later ones.
    """
    return text.replace(_FIRST_CHOICE, _ALL_CHOICES).replace("_nargs=?\n", "_nargs=1\n")


def _mark_files(parser: argparse.ArgumentParser) -> None:
    # argparse has no other way to its actions.
    for action in parser._actions:  # noqa: SLF001
        if action.metavar in FILES:
            action.complete = {"bash": "_shtab_compgen_files", "zsh": "_files"}  # type: ignore[attr-defined]
        if isinstance(action.choices, dict):
            for command in action.choices.values():
                _mark_files(command)


COMMAND = Command("completion", "print the completion of a shell", _add_arguments, _run)
