"""The only place that builds everything: loop, workers, service, and runs them."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import replace

from frpd import log
from frpd.admin.control_socket import name_of
from frpd.cli.account import find_account
from frpd.cli.admin_room import (
    ADMIN_SERVER,
    DASHBOARD,
    AdminSockets,
    WithAdmin,
    bind_client_admin,
    bind_server_admin,
    client_room,
    server_room,
)
from frpd.cli.client_reload import ClientReload
from frpd.cli.config_file import ConfigFile
from frpd.cli.daemon import Daemon, forbid_core_dumps, raise_descriptor_limit
from frpd.cli.daemonize import Report, daemon_log_file, run_in_background
from frpd.cli.dashboard_tls import dashboard_tls
from frpd.cli.flags import DaemonOptions
from frpd.cli.server_reload import ServerReload
from frpd.cli.service_manager import (
    AnnouncedReload,
    Managed,
    ServiceManager,
    client_status,
    from_environment,
    server_status,
)
from frpd.cli.unserved import client_refusals, client_warnings
from frpd.client.service import Service as ClientService
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.server import ServerConfig
from frpd.entropy import SystemEntropy
from frpd.errors import ConfigError
from frpd.net.connector import Connector
from frpd.net.listener import ListenError
from frpd.net.netwatch import NetworkWatcher
from frpd.net.port_holder import port_holder
from frpd.net.resolver import Resolver
from frpd.selector_loop import SelectorLoop
from frpd.server.bound_ports import bind_ports
from frpd.server.entrances import still_wanted
from frpd.server.records import Records
from frpd.server.service import Service as ServerService
from frpd.server.statistics_file import place_of
from frpd.workers import WorkerPool

_log = log.get_logger("frpd.cli.assemble")


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
            config, _explain, _owner(background), sockets, _socket_name(file, "frps")
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
        _start_log(for_log, said)
        return serve(bound, report)

    try:
        if background is None:
            _start_log(config, said)
            return serve(bind(), manager)
        for_log = replace(config, log_file=daemon_log_file(config.log_file))
        return run_in_background(
            background, bind=bind, try_log=lambda: _try_log(for_log), serve=serve_as_daemon
        )
    except ListenError as error:
        text = f"create server listener error, {_explain(error, config.bind_port)}"
        manager.failed(text, error.errno)
    except ConfigError as error:
        manager.failed(str(error), _errno(error))
    finally:
        manager.close()
    return 1


def run_client(
    setup: ClientSetup,
    warnings: Iterable[str],
    background: DaemonOptions | None = None,
    file: ConfigFile | None = None,
) -> int:
    """Run frpc until it is stopped; return the exit status.

    Args:
        setup: checked.
        warnings: for the head of the log.
        background: as for run_server. Without ``login_fail_exit`` nobody waits for the login.
        file: where the configuration comes from; None for the command line.
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
        manager.sockets.sift(lambda _place, _owner: False)  # visitors have none to wait at
        admin = bind_client_admin(
            setup.common, _explain, _owner(background), _socket_name(file, "frpc")
        )
        return admin.all()

    def serve(_bound: list[socket.socket], report: Report) -> int:
        reading = None if file is None else (file, common)
        return _connect(setup, admin, report, reading=reading, manager=manager)

    def serve_as_daemon(bound: list[socket.socket], report: Report) -> int:
        _start_log(setup.common, said)
        return serve(bound, report)

    try:
        if background is None:
            _start_log(setup.common, said)
            return serve(bind(), manager)
        log_file = daemon_log_file(setup.common.log_file)
        setup = replace(setup, common=replace(setup.common, log_file=log_file))
        return run_in_background(
            background, bind=bind, try_log=lambda: _try_log(setup.common), serve=serve_as_daemon
        )
    except ConfigError as error:
        manager.failed(str(error), _errno(error))
        return 1
    finally:
        manager.close()


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
        service = ServerService(
            loop, pool, config, SystemEntropy(), manager.sockets, tell=records.tell
        )
        name = _socket_name(file, "frps")
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
        return daemon.run(Managed(WithAdmin(service, room), manager), _hang_up(reload))


def _connect(
    setup: ClientSetup,
    admin: AdminSockets,
    report: Report,
    *,
    reading: tuple[ConfigFile, ClientConfig] | None,
    manager: ServiceManager,
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
    service = ClientService(
        loop,
        pool,
        connector,
        setup,
        SystemEntropy(),
        on_fatal=give_up,
        on_first_login=lambda: loop.call_soon(report.ready),  # when the session is there
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
        status = daemon.run(Managed(WithAdmin(service, room), manager), _hang_up(reload))
    finally:
        admin.close()
        watcher.close()
        names.close()
        pool.close()
        loop.close()
    if refusal:
        report.failed(refusal)
    return status


def _hang_up(reload: AnnouncedReload | None) -> Callable[[], None]:
    """Return what SIGHUP does."""
    if reload is None:
        return lambda: _log.warning("SIGHUP: there is no file to read again")
    return reload.hangup


def _socket_name(file: ConfigFile | None, program: str) -> str:
    return name_of(None if file is None else file.path, program)


def _owner(background: DaemonOptions | None) -> tuple[int, int] | None:
    """Return user and group that a daemon will become."""
    if background is None or background.user is None:
        return None
    account = find_account(background.user)
    return account.uid, account.gid


def _start_log(config: ServerConfig | ClientConfig, warnings: Iterable[str]) -> None:
    log.setup(
        target=config.log_file,
        level=config.log_level,
        max_days=config.log_max_days,
        color=not config.disable_log_color,
        line_format=config.log_format,
    )
    for warning in warnings:
        _log.warning("%s", warning)


def _try_log(config: ServerConfig | ClientConfig) -> None:
    _start_log(config, ())
    log.close()


def _errno(error: ConfigError) -> int | None:
    cause = error.__cause__
    return cause.errno if isinstance(cause, (ListenError, OSError)) else None


def _explain(error: ListenError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = port_holder(port)
        if holder:
            return f"{error}; the port is held by {holder}"
    return str(error)
