"""The commands of frpd-ctl, in the order of its help. To add one: a file, and a line here."""

from __future__ import annotations

from typing import Final

from frpd.cli.ctl import (
    clients,
    completion,
    conns,
    doctor,
    kick,
    log_level,
    penalties,
    proxies,
    reload,
    status,
    stop,
    traffic,
    verify,
    version,
)
from frpd.cli.ctl.command import Command

COMMANDS: Final[tuple[Command, ...]] = (
    status.COMMAND,
    proxies.COMMAND,
    clients.COMMAND,
    conns.COMMAND,
    traffic.COMMAND,
    reload.COMMAND,
    kick.COMMAND,
    penalties.COMMAND,
    log_level.COMMAND,
    stop.COMMAND,
    doctor.COMMAND,
    verify.COMMAND,
    version.COMMAND,
    completion.COMMAND,
)
