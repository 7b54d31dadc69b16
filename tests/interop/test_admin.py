"""frpc's commands across implementations: Go's against our admin port, ours against Go's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, Program, ini, run
from tests.helpers.stage import Stage, started, tcp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers.peers_go import GoPeer


class Scene:
    """Our frps, and a frpc with an admin port: one proxy runs, another one will be refused."""

    def __init__(self, stage: Stage, echo_port: int) -> None:
        self.stage = stage
        self.echo_port = echo_port
        self.bind_port = free_port()
        common = {"bind_addr": "127.0.0.1", "bind_port": self.bind_port}
        stage.frps(common | {"allow_ports": "10000-19999"})

    def frpc(self, folder: Path, settings: dict[str, object]) -> Frpc:
        common = {"server_addr": "127.0.0.1", "server_port": self.bind_port, **settings}
        return Frpc(self, folder, common)


class Frpc:
    """A frpc that runs, and the files of those who ask it."""

    def __init__(self, scene: Scene, folder: Path, common: dict[str, object]) -> None:
        self.port = free_port()
        admin: dict[str, object] = {"admin_port": free_port(), "admin_user": "ops"}
        web, bad = tcp(scene.echo_port, self.port), tcp(scene.echo_port, 999)
        self.name = f"web{self.port}"
        good = {"common": {**common, **admin, "admin_pwd": "pw"}, self.name: web}
        self._good, self._refused = ini(good), ini({**good, f"bad{self.port}": bad})
        self._broken = self._good + "\n[broken]\ntype = nothing\n"
        self.file = scene.stage.write(self._good)
        self.right = str(scene.stage.write(self._good))
        self.wrong = str(scene.stage.write(self._good.replace("= pw", "= nope")))
        self.program: Program = scene.stage.start(
            "frpc", str(folder / "frpc"), "-c", str(self.file)
        )
        self.program.wait_for(started(self.name))

    def answers(self, asks: Path, other: Path) -> None:
        """Have a frpc's commands ask, and compare with another's."""
        self.file.write_text(self._refused)
        assert self.tell(asks, "reload") == (0, "reload success\n")
        self.program.wait_for(rf"\[bad{self.port}\] start error: port not allowed")
        status, table = self.tell(asks, "status")
        assert status == 0
        assert lines(table) == lines(self.tell(other, "status")[1])
        self.check_table(lines(table))
        self.file.write_text(self._broken)
        status, said = self.tell(asks, "reload")
        assert status == 1
        assert "success" not in said
        assert lines(self.tell(asks, "status")[1]) == lines(table)
        self.file.write_text(self._good)
        assert self.tell(asks, "reload")[0] == 0
        status, said = self.tell(asks, "status", self.wrong)
        assert status == 1
        assert "401" in said

    def check_table(self, table: list[str]) -> None:
        head, kind, names, bad, web = table
        assert (head, kind) == ("Proxy Status...", "TCP")
        assert names.split() == ["Name", "Status", "LocalAddr", "Plugin", "RemoteAddr", "Error"]
        assert re.match(r"bad\d+ +start error +127.0.0.1:\d+ .* port not allowed", bad)
        assert re.match(rf"web\d+ +running .* 127.0.0.1:{self.port} ", web)

    def tell(self, program: Path, command: str, file: str = "") -> tuple[int, str]:
        done = run(str(program), command, "-c", file or self.right)
        return done.returncode, done.stdout


def lines(table: str) -> list[str]:
    """Return the lines of a status; newer ones have an empty line below the title."""
    return [line for line in table.splitlines() if line]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, echo_port: int) -> Iterator[Scene]:
    stage = Stage(tmp_path_factory.mktemp("admin"))
    yield Scene(stage, echo_port)
    stage.close()


@pytest.fixture(scope="module")
def ours(scene: Scene) -> Frpc:
    return scene.frpc(BIN, {})


def test_go_asks_ours(peer: GoPeer, ours: Frpc) -> None:
    ours.answers(peer.folder / "frpc", BIN / "frpc")


def test_ours_asks_go(peer: GoPeer, scene: Scene) -> None:
    go = scene.frpc(peer.folder, peer.client_settings("frpc"))
    go.answers(BIN / "frpc", peer.folder / "frpc")
    if peer.number >= (0, 51):  # stop came with it
        assert go.tell(BIN / "frpc", "stop") == (0, "stop success\n")
        assert go.program.wait() == 0
    else:
        assert go.tell(BIN / "frpc", "stop")[0] == 1
        go.program.kill()


def test_go_stops_ours(peer: GoPeer, scene: Scene) -> None:
    if peer.number < (0, 51):
        pytest.skip("stop came with 0.51")
    one = scene.frpc(BIN, {})
    assert one.tell(peer.folder / "frpc", "stop") == (0, "stop success\n")
    assert one.program.wait() == 0
