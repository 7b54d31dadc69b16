"""frpd.cli.admin_room: what is bound at the start, and the API of a program that runs."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from ssl import CERT_NONE, create_default_context
from typing import Any

import pytest

from frpd.admin import control_socket
from frpd.cli.admin_client import Answer, Target, call
from frpd.cli.admin_room import (
    AdminSockets,
    WithAdmin,
    bind_client_admin,
    bind_server_admin,
    client_room,
    server_room,
)
from frpd.cli.dashboard_tls import dashboard_tls
from frpd.config.client import ClientConfig
from frpd.config.secret import Secret
from frpd.config.server import ServerConfig
from frpd.errors import ConfigError
from frpd.net.listener import ListenError
from tests.helpers.authority import Authority
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.client.home import Home
from tests.unit.server.house import House

LOOPBACK = "127.0.0.1"


@pytest.fixture(autouse=True)
def _no_run_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(control_socket, "RUN_FOLDER", str(tmp_path / "missing"))


def explain(error: ListenError, port: int) -> str:
    return f"{error}; port {port}"


def server_config(folder: Path, port: int = 0, **keys: Any) -> ServerConfig:
    return ServerConfig(
        dashboard_addr=LOOPBACK,
        dashboard_port=port,
        control_socket=str(folder / "control"),
        **keys,
    )


@pytest.fixture
def taken() -> socket.socket:
    return socket.create_server((LOOPBACK, 0))


def test_nothing_is_bound_by_default() -> None:
    assert bind_server_admin(ServerConfig(), explain).all() == []
    assert bind_client_admin(ClientConfig(), explain).all() == []


def test_a_taken_port_is_an_error_in_frp_s_words(tmp_path: Path, taken: socket.socket) -> None:
    with taken:
        port = taken.getsockname()[1]
        expected = f"listen tcp {LOOPBACK}:{port}: bind: address already in use; port {port}"
        with pytest.raises(ConfigError) as refused:
            bind_server_admin(server_config(tmp_path, port), explain)
        assert str(refused.value) == f"create dashboard web server error, {expected}"
        with pytest.raises(ConfigError) as refused:
            bind_client_admin(ClientConfig(admin_port=port), explain)
        assert str(refused.value) == f"run admin server error, {expected}"
    assert not (tmp_path / "control").exists()


def test_a_control_socket_that_cannot_be_had_leaves_nothing_bound(
    tmp_path: Path,
) -> None:
    port = free_port()
    config = ServerConfig(dashboard_port=port, control_socket=str(tmp_path / "missing" / "s"))
    with pytest.raises(ConfigError, match="control_socket"):
        bind_server_admin(config, explain)
    socket.create_server((LOOPBACK, port)).close()


def test_sockets_that_are_let_go_leave_no_name(tmp_path: Path) -> None:
    sockets = bind_server_admin(server_config(tmp_path), explain)
    assert len(sockets.all()) == 1
    assert (tmp_path / "control").exists()
    sockets.close()
    assert not (tmp_path / "control").exists()


class Office:
    """A program's API that runs, and what was asked of it from another thread."""

    def __init__(self, world: World) -> None:
        self.world = world

    def ask(self, work: Callable[[], Answer]) -> Answer:
        """Ask from another thread while the loop turns."""
        answers: list[Answer | BaseException] = []

        def run() -> None:
            try:
                answers.append(work())
            except BaseException as error:
                answers.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        self.world.until(lambda: answers)
        thread.join()
        (answer,) = answers
        assert isinstance(answer, Answer), answer
        return answer


def serve(
    world: World, folder: Path, *, tls: bool = False, **keys: Any
) -> tuple[Office, House, AdminSockets]:
    house = House(world, dashboard_user="ops", dashboard_pwd=Secret("pw"), **keys)
    config = house.service.config
    bound = bind_server_admin(server_config(folder), explain)
    port = socket.create_server((LOOPBACK, 0))
    port.setblocking(False)
    sockets = AdminSockets(port, bound.control)
    room = server_room(world.loop, house.service, sockets, file=None)
    room.open("dashboard", dashboard_tls(config, world.loop.now) if tls else None)
    world.owners.callback(room.close)
    return Office(world), house, sockets


def test_both_ways_lead_to_the_same_api(world: World, tmp_path: Path) -> None:
    office, house, sockets = serve(world, tmp_path)
    house.proxy(house.client())
    control = Target(str(tmp_path / "control"))
    info = office.ask(lambda: call(control, "GET", "/api/serverinfo")).json()
    assert isinstance(info, dict)
    assert info["client_counts"] == 1
    assert sockets.port is not None
    port = sockets.port.getsockname()[1]
    stranger = Target(host=LOOPBACK, port=port)
    assert office.ask(lambda: call(stranger, "GET", "/api/serverinfo")).status == 401
    ops = Target(host=LOOPBACK, port=port, user="ops", password=Secret("pw"))
    assert office.ask(lambda: call(ops, "GET", "/api/serverinfo")).is_ok


def test_a_reload_replaces_the_login(world: World, tmp_path: Path) -> None:
    house = House(world, dashboard_user="ops", dashboard_pwd=Secret("old"))
    port = socket.create_server((LOOPBACK, 0))
    port.setblocking(False)
    room = server_room(world.loop, house.service, AdminSockets(port), file=None)
    room.open("dashboard")
    world.owners.callback(room.close)
    office = Office(world)
    new = Target(host=LOOPBACK, port=port.getsockname()[1], user="ops", password=Secret("new"))
    assert office.ask(lambda: call(new, "GET", "/api/status")).status == 401
    house.reload(dashboard_pwd=Secret("new"))
    assert office.ask(lambda: call(new, "GET", "/api/status")).is_ok


def test_the_dashboard_by_https(world: World, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue(LOOPBACK)
    keys = {
        "dashboard_port": 1,
        "dashboard_tls_mode": True,
        "dashboard_tls_cert_file": str(certificate),
        "dashboard_tls_key_file": str(key),
    }
    office, _, sockets = serve(world, tmp_path, tls=True, **keys)
    assert sockets.port is not None
    port = sockets.port.getsockname()[1]

    def ask(connection: HTTPConnection) -> Answer:
        login = base64.b64encode(b"ops:pw").decode()
        connection.request("GET", "/api/status", headers={"Authorization": f"Basic {login}"})
        response = connection.getresponse()
        answer = Answer(response.status, response.read())
        connection.close()
        return answer

    context = create_default_context()
    context.check_hostname = False
    context.verify_mode = CERT_NONE
    found = office.ask(lambda: ask(HTTPSConnection(LOOPBACK, port, timeout=10, context=context)))
    assert json.loads(found.body)["program"] == "frps"


def test_a_client_is_stopped_by_its_api(world: World, tmp_path: Path) -> None:
    home = Home(world)
    stopped: list[bool] = []
    common = ClientConfig(control_socket=str(tmp_path / "control"))
    sockets = bind_client_admin(common, explain)
    room = client_room(
        world.loop, home.service, sockets, file=None, stop=lambda: stopped.append(True)
    )
    room.open("admin server")
    world.owners.callback(room.close)
    office = Office(world)
    control = Target(str(tmp_path / "control"))
    assert office.ask(lambda: call(control, "POST", "/api/stop")).is_ok
    world.advance(1.0)
    assert stopped == [True]
    assert office.ask(lambda: call(control, "POST", "/api/reload")).status == 501


class FakeService:
    def __init__(self) -> None:
        self.said: list[str] = []

    def shut_down(self, on_idle: Callable[[], None]) -> None:
        del on_idle
        self.said.append("shut_down")

    def close(self) -> None:
        self.said.append("close")


def test_port_and_name_are_free_as_soon_as_the_end_begins(world: World, tmp_path: Path) -> None:
    house = House(world)
    sockets = bind_server_admin(server_config(tmp_path), explain)
    room = server_room(world.loop, house.service, sockets, file=None)
    room.open("dashboard")
    service = FakeService()
    both = WithAdmin(service, room)
    both.shut_down(lambda: None)
    assert not (tmp_path / "control").exists()
    both.close()
    assert service.said == ["shut_down", "close"]
