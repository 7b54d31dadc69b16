"""The program frpd-ctl: its command line, and what an error and a closed pipe look like."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Final

from frpd import __version__
from frpd.cli.ctl.daemons import add_daemon_flags
from frpd.cli.ctl.registry import COMMANDS
from frpd.cli.ctl.units import plain
from frpd.cli.flags import FrpParser, normalise
from frpd.errors import FrpError

INTERRUPTED: Final = 130
NOBODY_READS: Final = 141
"""What a shell shows of a program that SIGPIPE has ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run frpd-ctl; return the exit status: 0 only when what was asked is true."""
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal need not know every letter
    parser = new_parser()
    options = parser.parse_args(normalise(sys.argv[1:] if arguments is None else arguments))
    if options.command is None:
        names = ", ".join(command.name for command in COMMANDS)
        parser.error(f"a command is needed: {names}")
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except FrpError as error:
        sys.stdout.flush()
        for line in str(error).splitlines():
            sys.stderr.write(f"frpd-ctl: {plain(line)}\n")
        return 1
    except OSError as error:
        # Python would find out again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return NOBODY_READS  # as head does, which has read enough
        sys.stderr.write(f"frpd-ctl: cannot write: {error.strerror or error}\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def new_parser() -> FrpParser:
    """Return the parser of the whole command line."""
    parser = FrpParser(prog="frpd-ctl", description="Look after frps and frpc.", allow_abbrev=False)
    parser.add_argument("-v", "--version", action="version", version=__version__)
    add_daemon_flags(parser)
    parser.set_defaults(config=None, ini_dialect=None, server=False, client=False, socket=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS:
        added = commands.add_parser(command.name, help=command.help, allow_abbrev=False)
        command.add_arguments(added)
        added.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
