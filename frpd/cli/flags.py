"""Command lines as frp's users type them.

``_`` and ``-`` are the same in long names, flags may be written ``--name=value``,
and an error is one line on stderr with exit status 1, as with frp.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from frpd import __version__

if TYPE_CHECKING:
    from frpd.config.kinds import Field

SWITCHES: Final = frozenset(
    (
        *("dashboard_tls_mode", "disable_log_color", "enable_prometheus", "strict_config"),
        *("tls_enable", "tls_only", "uc", "ue"),
    )
)
"""Flags whose value may be left out."""

SECRET_FLAGS: Final = ("token", "dashboard_pwd", "sk", "http_pwd")
_TRUTHS: Final = frozenset(("true", "false", "1", "0", "t", "f"))
_HELP: Final = {
    "proxy_name": "Name of the proxy.",
    "visitor_name": "Name of the visitor.",
    "metadatas": "Free-form facts about the proxy, such as a=1,b=2.",
    "annotations": "Taken as frp takes it: shown nowhere.",
    "client_id": "Taken as frp takes it: told nobody.",
}
"""Of flags that are no keys."""


@dataclass(frozen=True, slots=True)
class DaemonOptions:
    """What was typed with ``--daemon``."""

    pid_file: str | None = None
    user: str | None = None


class FrpParser(argparse.ArgumentParser):
    """argparse with frp's manners."""

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse what was typed; words that mean nothing are in ``words``, in any place.

        frps, and the subcommands of frpc, do not mind those, as in frp.
        """
        typed = normalise(arguments)
        if typed[:1] == ["help"]:
            typed = [*typed[1:], "--help"]
        options, rest = self.parse_known_args(typed)
        for word in rest:
            if word.startswith("-") and word.strip("-"):
                self.error(self._unknown(word))
        options.words = [*getattr(options, "words", ()), *rest]
        return options

    def error(self, message: str) -> NoReturn:
        """Print the error and a hint, and exit with status 1."""
        prefix = "unrecognized arguments: "
        if message.startswith(prefix):
            message = self._unknown(message.removeprefix(prefix).split()[0])
        sys.stderr.write(f"Error: {message}\nRun '{self.prog} --help' for usage.\n")
        sys.exit(1)

    def _check_value(self, action: argparse.Action, value: str) -> None:
        if action.nargs == argparse.PARSER and value not in (action.choices or ()):
            self.error(self._unknown(value))
        super()._check_value(action, value)

    def _unknown(self, word: str) -> str:
        if word.startswith("--"):
            return f"unknown flag: {word}"
        if word.startswith("-"):
            return f"unknown shorthand flag: {word[1:2]!r} in {word}"
        return f'unknown command "{word}" for "{self.prog}"'


def new_parser(prog: str, description: str, default_file: str | None) -> FrpParser:
    """Return a parser with what frps and frpc share."""
    parser = FrpParser(prog=prog, description=description, allow_abbrev=False)
    add_config_flags(parser, default_file)
    add_frp_flags(parser)
    return parser


def add_frp_flags(parser: argparse.ArgumentParser) -> None:
    """Add what frp's programs take, and all of their subcommands; two are of no use here."""
    parser.add_argument("-v", "--version", action="version", version=__version__)
    parser.add_argument(
        "--strict_config",
        nargs="?",
        default=argparse.SUPPRESS,
        metavar="BOOL",
        help="taken as frp takes it: without effect on ini files; see verify --strict",
    )
    parser.add_argument(
        "--allow_unsafe",
        default=argparse.SUPPRESS,
        metavar="LIST",
        help="taken as frp takes it: without effect on ini files",
    )


def add_config_flags(
    parser: argparse.ArgumentParser, default_file: str | None, default_dialect: str | None = None
) -> None:
    """Add the flags that name a configuration file."""
    parser.add_argument(
        "-c", "--config", metavar="FILE", default=default_file, help="configuration file"
    )
    parser.add_argument(
        "--ini_dialect",
        choices=("old", "new"),
        default=default_dialect,
        help="read the file as frp up to 0.35 (old) or as later ones did (new, the default)",
    )


def add_daemon_flags(parser: argparse.ArgumentParser) -> None:
    """Add ``--daemon`` and what goes with it; daemon_options reads them."""
    parser.add_argument(
        "--daemon",
        action="store_true",
        help="run in the background; returns once it serves, or with the error",
    )
    parser.add_argument(
        "--pid_file", metavar="FILE", help="with --daemon: the process id goes there, locked"
    )
    # Not "user": that is a key of frpc.ini, which the quick forms have a flag for.
    parser.add_argument(
        "--user",
        dest="account",
        metavar="NAME[:GROUP]",
        help="with --daemon: whom to become once the ports are bound",
    )


def daemon_options(
    parser: argparse.ArgumentParser, namespace: argparse.Namespace
) -> DaemonOptions | None:
    """Return the options of a daemon; None, and no flag that would be lost, in the foreground."""
    if namespace.daemon:
        return DaemonOptions(pid_file=namespace.pid_file, user=namespace.account)
    for name, value in (("--pid_file", namespace.pid_file), ("--user", namespace.account)):
        if value is not None:
            parser.error(f"{name} works only with --daemon")
    return None


def add_value_flags(
    parser: argparse.ArgumentParser, flags: Iterable[tuple[str, str]], rows: Iterable[Field]
) -> None:
    """Add flags that stand for configuration keys.

    Args:
        parser: where.
        flags: long name without dashes and short letter ("" for none).
        rows: of the keys; they give the help, and say which values may be left out.
    """
    # A quarter of the start of frpd-ctl, which has no such flags.
    from frpd.config.flags import ALIASES  # noqa: PLC0415
    from frpd.config.kinds import Kind  # noqa: PLC0415

    by_name = {row.name: row for row in rows}
    for name, short in flags:
        row = by_name.get(ALIASES.get(name, name))
        is_switch = row is not None and row.kind is Kind.BOOL
        parser.add_argument(
            *([f"-{short}"] if short else []),
            f"--{name}",
            dest=name,
            default=argparse.SUPPRESS,
            metavar="VALUE",
            nargs="?" if is_switch else None,
            const="true" if is_switch else None,
            help=_HELP.get(name, "") if row is None else row.doc.replace("%", "%%"),
        )


def normalise(arguments: Sequence[str]) -> list[str]:
    """Write long names with ``_``: ``--vhost-http-port`` becomes ``--vhost_http_port``.

    A switch gets its value, if it was left out: the word behind it may be a command.
    """
    result: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--":
            return result + list(arguments[index:])
        if argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            name = name.replace("-", "_")
            if name in SWITCHES and not equals and not _is_truth(arguments[index + 1 : index + 2]):
                equals, value = "=", "true"
            argument = f"--{name}{equals}{value}"  # noqa: PLW2901
        result.append(argument)
    return result


def _is_truth(words: Sequence[str]) -> bool:
    return any(word.lower() in _TRUTHS for word in words)


def surplus(words: Iterable[str]) -> Iterator[str]:
    """Yield a warning for each word that means nothing; frp says none, and a slip stays hidden."""
    for word in words:
        yield f"{word!r} on the command line means nothing and is ignored"


def exposed(values: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning if there are secrets among flags: in /proc/PID/cmdline they stay."""
    secrets = [f"--{name}" for name in SECRET_FLAGS if values.get(name)]
    if secrets:
        yield (
            f"{', '.join(secrets)} on the command line: every user of this machine can read that"
            " (ps); a file of -c is safer"
        )


def given(namespace: argparse.Namespace, flags: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the flags of this list that were typed, by name."""
    values = vars(namespace)
    return {name: values[name] for name, _ in flags if values.get(name) is not None}
