"""``frpc nathole discover``: ask a STUN server how it sees us, and say what NAT that means.

What scripts read is as in frp: the lines and the exit status.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Final

from frpd.client.nathole.discovery import Discovery, Found, Means
from frpd.config.client import ClientConfig
from frpd.config.load_client import load_client_common
from frpd.entropy import SystemEntropy
from frpd.errors import ConfigError, FrpError
from frpd.net.address import format_address
from frpd.net.resolver import Resolver
from frpd.proto.nat import MAX_PORT
from frpd.selector_loop import SelectorLoop
from frpd.workers import WorkerPool

_ANY: Final = ("0.0.0.0", 0)  # noqa: S104 - the kernel knows best which address leads there


def discover(options: argparse.Namespace) -> int:
    """Run it; return the exit status."""
    common = _common(options)
    server = options.nat_hole_stun_server or common.nat_hole_stun_server
    if not server:
        print("nat_hole_stun_server can not be empty", flush=True)
        return 1
    try:
        local = _local(options.nat_hole_local_addr or "")
    except ValueError as error:
        print(f"discover error: {error}", flush=True)
        return 1
    outcome = ask(server, local, common.dns_server)
    if isinstance(outcome, FrpError):
        print(f"discover error: {outcome}", flush=True)
        return 1
    print(*report(server, outcome), sep="\n", flush=True)
    outcome.sock.close()
    return 0


def report(server: str, found: Found) -> list[str]:
    """Return the lines that tell what was found."""
    return [
        f"STUN server: {server}",
        f"Your NAT type is: {found.nat.nat_type}",
        f"Behavior is: {found.nat.behavior}",
        f"External address is: [{' '.join(found.mapped_texts())}]",
        f"Local address is: {format_address(found.sock.address)}",
        f"Public Network: {str(found.nat.is_public).lower()}",
    ]


def ask(server: str, local: tuple[str, int], nameserver: str) -> Found | FrpError:
    """Ask a STUN server, and wait for what comes of it.

    Args:
        server: ``host:port``.
        local: where our socket is bound.
        nameserver: frp's dns_server.
    """
    outcomes: list[Found | FrpError] = []
    with closing(SelectorLoop()) as loop, closing(WorkerPool(loop)) as pool:

        def done(outcome: Found | FrpError) -> None:
            outcomes.append(outcome)
            loop.stop()

        means = Means(loop, Resolver(pool, nameserver), SystemEntropy())
        discovery = Discovery(means, server, done, done, local=local)
        discovery.start()
        loop.run()
        discovery.cancel()
    return outcomes[0]


def _common(options: argparse.Namespace) -> ClientConfig:
    """Return [common]; as in frp the command needs no file, where flags say enough."""
    try:
        return load_client_common(options.config, dialect=options.ini_dialect)
    except ConfigError:
        return ClientConfig()


def _local(text: str) -> tuple[str, int]:
    """Return what ``-l`` says: an address of ours, or ``:port`` of any."""
    if not text:
        return _ANY
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, "0"
    if not (port.isascii() and port.isdecimal() and int(port) <= MAX_PORT):
        raise ValueError(f"not an address of this machine: {text!r}")
    return host or _ANY[0], int(port)
