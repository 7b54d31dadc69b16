"""What frpd-ctl asks is answered by whole programs on the test's thread, without any socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from frpd.admin import control_socket
from frpd.admin.reload import Reload
from frpd.cli.admin_client import Answer, Target
from frpd.cli.ctl import daemons, program
from frpd.errors import TransportError
from tests.helpers.world import World
from tests.unit.admin.frpc.desk import Desk as ClientDesk
from tests.unit.admin.frps.desk import Desk as ServerDesk

Respond = Callable[[str, str, object], Answer]
"""Answers a method, a path and a body."""


class Done(NamedTuple):
    """What a command has left."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[list[str]]:
        """What people read, in words."""
        return [line.split() for line in self.out.splitlines()]


class Scene:
    """The folder of control sockets, and who answers behind them."""

    def __init__(
        self,
        world: World,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.folder = folder
        self.behind: dict[str, Respond] = {}
        self.errors: dict[str, OSError] = {}
        self._world = world
        self._capsys = capsys
        monkeypatch.setattr(control_socket, "RUN_FOLDER", str(folder))
        monkeypatch.setattr(daemons, "call", self._call)

    def frps(self, *, reload: Reload | None = None, **keys: Any) -> ServerDesk:
        """Have a server at ``frps.sock``."""
        desk = ServerDesk(self._world, reload=reload, **keys)
        self.put("frps.sock", _ask(desk.call))
        return desk

    def frpc(self, **keys: Any) -> ClientDesk:
        """Have a client at ``frpc.sock``."""
        desk = ClientDesk(self._world, **keys)
        self.put("frpc.sock", _ask(desk.call))
        return desk

    def put(self, name: str, respond: Respond) -> str:
        """Have somebody answer at a control socket; return its path."""
        path = self.folder / name
        path.touch()
        self.behind[str(path)] = respond
        return str(path)

    def fail(self, where: str, error: OSError) -> None:
        """Have a target fail."""
        self.errors[where] = error

    def __call__(self, *typed: str) -> Done:
        """Run frpd-ctl."""
        try:
            status = program.main(typed)
        except SystemExit as ending:
            status = int(str(ending.code))
        out, err = self._capsys.readouterr()
        return Done(status, out, err)

    def _call(
        self, target: Target, method: str, path: str, *, body: object = None, seconds: float
    ) -> Answer:
        assert seconds > 0
        respond = self.behind.get(target.where)
        if respond is None:
            refused = ConnectionRefusedError(111, "Connection refused")
            error = self.errors.get(target.where, refused)
            raise TransportError(str(error)) from error
        return respond(method, path, body)


def _ask(caller: Callable[..., Any]) -> Respond:
    def respond(method: str, path: str, body: object) -> Answer:
        response = caller(method, path, body)
        return Answer(response.status, response.body)

    return respond


def answering(value: object, status: int = 200) -> Respond:
    """Return somebody who answers the same to everything."""
    return lambda _method, _path, _body: Answer(status, json.dumps(value).encode())
