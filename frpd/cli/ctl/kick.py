"""``frpd-ctl kick``: end a client's session, or cut the visitors of a proxy."""

from __future__ import annotations

import argparse
import difflib

from frpd.cli.ctl.command import Command
from frpd.cli.ctl.daemons import CtlError, Daemon, add_daemon_flags, the_daemon
from frpd.cli.ctl.show import View, add_show_flags, show

CLIENT = "client"
PROXY = "proxy"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "who", metavar="CLIENT|PROXY", help="run id of a client, or name of a proxy"
    )
    add_daemon_flags(parser, sides=False)
    kind = parser.add_mutually_exclusive_group()
    for name, text in ((CLIENT, "it is a run id"), (PROXY, "it is the name of a proxy")):
        kind.add_argument(f"--{name}", dest="kind", action="store_const", const=name, help=text)
    add_show_flags(parser, watch=False)


def _run(options: argparse.Namespace) -> int:
    daemon = the_daemon(options, "frps")
    kind = options.kind or _kind_of(daemon, options.who)
    count = daemon.send("POST", "/api/kick", {kind: options.who})["kicked"]
    if kind == CLIENT:
        text = f"the session of client {options.who} was ended; it may log in again"
    else:
        visitors = "1 visitor" if count == 1 else f"{count} visitors"
        text = f"proxy {options.who}: {visitors} cut"
    facts = {"kind": kind, "name": options.who, "kicked": count}
    return show(options, lambda: View(facts, lambda _screen: [text]))


def _kind_of(daemon: Daemon, who: str) -> str:
    """Return what has this name.

    Raises:
        CtlError: nothing has, or both a client and a proxy have.
    """
    clients = [row["runID"] for row in daemon.get("/api/clients", status="online")]
    rows = daemon.get("/api/frpd/proxies")["proxies"]
    proxies = [row["name"] for row in rows if row["status"] == "online"]
    kinds = [kind for kind, names in ((CLIENT, clients), (PROXY, proxies)) if who in names]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise CtlError(f"{who} is both a client and a proxy: say which with --client or --proxy")
    near = difflib.get_close_matches(who, [*clients, *proxies], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise CtlError(f"no client and no proxy that is online is called {who}{hint}")


COMMAND = Command(
    "kick", "end a client's session, or cut a proxy's visitors (frps)", _add_arguments, _run
)
