"""The program frpc: ``frpc -c frpc.ini``, quick forms such as ``frpc tcp ...``, ``frpc verify``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NoReturn

from frpd.cli.complaints import open_to_others, print_refusals
from frpd.cli.config_dir import files_in, run_each
from frpd.cli.config_file import ConfigFile
from frpd.cli.daemon import leave
from frpd.cli.flags import (
    DaemonOptions,
    FrpParser,
    add_config_flags,
    add_daemon_flags,
    add_frp_flags,
    daemon_options,
    new_parser,
)
from frpd.cli.frpc_admin import COMMANDS, add_commands, run_command
from frpd.cli.head_start import HeadStart
from frpd.cli.quick import PROXY_FLAGS, add_quick_commands, load_quick
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.load import Loaded
from frpd.config.load_client import load_client
from frpd.errors import ConfigError
from frpd.net.notify_socket import tell_failure

DEFAULT_FILE: Final = "./frpc.ini"
_PLAIN_WORDS: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run frpc; return the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    # As services start it: no command is given, so none of the twenty needs its parser.
    is_plain = len(words) == _PLAIN_WORDS and words[0] in ("-c", "--config")
    parser = make_parser(with_commands=not is_plain)
    options = parser.parse(words)
    command = _COMMANDS.get(options.command)
    try:
        if command is not None:
            return command(options)
        return _serve(options, daemon_options(parser, options))
    except ConfigError as error:
        print(error, flush=True)
        tell_failure(str(error))
        return 1


def make_parser(*, with_commands: bool = True) -> FrpParser:
    """Return the parser of the command line; man page and completion are made from it too."""
    parser = new_parser("frpc", "frpc exposes local services through an frps.", DEFAULT_FILE)
    _add_config_dir(parser, None)
    add_daemon_flags(parser)
    if with_commands:
        _add_commands(parser)
    else:
        parser.set_defaults(command=None)
    return parser


def _add_commands(parser: FrpParser) -> None:
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    verify = commands.add_parser("verify", help="check the file of -c", allow_abbrev=False)
    verify.add_argument("--strict", action="store_true", help="warnings are errors")
    add_commands(commands)
    _add_nathole(commands)
    for name, command in commands.choices.items():
        # Without defaults of their own they leave alone what stood before the command.
        if name not in COMMANDS:
            add_config_flags(command, argparse.SUPPRESS, argparse.SUPPRESS)
        add_frp_flags(command)
        _add_config_dir(command, argparse.SUPPRESS)
    add_quick_commands(commands)
    commands.add_parser("help", help="explain a command").set_defaults(explain=parser.print_help)


def _add_config_dir(parser: argparse.ArgumentParser, default: str | None) -> None:
    parser.add_argument(
        "--config_dir",
        metavar="FOLDER",
        default=default,
        help="run (or verify) one frpc for each file in this folder and those in it",
    )


def _add_nathole(commands: Any) -> None:
    parser = commands.add_parser("nathole", help="ask what kind of NAT this is")
    parser.add_argument("words", nargs="*", metavar="discover", help="ask a STUN server")
    parser.add_argument("--nat_hole_stun_server", metavar="HOST:PORT", help="which one")
    parser.add_argument("-l", "--nat_hole_local_addr", metavar="HOST:PORT", help="from where")
    parser.set_defaults(explain=parser.print_help)


def _help(options: argparse.Namespace) -> int:
    options.explain()
    return 0


def _nathole(options: argparse.Namespace) -> int:
    if options.words[:1] != ["discover"]:
        return _help(options)
    from frpd.cli.nathole import discover  # noqa: PLC0415 - no other command needs it

    return discover(options)


def _verify(options: argparse.Namespace) -> int:
    from frpd.cli.verify import verify_client  # noqa: PLC0415 - no part of a start

    folder = options.config_dir
    files = [options.config] if folder is None else files_in(folder)
    return max(
        verify_client(file, dialect=options.ini_dialect, strict=options.strict) for file in files
    )


_COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "help": _help,
    "nathole": _nathole,
    "verify": _verify,
    **dict.fromkeys(COMMANDS, run_command),
}


def _serve(options: argparse.Namespace, background: DaemonOptions | None) -> int:
    if options.command in PROXY_FLAGS:
        return _run(load_quick(options), background, None)
    if options.config_dir is None:
        return _run_file(options.config, options.ini_dialect, background)
    if background is not None:
        raise ConfigError(
            "cannot be combined with --config_dir; run one daemon for each file", key="--daemon"
        )
    from frpd.cli import assemble_client  # noqa: F401, PLC0415 - once here, not once in every process

    dialect = options.ini_dialect
    return run_each(files_in(options.config_dir), lambda file: _run_file(file, dialect, None))


def _run_file(path: str, dialect: str | None, background: DaemonOptions | None) -> int:
    loaded = load_client(path, dialect=dialect)
    warnings = (*open_to_others(path, loaded.value.common), *loaded.warnings)
    loaded = replace(loaded, warnings=warnings)
    return _run(loaded, background, ConfigFile.named(path, dialect))


def _run(
    loaded: Loaded[ClientSetup], background: DaemonOptions | None, file: ConfigFile | None
) -> int:
    if print_refusals(loaded):
        return 1
    stretched = None if background is not None else _stretch(loaded.value.common)
    from frpd.cli.assemble_client import run_client  # noqa: PLC0415 - slow, and verify needs none of it

    return run_client(loaded.value, loaded.warnings, background, file, stretched)


def _stretch(common: ClientConfig) -> Callable[[], bytes] | None:
    """Stretch the token beside the imports: it takes as long as they do, and the login needs it."""
    token = common.token.reveal()
    if not token or common.native == "off" or common.authentication_method != "token":
        return None

    def stretch() -> bytes:
        from frpd.proto.seal_keys import stretch  # noqa: PLC0415 - in the thread, it is slow

        return stretch(token)

    return HeadStart(stretch).result


def program() -> NoReturn:
    """Be the program frpc."""
    leave(main())


if __name__ == "__main__":
    program()
