"""The program frpd-ctl: the operator's tool for both ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from frpd import __version__
from frpd.cli.flags import FrpParser, add_config_flags, normalise
from frpd.cli.verify import verify_client, verify_server


def main(arguments: Sequence[str] | None = None) -> int:
    """Run frpd-ctl; return the exit status: 0 only when what was asked is true."""
    parser = make_parser()
    options = parser.parse_args(normalise(sys.argv[1:] if arguments is None else arguments))
    if options.command is None:
        parser.error("a command is needed: version, verify")
    if options.command == "version":
        print(__version__, flush=True)
        return 0
    is_server = options.server or (not options.client and "frps" in Path(options.config or "").name)
    check = verify_server if is_server else verify_client
    return check(options.config, dialect=options.ini_dialect, strict=options.strict)


def make_parser() -> FrpParser:
    """Return the parser of the command line; man page and completion are made from it too."""
    parser = FrpParser(prog="frpd-ctl", description="Look after frps and frpc.")
    parser.add_argument("-v", "--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("version", help="print the version")
    verify = commands.add_parser("verify", help="check a configuration file")
    add_config_flags(verify, None)
    verify.add_argument("--strict", action="store_true", help="warnings are errors")
    side = verify.add_mutually_exclusive_group()
    side.add_argument("--server", action="store_true", help="it is a frps.ini (default: by name)")
    side.add_argument("--client", action="store_true", help="it is a frpc.ini (default: by name)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
