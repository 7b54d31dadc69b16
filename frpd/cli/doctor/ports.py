"""Whether the ports can be had that the file names; and if not, who has them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import NamedTuple

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Finding, fault, ok, warning
from frpd.config.client import ClientSetup
from frpd.config.server import ServerConfig
from frpd.net.address import join_host_port
from frpd.net.listener import ListenError, bind_tcp
from frpd.net.port_holder import port_holder
from frpd.server.entrances import entrances


class Wanted(NamedTuple):
    """A TCP port to listen on."""

    key: str
    host: str
    port: int


class Tried(NamedTuple):
    """What became of a trial to listen there.

    Attributes:
        error: errno; 0 for none.
        holder: ``name (pid N)`` of who has it; "" if that cannot be seen.
    """

    error: int = 0
    holder: str = ""


def check_ports(case: Case) -> Iterator[Finding]:
    """Try to listen on each of them."""
    if case.server is not None:
        wanted = ports_of_server(case.server)
    elif case.client is not None:
        wanted = ports_of_client(case.client)
    else:
        return
    for one in wanted:
        yield judge_port(case.program, one, try_port(one), case.pid)


def ports_of_server(config: ServerConfig) -> list[Wanted]:
    """Return what frps listens on."""
    names = {
        config.tcpmux_httpconnect_port: "tcpmux_httpconnect_port",
        config.vhost_https_port: "vhost_https_port",
        config.vhost_http_port: "vhost_http_port",
        config.bind_port: "bind_port",
    }
    wanted = [Wanted(names[one.port], one.host, one.port) for one in entrances(config)]
    if config.dashboard_port:
        wanted.append(Wanted("dashboard_port", config.dashboard_addr, config.dashboard_port))
    return wanted


def ports_of_client(setup: ClientSetup) -> list[Wanted]:
    """Return what frpc listens on."""
    common = setup.common
    wanted = []
    if common.admin_port:
        wanted.append(Wanted("admin_port", common.admin_addr, common.admin_port))
    for visitor in setup.visitors:
        if visitor.bind_port > 0 and visitor.visitor_type != "sudp":
            key = f"bind_port of [{visitor.section}]"
            wanted.append(Wanted(key, visitor.bind_addr, visitor.bind_port))
    return wanted


def try_port(wanted: Wanted) -> Tried:
    """Listen for a moment."""
    try:
        bind_tcp(wanted.host, wanted.port).close()
    except ListenError as error:
        code = error.errno or errno.EIO
        return Tried(code, port_holder(wanted.port) if code == errno.EADDRINUSE else "")
    return Tried()


def judge_port(program: str, wanted: Wanted, tried: Tried, pid: int) -> Finding:
    """Judge one port.

    Args:
        program: whose it is.
        wanted: the port.
        tried: what became of a trial.
        pid: of the program, if it runs.
    """
    what = f"{wanted.key} {join_host_port(wanted.host, wanted.port)}"
    if not tried.error:
        return _free(program, what, pid)
    if tried.error == errno.EADDRINUSE:
        return _taken(program, what, wanted.key.split()[0], tried.holder, pid)
    if tried.error in (errno.EACCES, errno.EPERM):
        return warning(
            f"{what} cannot be listened on by this user",
            f"start {program} by systemd or as root, or choose a port above 1023",
        )
    if tried.error == errno.EADDRNOTAVAIL:
        return fault(
            f"{what} cannot be listened on: this machine has no such address",
            "correct the address, or use 0.0.0.0 for all that there are",
        )
    reason = os.strerror(tried.error).lower()
    return fault(f"{what} cannot be listened on ({reason})", "correct that address or port")


def _taken(program: str, what: str, key: str, holder: str, pid: int) -> Finding:
    if pid and holder.endswith(f"(pid {pid})"):
        return ok(f"{what} is {program}'s own")
    if pid and not holder:
        return ok(f"{what} is taken, and {program} runs")
    if not pid and holder.startswith(f"{program} ("):
        return warning(
            f"{what} is held by {holder}, which may be that of this file",
            f"if it is not, stop that process, or choose another {key}",
        )
    return fault(
        f"the port is taken: {what} is held by {holder or 'a process that only root can see'}",
        f"stop that process, or choose another {key}",
    )


def _free(program: str, what: str, pid: int) -> Finding:
    if pid:
        return warning(
            f"{program} runs, but does not listen on {what}: it was started with another file, or"
            " with what was in this one before",
            f"have it read the file (frpd-ctl reload), or restart {program}",
        )
    return ok(f"{what} is free")
