"""Command lines as frp's users type them.

``_`` and ``-`` are the same in long names, flags may be written ``--name=value``,
and an error is one line on stderr with exit status 1, as with frp.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from frpd import __version__
from frpd.config.kinds import Field


class FrpParser(argparse.ArgumentParser):
    """argparse with frp's manners."""

    def error(self, message: str) -> NoReturn:
        """Print the error and a hint, and exit with status 1."""
        text = message
        prefix = "unrecognized arguments: "
        if message.startswith(prefix):
            word = message.removeprefix(prefix).split()[0]
            text = f"unknown flag: {word}" if word.startswith("-") else f"unknown command {word!r}"
        sys.stderr.write(f"Error: {text}\nRun '{self.prog} --help' for usage.\n")
        sys.exit(1)


def new_parser(prog: str, description: str, default_file: str | None) -> FrpParser:
    """Return a parser with what frps and frpc share."""
    parser = FrpParser(prog=prog, description=description, allow_abbrev=False)
    parser.add_argument("-v", "--version", action="version", version=__version__)
    add_config_flags(parser, default_file)
    return parser


def add_config_flags(parser: argparse.ArgumentParser, default_file: str | None) -> None:
    """Add the flags that name a configuration file."""
    parser.add_argument(
        "-c", "--config", metavar="FILE", default=default_file, help="configuration file"
    )
    parser.add_argument(
        "--ini_dialect",
        choices=("old", "new"),
        help="read the file as frp up to 0.35 (old) or as later ones did (new, the default)",
    )


def add_value_flags(
    parser: argparse.ArgumentParser, flags: Iterable[tuple[str, str]], rows: Iterable[Field]
) -> None:
    """Add flags that stand for configuration keys.

    Args:
        parser: where.
        flags: long name without dashes and short letter ("" for none).
        rows: of the keys; a flag with another name than a key gets no help text.
    """
    docs = {row.name: row.doc for row in rows}
    for name, short in flags:
        names = [f"-{short}", f"--{name}"] if short else [f"--{name}"]
        parser.add_argument(
            *names,
            dest=name,
            metavar="VALUE",
            nargs="?",
            const="true",
            help=docs.get(name, "").replace("%", "%%"),
        )


def normalise(arguments: Sequence[str]) -> list[str]:
    """Write long names with ``_``: ``--vhost-http-port`` becomes ``--vhost_http_port``."""
    result: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--":
            return result + list(arguments[index:])
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            argument = "--" + name[2:].replace("-", "_") + equals + value  # noqa: PLW2901
        result.append(argument)
    return result


def given(namespace: argparse.Namespace, flags: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the flags of this list that were typed, by name."""
    values = vars(namespace)
    return {name: values[name] for name, _ in flags if values.get(name) is not None}
