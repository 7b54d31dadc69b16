"""The admin API as a part of a program: its sockets, and the office that serves them.

Sockets are bound in the foreground, with the others: a port that is taken is an error at the
start, and one below 1024 needs the rights that a daemon gives up. Nothing here imports the web
server; that is done on a worker when the first request comes.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from frpd.admin.control_socket import ControlSocket, open_control_socket
from frpd.admin.loop_calls import LoopCalls
from frpd.admin.office import CONTROL, AdminOffice, Server
from frpd.config.secret import Secret
from frpd.errors import ConfigError
from frpd.net.listener import ListenError
from frpd.net.socket_store import SocketStore, open_tcp

if TYPE_CHECKING:
    from frpd.admin.reload import Plan, Reload
    from frpd.cli.config_file import ConfigFile
    from frpd.client.service import Service as ClientService
    from frpd.config.client import ClientConfig
    from frpd.config.server import ServerConfig
    from frpd.selector_loop import SelectorLoop
    from frpd.server.service import Service as ServerService
    from frpd.transports.layers import Layer

Login = tuple[str, Secret]
Owner = tuple[int, int]
WsgiApp = Callable[..., Any]
Choose = Callable[[Mapping[str, Any]], Any]
"""Returns the gate that a request has to pass, by its environment."""
Explain = Callable[[ListenError, int], str]

DASHBOARD: Final = "dashboard"
ADMIN_SERVER: Final = "admin server"


class AdminSockets(NamedTuple):
    """What was bound: a port and a control socket, or either, or none."""

    port: socket.socket | None = None
    control: ControlSocket | None = None

    def all(self) -> list[socket.socket]:
        """Return them, for whoever has to keep them open."""
        control = None if self.control is None else self.control.sock
        return [sock for sock in (self.port, control) if sock is not None]

    def close(self) -> None:
        """Let go of all of them."""
        for sock in self.all():
            sock.close()
        if self.control is not None:
            self.control.remove()


def bind_server_admin(
    config: ServerConfig,
    explain: Explain,
    owner: Owner | None = None,
    sockets: SocketStore | None = None,
    name: str = "frps",
) -> AdminSockets:
    """Bind what the API of frps is served on; no loop is needed for it.

    Args:
        config: checked.
        explain: says more about an error, for the port given.
        owner: whom the program will become.
        sockets: whence an inherited port comes, and where it is kept.
        name: of the control socket.

    Raises:
        ConfigError: something cannot be had; nothing stays bound.
    """
    return _bind(
        (config.dashboard_addr, config.dashboard_port),
        "create dashboard web server error",
        explain,
        lambda: open_control_socket(config.control_socket, name, owner),
        sockets,
    )


def bind_client_admin(
    common: ClientConfig, explain: Explain, owner: Owner | None = None, name: str = "frpc"
) -> AdminSockets:
    """Bind what the API of frpc is served on; as bind_server_admin."""
    return _bind(
        (common.admin_addr, common.admin_port),
        "run admin server error",
        explain,
        lambda: open_control_socket(common.control_socket, name, owner),
    )


def _bind(
    where: tuple[str, int],
    complaint: str,
    explain: Explain,
    open_control: Callable[[], ControlSocket | None],
    sockets: SocketStore | None = None,
) -> AdminSockets:
    port = None
    if where[1]:
        try:
            port = open_tcp(sockets or SocketStore(), *where)
        except ListenError as error:
            raise ConfigError(f"{complaint}, {explain(error, where[1])}") from error
    try:
        return AdminSockets(port, open_control())
    except ConfigError:
        if port is not None:
            port.close()
        raise


class AdminRoom:
    """The API of a running program. Loop thread only.

    Args:
        loop: the loop.
        calls: what the endpoints ask the loop by.
        sockets: owned from now on.
        make_app: makes the WSGI application, on a worker; it is given what chooses a gate.
        login: returns user and password for the port, as they are now. Any thread.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        calls: LoopCalls,
        sockets: AdminSockets,
        make_app: Callable[[Choose], WsgiApp],
        login: Callable[[], Login],
    ) -> None:
        self._login = login
        self._sockets = sockets
        self._make_app = make_app
        self._office = AdminOffice(loop, calls, self._make_server)

    def open(self, what: str, tls: Layer | None = None) -> None:
        """Take requests.

        Args:
            what: the name of the port's service in the log.
            tls: around the port, for HTTPS.
        """
        if self._sockets.port is not None:
            self._office.serve_tcp(self._sockets.port, what, tls)
        if self._sockets.control is not None:
            self._office.serve_control(self._sockets.control.sock)

    def stop_listening(self) -> None:
        """Free port and name; requests under way go on. Idempotent."""
        self._office.stop_listening()
        if self._sockets.control is not None:
            self._sockets.control.remove()

    def close(self) -> None:
        """End everything. Idempotent."""
        self.stop_listening()
        self._office.close()

    def _make_server(self, on_closed: Callable[[tuple[str, int]], None]) -> Server:
        """Worker threads."""
        # Slow imports, and most daemons are never asked anything.
        from frpd.admin.access import ControlGate, Credentials, Gate, TcpGate  # noqa: PLC0415
        from frpd.admin.web_server import WebServer  # noqa: PLC0415

        control: Gate = ControlGate()
        port: Gate = TcpGate(lambda: Credentials(*self._login()))

        def choose(environ: Mapping[str, Any]) -> Gate:
            return control if environ["REMOTE_ADDR"] == CONTROL else port

        return WebServer(self._make_app(choose), on_closed)


class Runnable(Protocol):
    """A service that can be asked to end; see Daemon."""

    def shut_down(self, on_idle: Callable[[], None]) -> None:
        """Take nothing new; call ``on_idle`` when nothing runs any more."""

    def close(self) -> None:
        """Drop everything."""


class WithAdmin:
    """A service and its API, which come and go together."""

    def __init__(self, service: Runnable, room: AdminRoom) -> None:
        self._service = service
        self._room = room

    def shut_down(self, on_idle: Callable[[], None]) -> None:
        """See Runnable.shut_down."""
        self._room.stop_listening()
        self._service.shut_down(on_idle)

    def close(self) -> None:
        """See Runnable.close."""
        self._room.close()
        self._service.close()


def server_room(
    loop: SelectorLoop,
    service: ServerService,
    sockets: AdminSockets,
    *,
    file: ConfigFile | None,
    reload: Reload | None = None,
    plan: Plan | None = None,
) -> AdminRoom:
    """Return the API of a frps.

    Args:
        loop: the loop.
        service: the server.
        sockets: of bind_server_admin; owned from now on.
        file: that it was started with.
        reload: reads the file again.
        plan: says what that would change.
    """
    calls = LoopCalls(loop)

    def make_app(choose: Choose) -> WsgiApp:
        # As above: slow, and most daemons are never asked.
        from frpd.admin.frps.desk import ServerDesk  # noqa: PLC0415
        from frpd.admin.frps_api import frps_app  # noqa: PLC0415

        desk = ServerDesk(
            service,
            loop,
            calls,
            reload=reload if file is not None else None,
            plan=plan if file is not None else None,
            config_file="" if file is None else file.path,
            dialect="new" if file is None else file.era,
        )
        return frps_app(desk, choose)

    def login() -> Login:
        config = service.config  # one look: the loop may put another one in its place
        return config.dashboard_user, config.dashboard_pwd

    return AdminRoom(loop, calls, sockets, make_app, login)


def client_room(
    loop: SelectorLoop,
    service: ClientService,
    sockets: AdminSockets,
    *,
    file: ConfigFile | None,
    stop: Callable[[], None],
    reload: Reload | None = None,
    plan: Plan | None = None,
) -> AdminRoom:
    """Return the API of a frpc.

    Args:
        loop: the loop.
        service: the client.
        sockets: of bind_client_admin; owned from now on.
        file: that it was started with.
        stop: ends the program gracefully.
        reload: reads the file again.
        plan: says what that would change.
    """
    calls = LoopCalls(loop)

    def make_app(choose: Choose) -> WsgiApp:
        # As above: slow, and most daemons are never asked.
        from frpd.admin.frpc.desk import ClientDesk  # noqa: PLC0415
        from frpd.admin.frpc_api import frpc_app  # noqa: PLC0415

        desk = ClientDesk(
            service,
            loop,
            calls,
            stop,
            reload=reload if file is not None else None,
            plan=plan if file is not None else None,
            config_file="" if file is None else file.path,
            dialect="new" if file is None else file.era,
            check=None if file is None else file.check_client,
        )
        return frpc_app(desk, choose)

    common = service.config
    login = (common.admin_user, common.admin_pwd)
    return AdminRoom(loop, calls, sockets, make_app, lambda: login)
