"""A service on a Unix socket behind a proxy."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.helpers.world import World
from tests.unit.client.conftest import world
from tests.unit.client.home import Home
from tests.unit.client.plugins.stage import Stage

__all__ = ["world"]


def test_visitors_reach_the_socket(world: World, tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    listener = world.stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(path)
    listener.listen()
    listener.setblocking(False)
    stage = Stage(world, "unix_domain_socket", {"unix_path": path})
    visitor = stage.visit(b"question")
    world.settle()
    sock, _ = listener.accept()
    world.stack.callback(sock.close)
    assert sock.recv(100) == b"question"
    sock.send(b"answer")
    stage.hears(visitor, b"answer")
    sock.close()
    visitor.until_end("eof")


def test_a_path_where_nobody_listens_is_named_with_the_reason(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = str(tmp_path / "nobody.sock")
    stage = Stage(world, "unix_domain_socket", {"unix_path": path})
    stage.visit().until_end()
    [line] = [r.getMessage() for r in caplog.records if "refused" in r.getMessage()]
    reason = f"dial unix {path}: connect: no such file or directory"
    assert line == f"local service refused 127.0.0.1:99: {reason}"


def test_without_a_path_the_proxy_does_not_start(world: World) -> None:
    home = Home(world, proxy={"plugin": "unix_domain_socket"})
    session = home.session().accept()
    world.settle()
    assert home.service.table.entries["web"].error == "plugin_unix_path not found"
    session.wire.close()
