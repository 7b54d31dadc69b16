"""What the starts of both daemons have in common: the log, names, and what is said of errors."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from frpd import log
from frpd.admin.control_socket import name_of
from frpd.cli.account import find_account
from frpd.cli.config_file import ConfigFile
from frpd.cli.flags import DaemonOptions
from frpd.cli.service_manager import AnnouncedReload
from frpd.errors import ConfigError
from frpd.net.listener import ListenError
from frpd.net.port_holder import port_holder

if TYPE_CHECKING:
    from frpd.config.client import ClientConfig
    from frpd.config.server import ServerConfig

_log = log.get_logger("frpd.cli.start")


def hang_up(reload: AnnouncedReload | None) -> Callable[[], None]:
    """Return what SIGHUP does."""
    if reload is None:
        return lambda: _log.warning("SIGHUP: there is no file to read again")
    return reload.hangup


def socket_name(file: ConfigFile | None, program: str) -> str:
    """Return the name of a program's control socket."""
    return name_of(None if file is None else file.path, program)


def owner_of(background: DaemonOptions | None) -> tuple[int, int] | None:
    """Return user and group that a daemon will become."""
    if background is None or background.user is None:
        return None
    account = find_account(background.user)
    return account.uid, account.gid


def start_log(config: ServerConfig | ClientConfig, warnings: Iterable[str]) -> None:
    """Open the log and say what a file gave rise to.

    Raises:
        ConfigError: the log's file cannot be opened.
    """
    log.setup(
        target=config.log_file,
        level=config.log_level,
        max_days=config.log_max_days,
        color=not config.disable_log_color,
        line_format=config.log_format,
    )
    for warning in warnings:
        _log.warning("%s", warning)


def try_log(config: ServerConfig | ClientConfig) -> None:
    """Find out whether the log can be opened; raises as start_log."""
    start_log(config, ())
    log.close()


def errno_of(error: ConfigError) -> int | None:
    """Return the number of the error that is behind one of a configuration."""
    cause = error.__cause__
    return cause.errno if isinstance(cause, (ListenError, OSError)) else None


def explain(error: ListenError, port: int) -> str:
    """Return the error, with who holds the port if that is the reason and can be seen."""
    if error.errno == errno.EADDRINUSE:
        holder = port_holder(port)
        if holder:
            return f"{error}; the port is held by {holder}"
    return str(error)
