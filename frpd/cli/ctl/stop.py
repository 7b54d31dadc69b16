"""``frpd-ctl stop``: end a frpc gracefully, and wait until it has ended."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Final

from frpd.cli.ctl.command import Command
from frpd.cli.ctl.daemons import CtlError, Daemon, UnreachableError, add_daemon_flags, the_daemon
from frpd.cli.ctl.show import View, add_show_flags, show
from frpd.clock import Clock, MonotonicClock

PATIENCE_SECONDS: Final = 60.0
"""Relays may have been promised some time to finish (shutdown_drain_seconds)."""
STEP_SECONDS: Final = 0.05


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_daemon_flags(parser)
    add_show_flags(parser, watch=False)


def _run(options: argparse.Namespace) -> int:
    daemon = the_daemon(options)
    if daemon.program != "frpc":
        raise CtlError("frps has no such request: systemctl stop frps, or send it SIGTERM")
    daemon.send("POST", "/api/stop")
    await_end(daemon, MonotonicClock(), time.sleep)
    facts = {"program": daemon.program, "pid": daemon.about["pid"], "stopped": True}
    text = f"frpc with pid {daemon.about['pid']} has ended"
    return show(options, lambda: View(facts, lambda _screen: [text]))


def await_end(daemon: Daemon, clock: Clock, wait: Callable[[float], object]) -> None:
    """Return when a program does not answer any more, or another one does.

    Raises:
        CtlError: it still answers after a while.
    """
    latest = clock.now() + PATIENCE_SECONDS
    while clock.now() < latest:
        try:
            if daemon.again().about["pid"] != daemon.about["pid"]:
                return
        except UnreachableError:
            return
        wait(STEP_SECONDS)
    raise CtlError(f"frpc was asked to end, but still runs (pid {daemon.about['pid']})")


COMMAND = Command("stop", "end frpc", _add_arguments, _run)
