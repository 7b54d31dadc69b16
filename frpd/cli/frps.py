"""The program frps: ``frps -c frps.ini``, or flags alone; ``frps verify -c frps.ini``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from frpd.cli.complaints import open_to_others, print_refusals
from frpd.cli.config_file import ConfigFile
from frpd.cli.daemon import leave
from frpd.cli.flags import (
    FrpParser,
    add_daemon_flags,
    add_value_flags,
    daemon_options,
    exposed,
    given,
    new_parser,
    surplus,
)
from frpd.config.fields import SERVER
from frpd.config.load_server import load_server
from frpd.errors import ConfigError
from frpd.net.notify_socket import tell_failure

FLAGS = (
    ("bind_addr", ""),
    ("bind_port", "p"),
    ("bind_udp_port", ""),
    ("kcp_bind_port", ""),
    ("quic_bind_port", ""),
    ("proxy_bind_addr", ""),
    ("vhost_http_port", ""),
    ("vhost_https_port", ""),
    ("vhost_http_timeout", ""),
    ("dashboard_addr", ""),
    ("dashboard_port", ""),
    ("dashboard_user", ""),
    ("dashboard_pwd", ""),
    ("dashboard_tls_mode", ""),
    ("dashboard_tls_cert_file", ""),
    ("dashboard_tls_key_file", ""),
    ("enable_prometheus", ""),
    ("log_file", ""),
    ("log_level", ""),
    ("log_max_days", ""),
    ("log_way", ""),
    ("disable_log_color", ""),
    ("token", "t"),
    ("auth_timeout", ""),
    ("subdomain_host", ""),
    ("allow_ports", ""),
    ("max_ports_per_client", ""),
    ("tls_only", ""),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run frps; return the exit status."""
    parser = make_parser()
    options = parser.parse(sys.argv[1:] if arguments is None else arguments)
    if options.words[:1] == ["verify"]:
        from frpd.cli.verify import verify_server  # noqa: PLC0415 - no part of a start

        return verify_server(options.config, dialect=options.ini_dialect, strict=options.strict)
    background = daemon_options(parser, options)
    file: ConfigFile | None = None
    typed: dict[str, str] = {}
    try:
        if options.config is not None:
            file = ConfigFile.named(options.config, options.ini_dialect)
            loaded = load_server(options.config, dialect=options.ini_dialect)
        else:
            from frpd.config.flags import server_from_flags  # noqa: PLC0415 - knows both ends

            typed = given(options, FLAGS)
            loaded = server_from_flags(typed)
    except ConfigError as error:
        print(error, flush=True)
        tell_failure(str(error))
        return 1
    if print_refusals(loaded):
        return 1
    from frpd.cli.assemble_server import run_server  # noqa: PLC0415 - slow, and verify needs none of it

    rights = () if file is None else open_to_others(file.path, loaded.value)
    warnings = (*surplus(options.words), *exposed(typed), *rights, *loaded.warnings)
    return run_server(loaded.value, warnings, background, file)


def make_parser() -> FrpParser:
    """Return the parser of the command line; man page and completion are made from it too."""
    parser = new_parser("frps", "frps opens ports on behalf of frpc clients behind NATs.", None)
    add_daemon_flags(parser)
    add_value_flags(parser, FLAGS, SERVER)
    parser.add_argument("--strict", action="store_true", help="verify: warnings are errors")
    parser.add_argument("words", nargs="*", metavar="verify", help="only check the file of -c")
    return parser


def program() -> NoReturn:
    """Be the program frps."""
    leave(main())


if __name__ == "__main__":
    program()
