"""A stage for one scenario: its folder, its processes, and the tunnels between them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, Program, ini

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.helpers.programs import Settings

TOKEN = "e2e token"
WRAPPERS: dict[str, dict[str, object]] = {
    "plain": {},
    "encrypted": {"use_encryption": True},
    "compressed": {"use_compression": True},
    "both": {"use_encryption": True, "use_compression": True},
}
READY = r"(?i)start frps success|frps started successfully"  # in the words of all versions


@dataclass(slots=True)
class Tunnel:
    """frps and frpc with some tcp proxies; ``ports`` are the visitors', by proxy."""

    stage: Stage
    frps: Program
    frpc: Program
    bind_port: int
    ports: dict[str, int]
    server_file: Path
    client_file: Path

    def restart_server(self) -> None:
        """Start frps again after its end, and wait for it."""
        self.frps = self.stage.start("frps", str(BIN / "frps"), "-c", str(self.server_file))
        self.frps.wait_for(READY)

    def restart_client(self) -> None:
        """Start frpc again after its end, and wait for its proxies."""
        self.frpc = self.stage.start("frpc", str(BIN / "frpc"), "-c", str(self.client_file))
        for name in self.ports:
            self.frpc.wait_for(started(name))


def started(name: str) -> str:
    """Return the pattern of the line that says that a proxy is up."""
    return rf"\[{name}\] start proxy success"


class Stage:
    """Starts programs and kills them all at the end.

    Args:
        folder: for the files of the scenario.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file_mode = 0o600  # there is a token in each; a program of another user needs more
        self._programs: list[Program] = []
        self._files = 0

    def start(
        self,
        name: str,
        *command: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Program:
        """Start a program."""
        program = Program(name, command, env=env, cwd=cwd)
        self._programs.append(program)
        return program

    def write(self, sections: Mapping[str, Settings] | str, name: str = "") -> Path:
        """Write an ini file; without a name it has no extension either, as in frp's own tests."""
        self._files += 1
        path = self.folder / (name or f"frp-e2e-{self._files}")
        path.write_text(sections if isinstance(sections, str) else ini(sections))
        path.chmod(self.file_mode)
        return path

    def frps(self, common: Settings, *, folder: Path = BIN) -> Program:
        """Start frps with these settings, and wait until it listens."""
        path = self.write({"common": common})
        program = self.start("frps", str(folder / "frps"), "-c", str(path))
        program.wait_for(READY)
        return program

    def frpc(
        self,
        common: Settings,
        proxies: Mapping[str, Settings],
        *,
        folder: Path = BIN,
        wait_for: Sequence[str] | None = None,
    ) -> Program:
        """Start frpc with these settings, and wait until its proxies are up."""
        path = self.write({"common": common, **proxies})
        program = self.start("frpc", str(folder / "frpc"), "-c", str(path))
        for name in proxies if wait_for is None else wait_for:
            program.wait_for(started(name))
        return program

    def tunnel(
        self,
        services: Mapping[str, int],
        *,
        mux: bool = True,
        server: Settings | None = None,
        client: Settings | None = None,
        proxy: Settings | None = None,
        folders: tuple[Path, Path] = (BIN, BIN),
    ) -> Tunnel:
        """Start both ends with one tcp proxy for each service.

        Args:
            services: local port by proxy name.
            mux: tcp_mux of both ends.
            server: more settings for [common] of frps.
            client: more settings for [common] of frpc.
            proxy: more settings for each proxy.
            folders: of frps and of frpc.
        """
        bind_port = free_port()
        ports = {name: free_port() for name in services}
        both = {"token": TOKEN, "tcp_mux": mux}
        server_file = self.write(
            {"common": {"bind_addr": "127.0.0.1", "bind_port": bind_port, **both, **(server or {})}}
        )
        client_common = {"server_addr": "127.0.0.1", "server_port": bind_port, **both}
        client_file = self.write(
            {
                "common": {**client_common, **(client or {})},
                **{
                    name: {**tcp(local_port, ports[name]), **(proxy or {})}
                    for name, local_port in services.items()
                },
            }
        )
        frps = self.start("frps", str(folders[0] / "frps"), "-c", str(server_file))
        frps.wait_for(READY)
        frpc = self.start("frpc", str(folders[1] / "frpc"), "-c", str(client_file))
        for name in services:
            frpc.wait_for(started(name))
        return Tunnel(self, frps, frpc, bind_port, ports, server_file, client_file)

    def close(self) -> None:
        """Kill whatever still runs; print what each program said, for pytest to show on failure."""
        for program in reversed(self._programs):
            program.kill()
            head = f"--- {program.name} (pid {program.pid}), status {program.process.returncode}"
            sys.stdout.write("\n".join([head, *program.lines[-60:], ""]))
        self._programs.clear()


def tcp(local_port: int, remote_port: int) -> dict[str, object]:
    """Return the settings of a tcp proxy."""
    return {
        "type": "tcp",
        "local_ip": "127.0.0.1",
        "local_port": local_port,
        "remote_port": remote_port,
    }
