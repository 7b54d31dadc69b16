"""Whether frps that runs lets in who has the token of the file, asked at its own port."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Finding, fault, ok
from frpd.cli.doctor.probe import LoginResult, Outcome, log_in
from frpd.config.client import ClientConfig
from frpd.config.server import ServerConfig
from frpd.net.address import join_host_port
from frpd.net.listener import EVERY_ADDRESS

LOGIN_SECONDS: Final = 4.0


def check_own_door(case: Case) -> Iterable[Finding]:
    """Log in as a client on this machine would."""
    config = case.server
    if config is None or not case.pid:
        return []
    if config.tls_only and config.tls_trusted_ca_file:
        return []  # it wants a certificate that only clients have
    client = client_of(config)
    (result,) = log_in([client], case.seconds(LOGIN_SECONDS), case.now_unix)
    return [judge_own_door(join_host_port(client.server_addr, client.server_port), result)]


def client_of(config: ServerConfig) -> ClientConfig:
    """Return how a client on the same machine would be set."""
    host = "127.0.0.1" if config.bind_addr in EVERY_ADDRESS else config.bind_addr
    return ClientConfig(
        server_addr=host,
        server_port=config.bind_port,
        token=config.token,
        tcp_mux=config.tcp_mux,
        native=config.native,
        tls_enable=config.tls_only,
    )


def judge_own_door(where: str, result: LoginResult) -> Finding:
    """Judge what became of that login."""
    if result.outcome is Outcome.ENTERED:
        return ok(f"frps lets in at {where} who has the token of the file")
    if result.outcome is Outcome.REFUSED:
        return fault(
            f"frps refuses at {where} who has the token of the file: {result.text}",
            "have frps read the file (frpd-ctl reload), or restart it",
        )
    return fault(
        f"frps answers no login at {where}: {result.text}",
        "check that it is this frps that has the port, and look into its log",
    )
