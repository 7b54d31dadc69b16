"""The file of ``-c``: whose it is, and where the program that it configures can be asked."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from frpd.admin.control_socket import name_of, path_of
from frpd.cli.admin_client import Target
from frpd.cli.flags import add_config_flags
from frpd.errors import ConfigError

FRPS: Final = "frps"
FRPC: Final = "frpc"

_NO_ACCESS: Final = "permission denied"
GROUP: Final = "frpd"


class Ways(NamedTuple):
    """How the program of a file can be asked.

    Attributes:
        program: ``frps`` or ``frpc``.
        file: absolute path.
        targets: the control socket before the port; what is not there is missing.
        is_default_socket: whether the file leaves the control socket to frpd, so that
            another program of this machine may have it.
    """

    program: str
    file: str
    targets: Sequence[Target]
    is_default_socket: bool


def add_file_flags(parser: argparse.ArgumentParser, *, sides: bool = True) -> None:
    """Add ``-c`` and what says how to read it.

    Args:
        parser: where.
        sides: whether to add ``--server`` and ``--client``; they may stand before the command too.
    """
    # Without defaults of their own they leave alone what stood before the command.
    add_config_flags(parser, argparse.SUPPRESS, argparse.SUPPRESS)
    if not sides:
        return
    side = parser.add_mutually_exclusive_group()
    for program, flag in ((FRPS, "--server"), (FRPC, "--client")):
        side.add_argument(
            flag,
            action="store_true",
            default=argparse.SUPPRESS,
            help=f"it is a {program}.ini (default: what its name says, or else its keys)",
        )


def side_of(options: argparse.Namespace) -> str:
    """Return whose file that of ``-c`` is: as a flag says, or its name, or its content."""
    if options.server or options.client:
        return FRPS if options.server else FRPC
    name = Path(options.config).name
    if (FRPS in name) != (FRPC in name):
        return FRPS if FRPS in name else FRPC
    return _side_by_content(options.config, options.ini_dialect)


def ways_of(options: argparse.Namespace) -> Ways:
    """Return how the program of the file of ``-c`` can be asked.

    Raises:
        ConfigError: the file cannot be read, or leaves no way.
    """
    program = side_of(options)
    path = os.path.abspath(options.config)
    try:
        return _server_ways(path, options) if program == FRPS else _client_ways(path, options)
    except ConfigError as error:
        if _NO_ACCESS in error.message:
            remedy = f"{error}: run as root or as a member of group {GROUP}"
            raise ConfigError(remedy) from error
        raise


def _server_ways(path: str, options: argparse.Namespace) -> Ways:
    # Slow to import; who names no file needs it not.
    from frpd.config.load_server import load_server  # noqa: PLC0415

    config = load_server(options.config, dialect=options.ini_dialect).value
    port = Target(
        host=config.dashboard_addr,
        port=config.dashboard_port,
        user=config.dashboard_user,
        password=config.dashboard_pwd,
        certificate=config.dashboard_tls_cert_file if config.dashboard_tls_mode else "",
    )
    return _ways(FRPS, path, config.control_socket, port, "dashboard_port")


def _client_ways(path: str, options: argparse.Namespace) -> Ways:
    # It is slow to import, as above.
    from frpd.config.load_client import load_client_common  # noqa: PLC0415

    common = load_client_common(options.config, dialect=options.ini_dialect)
    port = Target(
        host=common.admin_addr,
        port=common.admin_port,
        user=common.admin_user,
        password=common.admin_pwd,
    )
    return _ways(FRPC, path, common.control_socket, port, "admin_port")


def _ways(program: str, file: str, setting: str, port: Target, key: str) -> Ways:
    socket = path_of(setting, name_of(file, program))
    targets = [Target(socket)] if socket else []
    if port.port:
        targets.append(port)
    if not targets:
        raise ConfigError(
            f"control_socket is off and {key} is not set, so this {program} cannot be asked",
            path=file,
        )
    return Ways(program, file, targets, not setting)


def _side_by_content(path: str, dialect: str | None) -> str:
    """Return whose keys a file has; a frpc.ini if it has nobody's."""
    # It is slow to import, as above.
    from frpd.config.fields import CLIENT, SERVER  # noqa: PLC0415
    from frpd.config.ini import Dialect, dialect_named, parse  # noqa: PLC0415
    from frpd.config.problems import Problems  # noqa: PLC0415 - with the others
    from frpd.config.source import read_lines  # noqa: PLC0415 - with the others

    try:
        lines = read_lines(path, os.environ, Problems())
        sections = parse(lines, dialect_named(dialect or Dialect.NEW.value)).sections
    except ConfigError:
        return FRPC  # whoever reads it next says what is wrong
    others = [name for name in sections if name not in ("", "common")]
    if others:
        return FRPS if all(name.startswith("plugin.") for name in others) else FRPC
    keys = {*sections.get("common", ()), *sections.get("", ())}
    servers, clients = ({row.name for row in rows} for rows in (SERVER, CLIENT))
    return FRPS if len(keys & (servers - clients)) > len(keys & (clients - servers)) else FRPC
