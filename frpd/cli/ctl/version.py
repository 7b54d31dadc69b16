"""``frpd-ctl version``."""

from __future__ import annotations

import argparse

from frpd import __version__
from frpd.cli.ctl.command import Command


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser  # it has none


def _run(options: argparse.Namespace) -> int:
    del options
    print(__version__)
    return 0


COMMAND = Command("version", "print the version of frpd-ctl", _add_arguments, _run)
