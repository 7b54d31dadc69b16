"""Measures the connections that run, twice, and has them judged."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from frpd.cli.ctl.daemons import CtlError
from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Finding, ok, warning
from frpd.cli.doctor.flows import Flow, Link, judge_flows
from frpd.cli.doctor.sockets import Address, Pair, connections_of
from frpd.net.address import literal_family

SAMPLE_SECONDS: Final = 1.5
CONNS: Final = "/api/conns?limit=1000"
CLIENTS: Final = "/api/clients?status=online"
_STAT_UTIME: Final = 11  # of /proc/PID/stat, counted from behind the name

Links = Mapping[Pair, Link]
Rows = Sequence[Mapping[str, Any]]


def check_traffic(case: Case) -> Iterator[Finding]:
    """Look for connections that do not get on, and for what limits them."""
    if not case.pid:
        return
    try:
        rows: Rows = case.get(CONNS)["conns"]
        clients: Rows = case.get(CLIENTS) if case.program == "frps" else ()
    except CtlError as error:
        yield warning(f"the connections cannot be seen: {error}", "ask the doctor again later")
        return
    if not rows:
        yield ok("no connections run")
        return
    before, cpu = connections_of(case.pid), _cpu_seconds(case.pid)
    if before is None:
        yield warning(
            f"{len(rows)} connections run, but the kernel does not say how they do",
            "install python3-pyroute2, and ask the doctor again",
        )
        return
    seconds = case.seconds(SAMPLE_SECONDS)
    time.sleep(seconds)
    after = connections_of(case.pid) or {}
    share = None if cpu is None else ((_cpu_seconds(case.pid) or cpu) - cpu) / seconds
    links = {pair: Link(before[pair], after[pair]) for pair in before if pair in after}
    flows = (
        flows_of_server(links, rows, clients)
        if case.program == "frps"
        else flows_of_client(links, rows, case.status)
    )
    yield from judge_flows(case.program, flows, seconds, share)


def flows_of_server(links: Links, rows: Rows, clients: Rows) -> list[Flow]:
    """Return the visitors' connections, with the trunk that each goes by.

    Args:
        links: of the daemon.
        rows: relays, as ``/api/conns`` has them.
        clients: as ``/api/clients`` has them.
    """
    trunks = {row["runID"]: links.get(_pair(row)) for row in clients}
    return [
        Flow(row["proxy"], near, trunks.get(row.get("client", "")))
        for row in rows
        if (near := links.get(_pair(row))) is not None
    ]


def flows_of_client(links: Links, rows: Rows, status: Mapping[str, Any]) -> list[Flow]:
    """Return the connections with local services, and with users of visitors.

    Args:
        links: of the daemon.
        rows: relays, as ``/api/conns`` has them.
        status: of its API.
    """
    server = split(status.get("server", {}).get("address", ""))
    trunks = [link for link in links.values() if _leads_to(link, server)]
    # Without tcp_mux there are many, and nobody knows which of them is whose.
    trunk = trunks[0] if len(trunks) == 1 else None
    return [
        Flow(row["proxy"], near, trunk)
        for row in rows
        if (near := links.get(_pair(row))) is not None
    ]


def _pair(row: Mapping[str, Any]) -> Pair:
    ends = row.get("socket") or {}
    return split(ends.get("local", "")), split(ends.get("remote", ""))


def split(text: str) -> Address:
    """Return host and port of ``host:port``, without a zone; port 0 if there is none."""
    host, _, port = text.rpartition(":")
    return host.strip("[]").partition("%")[0], int(port) if port.isdecimal() else 0


def _leads_to(link: Link, place: Address) -> bool:
    host, port = link.after.remote
    # A name may stand for any address.
    return port == place[1] and (place[0] == host or literal_family(place[0]) is None)


def _cpu_seconds(pid: int) -> float | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    ticks = int(fields[_STAT_UTIME]) + int(fields[_STAT_UTIME + 1])
    return ticks / os.sysconf("SC_CLK_TCK")
