"""``frpd-ctl verify``: check a configuration file without running it."""

from __future__ import annotations

import argparse

from frpd.cli.ctl.command import Command
from frpd.cli.ctl.files import add_file_flags, side_of


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_file_flags(parser)
    parser.add_argument("--strict", action="store_true", help="warnings are errors")


def _run(options: argparse.Namespace) -> int:
    # Slow to import, and no other command needs all of it.
    from frpd.cli.verify import verify_client, verify_server  # noqa: PLC0415

    is_server = options.config is not None and side_of(options) == "frps"
    check = verify_server if is_server or options.server else verify_client
    return check(options.config, dialect=options.ini_dialect, strict=options.strict)


COMMAND = Command("verify", "check a configuration file", _add_arguments, _run)
