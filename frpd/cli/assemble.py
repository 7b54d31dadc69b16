"""The only place that builds everything: loop, workers, service, and runs them."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from frpd import log
from frpd.cli.daemon import Daemon, raise_descriptor_limit
from frpd.cli.unserved import client_refusals, client_warnings, server_warnings
from frpd.client.service import Service as ClientService
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.server import ServerConfig
from frpd.entropy import SystemEntropy
from frpd.errors import ConfigError
from frpd.net.connector import Connector
from frpd.net.listener import ListenError
from frpd.net.port_holder import port_holder
from frpd.net.resolver import Resolver
from frpd.selector_loop import SelectorLoop
from frpd.server.service import Service as ServerService
from frpd.workers import WorkerPool

_log = log.get_logger("frpd.cli.assemble")


def run_server(config: ServerConfig, warnings: Iterable[str]) -> int:
    """Run frps until it is stopped; return the exit status."""
    if not _start_log(config, [*warnings, *server_warnings(config)]):
        return 1
    raise_descriptor_limit()
    loop = SelectorLoop()
    pool = WorkerPool(loop)
    try:
        service = ServerService(loop, pool, config, SystemEntropy())
        service.listen()
        _log.info("frps started successfully")
        return Daemon(loop, config.shutdown_drain_seconds).run(service)
    except ListenError as error:
        print(f"create server listener error, {_explain(error, config.bind_port)}", flush=True)
        return 1
    finally:
        pool.close()
        loop.close()


def run_client(setup: ClientSetup, warnings: Iterable[str]) -> int:
    """Run frpc until it is stopped; return the exit status."""
    common = setup.common
    refusals = list(client_refusals(setup))
    if refusals:
        print(*refusals, sep="\n", flush=True)
        return 1
    if not _start_log(common, [*warnings, *client_warnings(setup)]):
        return 1
    raise_descriptor_limit()
    loop = SelectorLoop()
    pool = WorkerPool(loop)
    daemon = Daemon(loop, common.shutdown_drain_seconds)
    refusal = ""

    def give_up(reason: str) -> None:
        nonlocal refusal
        refusal = reason
        daemon.fail()

    connector = Connector(loop, Resolver(pool, common.dns_server))
    service = ClientService(loop, connector, setup, SystemEntropy(), give_up)
    loop.call_soon(service.start)
    try:
        status = daemon.run(service)
    finally:
        pool.close()
        loop.close()
    if refusal:
        print(refusal, flush=True)
    return status


def _start_log(config: ServerConfig | ClientConfig, warnings: Iterable[str]) -> bool:
    try:
        log.setup(
            target=config.log_file,
            level=config.log_level,
            max_days=config.log_max_days,
            color=not config.disable_log_color,
        )
    except ConfigError as error:
        print(error, flush=True)
        return False
    for warning in warnings:
        _log.warning("%s", warning)
    return True


def _explain(error: ListenError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = port_holder(port)
        if holder:
            return f"{error}; the port is held by {holder}"
    return str(error)
