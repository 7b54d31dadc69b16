"""The commands of frpd-ctl, in the order of its help. To add one: a file, and a line here."""

from __future__ import annotations

from typing import Final

from frpd.cli.ctl import verify, version
from frpd.cli.ctl.command import Command

COMMANDS: Final[tuple[Command, ...]] = (
    verify.COMMAND,
    version.COMMAND,
)
