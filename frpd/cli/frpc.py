"""The program frpc: ``frpc -c frpc.ini``, quick forms such as ``frpc tcp ...``, ``frpc verify``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from frpd.cli.config_file import ConfigFile
from frpd.cli.daemon import leave
from frpd.cli.flags import (
    FrpParser,
    add_config_flags,
    add_daemon_flags,
    add_value_flags,
    daemon_options,
    given,
    new_parser,
    normalise,
)
from frpd.cli.frpc_admin import COMMANDS, add_commands, run_command
from frpd.cli.verify import print_refusals, verify_client
from frpd.config.client import ClientSetup
from frpd.config.fields import CLIENT, PROXY, PROXY_TYPES, VISITOR
from frpd.config.flags import client_from_flags
from frpd.config.load import Loaded, load_client
from frpd.errors import ConfigError

DEFAULT_FILE = "./frpc.ini"

COMMON_FLAGS = (
    ("server_addr", "s"),
    ("server_port", "P"),
    ("user", "u"),
    ("token", "t"),
    ("protocol", "p"),
    ("log_level", ""),
    ("log_file", ""),
    ("log_max_days", ""),
    ("disable_log_color", ""),
    ("tls_enable", ""),
    ("tls_server_name", ""),
    ("dns_server", ""),
)
_PROXY = (("proxy_name", "n"), ("local_ip", "i"), ("local_port", "l"), ("ue", ""), ("uc", ""))
_LIMITS = (("bandwidth_limit", ""), ("bandwidth_limit_mode", ""))
_PORT = (("remote_port", "r"),)
_DOMAINS = (("custom_domain", "d"), ("sd", ""))
_LOGIN = (("http_user", ""), ("http_pwd", ""))
_VISITOR = (("role", ""), ("sk", ""), ("server_name", ""), ("bind_addr", ""), ("bind_port", ""))
PROXY_FLAGS = {
    "tcp": (*_PROXY, *_PORT, *_LIMITS),
    "udp": (*_PROXY, *_PORT, *_LIMITS),
    "http": (
        *(*_PROXY, *_DOMAINS, *_LOGIN, *_LIMITS),
        *(("locations", ""), ("host_header_rewrite", "")),
    ),
    "https": (*_PROXY, *_DOMAINS, *_LIMITS),
    "tcpmux": (*_PROXY, *_DOMAINS, *_LOGIN, ("mux", ""), *_LIMITS),
    "stcp": (*_PROXY, *_VISITOR, ("allow_users", ""), *_LIMITS),
    "sudp": (*_PROXY, *_VISITOR, ("allow_users", ""), *_LIMITS),
    "xtcp": (*_PROXY, *_VISITOR, ("allow_users", ""), *_LIMITS),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run frpc; return the exit status."""
    parser = make_parser()
    options = parser.parse_args(normalise(sys.argv[1:] if arguments is None else arguments))
    if options.command == "verify":
        return verify_client(options.config, dialect=options.ini_dialect, strict=options.strict)
    if options.command in COMMANDS:
        return run_command(options)
    background = daemon_options(parser, options)
    try:
        loaded = _load(options)
    except ConfigError as error:
        print(error, flush=True)
        return 1
    if print_refusals(loaded):
        return 1
    from frpd.cli.assemble import run_client  # noqa: PLC0415 - slow, and verify needs none of it

    is_quick = options.command is not None
    file = None if is_quick else ConfigFile.named(options.config, options.ini_dialect)
    return run_client(loaded.value, loaded.warnings, background, file)


def _load(options: argparse.Namespace) -> Loaded[ClientSetup]:
    if options.command is None:
        return load_client(options.config, dialect=options.ini_dialect)
    common = given(options, COMMON_FLAGS)
    proxy = given(options, PROXY_FLAGS[options.command])
    return Loaded(client_from_flags(common, options.command, proxy))


def make_parser() -> FrpParser:
    """Return the parser of the command line; man page and completion are made from it too."""
    parser = new_parser("frpc", "frpc exposes local services through an frps.", DEFAULT_FILE)
    add_daemon_flags(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    verify = commands.add_parser("verify", help="check the file of -c", allow_abbrev=False)
    # Without defaults of their own they leave alone what stood before "verify".
    add_config_flags(verify, argparse.SUPPRESS, argparse.SUPPRESS)
    verify.add_argument("--strict", action="store_true", help="warnings are errors")
    add_commands(commands)
    for proxy_type, flags in PROXY_FLAGS.items():
        quick = commands.add_parser(
            proxy_type, help=f"run one {proxy_type} proxy from flags", allow_abbrev=False
        )
        rows = (*CLIENT, *PROXY, *PROXY_TYPES[proxy_type], *VISITOR)
        add_value_flags(quick, COMMON_FLAGS, rows)
        add_value_flags(quick, flags, rows)
    return parser


def program() -> NoReturn:
    """Be the program frpc."""
    leave(main())


if __name__ == "__main__":
    program()
