"""The only place that builds a client: loop, workers, service, and runs them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import replace

from frpd.cli.admin_room import (
    ADMIN_SERVER,
    AdminSockets,
    WithAdmin,
    bind_client_admin,
    client_room,
)
from frpd.cli.client_reload import ClientReload
from frpd.cli.config_file import ConfigFile
from frpd.cli.daemon import Daemon, forbid_core_dumps, raise_descriptor_limit
from frpd.cli.daemonize import Report, daemon_log_file, run_in_background
from frpd.cli.flags import DaemonOptions
from frpd.cli.service_manager import AnnouncedReload, Managed, ServiceManager, from_environment
from frpd.cli.start import errno_of, explain, hang_up, owner_of, socket_name, start_log, try_log
from frpd.cli.unserved import client_refusals, client_warnings
from frpd.client.proxy_table import Phase
from frpd.client.service import Service
from frpd.config.client import ClientConfig, ClientSetup
from frpd.entropy import SystemEntropy
from frpd.errors import ConfigError
from frpd.net.address import join_host_port
from frpd.net.connector import Connector
from frpd.net.netwatch import NetworkWatcher
from frpd.net.resolver import Resolver
from frpd.selector_loop import SelectorLoop
from frpd.workers import WorkerPool


def run_client(
    setup: ClientSetup,
    warnings: Iterable[str],
    background: DaemonOptions | None = None,
    file: ConfigFile | None = None,
    stretched: Callable[[], bytes] | None = None,
) -> int:
    """Run frpc until it is stopped; return the exit status.

    Args:
        setup: checked.
        warnings: for the head of the log.
        background: as for run_server. Without ``login_fail_exit`` nobody waits for the login.
        file: where the configuration comes from; None for the command line.
        stretched: has the token stretched, since that was begun before; any thread.
    """
    refusals = list(client_refusals(setup))
    if refusals:
        print(*refusals, sep="\n", flush=True)
        return 1
    said = [*warnings, *client_warnings(setup)]
    common = setup.common  # as the file has it
    admin = AdminSockets()
    forbid_core_dumps(os.environ)
    manager = from_environment() if background is None else ServiceManager()

    def bind() -> list[socket.socket]:
        nonlocal admin
        manager.sockets.sift(lambda _place, owner_of: False)  # visitors have none to wait at
        admin = bind_client_admin(
            setup.common, explain, owner_of(background), socket_name(file, "frpc")
        )
        return admin.all()

    def serve(_bound: list[socket.socket], report: Report) -> int:
        reading = None if file is None else (file, common)
        return _connect(setup, admin, report, reading=reading, manager=manager, stretched=stretched)

    def serve_as_daemon(bound: list[socket.socket], report: Report) -> int:
        start_log(setup.common, said)
        return serve(bound, report)

    try:
        if background is None:
            start_log(setup.common, said)
            return serve(bind(), manager)
        log_file = daemon_log_file(setup.common.log_file)
        setup = replace(setup, common=replace(setup.common, log_file=log_file))
        return run_in_background(
            background, bind=bind, try_log=lambda: try_log(setup.common), serve=serve_as_daemon
        )
    except ConfigError as error:
        manager.failed(str(error), errno_of(error))
        return 1
    finally:
        manager.close()


def _connect(
    setup: ClientSetup,
    admin: AdminSockets,
    report: Report,
    *,
    reading: tuple[ConfigFile, ClientConfig] | None,
    manager: ServiceManager,
    stretched: Callable[[], bytes] | None,
) -> int:
    """Run a client; ``reading`` is what it was started with: a file, and [common] as it has it."""
    common = setup.common
    raise_descriptor_limit()
    loop = SelectorLoop()
    pool = WorkerPool(loop)
    daemon = Daemon(loop, common.shutdown_drain_seconds)
    refusal = ""

    def give_up(reason: str) -> None:
        nonlocal refusal
        refusal = reason
        daemon.fail()

    names = WorkerPool(loop)  # a mute name server keeps threads for seconds: only its own
    connector = Connector(loop, Resolver(names, common.dns_server))
    service = Service(
        loop,
        pool,
        connector,
        setup,
        SystemEntropy(),
        on_fatal=give_up,
        on_first_login=lambda: loop.call_soon(report.ready),  # when the session is there
        stretched=stretched,
    )
    manager.attach(loop, lambda: client_status(service))
    queue = None if reading is None else ClientReload(pool, service, *reading)
    reload = None if queue is None else AnnouncedReload(queue, manager)
    plan = None if queue is None else queue.plan
    file = None if reading is None else reading[0]
    room = client_room(loop, service, admin, file=file, stop=daemon.stop, reload=reload, plan=plan)
    watcher = NetworkWatcher(loop, pool, service.network_changed)
    loop.call_soon(watcher.start)
    loop.call_soon(service.start)
    if not common.login_fail_exit:
        loop.call_soon(report.ready)
    try:
        room.open(ADMIN_SERVER)
        status = daemon.run(Managed(WithAdmin(service, room), manager), hang_up(reload))
    finally:
        admin.close()
        watcher.close()
        names.close()
        pool.close()
        loop.close()
    if refusal:
        report.failed(refusal)
    return status


def client_status(service: Service) -> str:
    """Return how a frpc is, in one line."""
    facts = service.session_facts()
    where = join_host_port(service.config.server_addr, service.config.server_port)
    if not facts.is_connected:
        reason = f": {facts.last_error}" if facts.last_error else ""
        return f"not logged in to {where}{reason}"
    proxies = service.table.entries.values()
    running = sum(entry.phase is Phase.RUNNING for entry in proxies)
    return f"logged in to {where}, {running} of {len(proxies)} proxies run"
