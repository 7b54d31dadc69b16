"""One frpc for each file of a folder: ``frpc --config_dir``."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, ini, wait_until
from tests.helpers.stage import started, tcp
from tests.helpers.visitors import echoes, exchange, refuses, visit, wait_for_echo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.programs import Program
    from tests.helpers.stage import Stage


class Folder:
    """A folder of files, and the frps that they are for."""

    def __init__(self, stage: Stage, echo_port: int) -> None:
        self._stage = stage
        self._echo_port = echo_port
        self._bind_port = free_port()
        self.path = stage.folder / "conf.d"
        self.ports: list[int] = []
        stage.frps({"bind_addr": "127.0.0.1", "bind_port": self._bind_port})
        for name in ("a.ini", "sub/b"):  # as in frp, whatever it is called
            self.ports.append(free_port())
            self.write(name, self.ports[-1])

    def write(self, name: str, port: int) -> Path:
        """Write the file of a client with one proxy, ``p-NAME``."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        common = {"server_addr": "127.0.0.1", "server_port": self._bind_port, "user": path.stem}
        proxy = {f"p-{path.stem}": tcp(self._echo_port, port)}
        path.write_text(ini({"common": common, **proxy}))
        return path

    def start(self) -> Program:
        """Start frpc, and wait for the proxies of the good files."""
        frpc = self._stage.start("frpc", str(BIN / "frpc"), "--config_dir", str(self.path))
        for name in ("p-a", "p-b"):
            frpc.wait_for(started(name))
        return frpc


@pytest.fixture
def folder(stage: Stage, echo_port: int) -> Folder:
    return Folder(stage, echo_port)


def test_every_file_is_run_and_read_again_and_a_bad_one_stops_no_other(folder: Folder) -> None:
    bad = folder.path / "bad.ini"
    bad.write_text("[common]\nprotocol = smoke\n")
    frpc = folder.start()
    frpc.wait_for(rf"^frpc service error for config file \[{bad}\]$")
    assert frpc.count(rf"^{bad}:2 \[common\] protocol: 'smoke' cannot be used")
    old_port, port = folder.ports
    with visit(port) as visitor:
        assert exchange(visitor, b"before") == b"before"
        new_port = free_port()
        folder.write("a.ini", new_port)
        frpc.signal(signal.SIGHUP)
        wait_for_echo(new_port)
        assert refuses(old_port)
        assert exchange(visitor, b"after") == b"after"
    assert frpc.terminate() == 1  # since there was a bad one
    wait_until(lambda: refuses(port) and refuses(new_port), "both have left")


def test_all_end_with_the_one_that_was_started(folder: Folder) -> None:
    frpc = folder.start()
    assert all(echoes(port) for port in folder.ports)
    frpc.kill()
    wait_until(lambda: all(refuses(port) for port in folder.ports), "nobody has stayed")
    frpc = folder.start()
    frpc.signal(signal.SIGINT)
    assert frpc.wait() == 0
    assert "Traceback" not in frpc.output
