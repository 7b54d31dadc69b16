"""The only place that builds a server: loop, workers, service, and runs them.

Nothing of frpc is imported here, nor the other way round: each end starts with its own half.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable
from dataclasses import replace

from frpd import log
from frpd.cli.admin_room import DASHBOARD, AdminSockets, WithAdmin, bind_server_admin, server_room
from frpd.cli.config_file import ConfigFile
from frpd.cli.daemon import Daemon, forbid_core_dumps, raise_descriptor_limit
from frpd.cli.daemonize import Report, daemon_log_file, run_in_background
from frpd.cli.dashboard_tls import dashboard_tls
from frpd.cli.flags import DaemonOptions
from frpd.cli.server_reload import ServerReload
from frpd.cli.service_manager import AnnouncedReload, Managed, ServiceManager, from_environment
from frpd.cli.start import errno_of, explain, hang_up, owner_of, socket_name, start_log, try_log
from frpd.config.server import ServerConfig
from frpd.entropy import SystemEntropy
from frpd.errors import ConfigError
from frpd.net.listener import ListenError
from frpd.selector_loop import SelectorLoop
from frpd.server.bound_ports import bind_ports
from frpd.server.entrances import still_wanted
from frpd.server.records import Records
from frpd.server.service import Service
from frpd.server.statistics_file import place_of
from frpd.workers import WorkerPool

_log = log.get_logger("frpd.cli.assemble_server")


def run_server(
    config: ServerConfig,
    warnings: Iterable[str],
    background: DaemonOptions | None = None,
    file: ConfigFile | None = None,
) -> int:
    """Run frps until it is stopped; return the exit status.

    Args:
        config: checked.
        warnings: for the head of the log.
        background: of ``--daemon``; the parent's status then tells whether it serves.
        file: where the configuration comes from; None for the command line.
    """
    said = list(warnings)
    for_log = config
    admin = AdminSockets()
    forbid_core_dumps(os.environ)
    manager = from_environment() if background is None else ServiceManager()
    sockets = manager.sockets

    def bind() -> list[socket.socket]:
        nonlocal admin
        sockets.sift(still_wanted(config, [(config.dashboard_addr, config.dashboard_port)]))
        admin = bind_server_admin(
            config, explain, owner_of(background), sockets, socket_name(file, "frps")
        )
        try:
            return [*admin.all(), *bind_ports(config, sockets)]
        except ListenError:
            admin.close()
            raise

    def serve(bound: list[socket.socket], report: Report) -> int:
        listeners = bound[len(admin.all()) :]
        return _serve(config, listeners, admin, report, file=file, manager=manager)

    def serve_as_daemon(bound: list[socket.socket], report: Report) -> int:
        start_log(for_log, said)
        return serve(bound, report)

    try:
        if background is None:
            start_log(config, said)
            return serve(bind(), manager)
        for_log = replace(config, log_file=daemon_log_file(config.log_file))
        return run_in_background(
            background, bind=bind, try_log=lambda: try_log(for_log), serve=serve_as_daemon
        )
    except ListenError as error:
        text = f"create server listener error, {explain(error, config.bind_port)}"
        manager.failed(text, error.errno)
    except ConfigError as error:
        manager.failed(str(error), errno_of(error))
    finally:
        manager.close()
    return 1


def _serve(
    config: ServerConfig,
    listeners: list[socket.socket],
    admin: AdminSockets,
    report: Report,
    *,
    file: ConfigFile | None,
    manager: ServiceManager,
) -> int:
    raise_descriptor_limit()
    loop = SelectorLoop()
    pool = WorkerPool(loop)
    with contextlib.ExitStack() as owners:
        for owner in (loop, pool, admin):
            owners.callback(owner.close)
        records = Records(config, loop, pool)
        owners.callback(records.close)
        service = Service(loop, pool, config, SystemEntropy(), manager.sockets, tell=records.tell)
        name = socket_name(file, "frps")
        figures = place_of(config.statistics_file, name, os.environ)
        records.keep(service.books.statistics, figures)
        manager.attach(loop, lambda: server_status(service))
        service.listen(listeners)
        queue = None if file is None else ServerReload(loop, pool, service, file)
        reload = None if queue is None else AnnouncedReload(queue, manager)
        plan = None if queue is None else queue.plan
        room = server_room(loop, service, admin, file=file, reload=reload, plan=plan)
        room.open(DASHBOARD, dashboard_tls(config, loop.now))
        manager.sockets.park(config.restart_hold_seconds)
        # In the first turn: who reads the line may send a signal, and it is heard by then.
        loop.call_soon(_log.info, "frps started successfully")
        loop.call_soon(report.ready)
        daemon = Daemon(loop, config.shutdown_drain_seconds)
        return daemon.run(Managed(WithAdmin(service, room), manager), hang_up(reload))


def server_status(service: Service) -> str:
    """Return how a frps is, in one line."""
    counts = (
        (len(service.controls), "client"),
        (len(service.proxies), "prox"),
        (len(service.relays), "connection"),
    )
    return ", ".join(f"{count} {_plural(count, word)}" for count, word in counts)


def _plural(count: int, word: str) -> str:
    one, many = ("y", "ies") if word == "prox" else ("", "s")
    return word + (one if count == 1 else many)
