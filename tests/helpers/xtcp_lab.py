"""OpenSSH from one end of a NAT lab to the other: by an xtcp hole, and by the server."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.helpers.nat_lab import SERVER, SERVER_TOO, LabStage, NatLab
from tests.helpers.programs import BIN, Program, need_tool, wait_until
from tests.helpers.services import Sshd, start_sshd

if TYPE_CHECKING:
    from tests.helpers.programs import Settings

ROOT = Path(__file__).parents[2]
PYTHON = str(BIN / "python")
BIND_PORT, UDP_PORT, STUN_PORT, BY_SERVER, BY_HOLE = 7000, 7001, 3478, 9001, 9002
SK = "lab sk"
PUNCHED_SECONDS = 60.0  # a thousand ports take twenty seconds, one after the other
STUN = f"{SERVER}:{STUN_PORT}"


class Cast:
    """sshd and its owner on host a, a visitor on host b, frps and a STUN server between.

    Args:
        stage: closed by the caller.
        direct: of the xtcp visitor.
        folders: of the owner's frpc and of the visitor's.
    """

    def __init__(self, stage: LabStage, direct: Settings, folders: tuple[Path, Path]) -> None:
        self.stage = stage
        common = {"token": "lab"}
        addresses = (STUN, f"{SERVER_TOO}:{STUN_PORT}")
        stun = self.stage.start(
            "stun", PYTHON, "-m", "tests.helpers.stun_server", *addresses, cwd=ROOT
        )
        stun.wait_for("ready")
        self.frps = self.stage.frps(
            {
                "bind_addr": SERVER,
                "bind_port": BIND_PORT,
                "bind_udp_port": UDP_PORT,
                **common,
            }
        )
        self._client = {
            "server_addr": SERVER,
            "server_port": BIND_PORT,
            "nat_hole_stun_server": STUN,
            "tls_enable": False,
            **common,
        }
        self.stage.on = "a"
        self.sshd: Sshd = start_sshd(self.stage)
        local = {"local_ip": "127.0.0.1", "local_port": self.sshd.port, "sk": SK}
        proxies = {
            "by_server": {**local, "type": "stcp"},
            "by_hole": {**local, "type": "xtcp"},
        }
        self.owner = self._frpc(proxies, folders[0])
        for name in proxies:
            self.owner.wait_for(rf"\[{name}\] start proxy success")
        self.stage.on = "b"
        self.visitor = self._frpc(_visitors(direct), folders[1])
        wait_until(lambda: self.visitor.count("start visitor success") == 2, "both visitors")

    def _frpc(self, sections: dict[str, dict[str, object]], folder: Path) -> Program:
        return self.stage.frpc(self._client, sections, folder=folder, wait_for=())

    def ssh(self, port: int) -> str:
        """Log in from host b; return what the far end printed, or what is in the way."""
        words = [need_tool("ssh"), "-o", "ConnectTimeout=25", *self.sshd.options("-p", port)]
        login = f"{self.sshd.user}@127.0.0.1"
        done = subprocess.run(
            self.stage.lab.command("b", *words, login, "echo it is $(id -un)"),
            capture_output=True,
            text=True,
            timeout=PUNCHED_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return done.stdout or done.stderr

    def logs_in(self, port: int) -> bool:
        """Whether ssh gets through."""
        return self.ssh(port) == f"it is {self.sshd.user}\n"


def _visitors(direct: Settings) -> dict[str, dict[str, object]]:
    visitor: Settings = {"role": "visitor", "sk": SK, "bind_addr": "127.0.0.1"}
    return {
        "relayed": {
            **visitor,
            "type": "stcp",
            "server_name": "by_server",
            "bind_port": BY_SERVER,
        },
        "direct": {
            **visitor,
            "type": "xtcp",
            "server_name": "by_hole",
            "bind_port": BY_HOLE,
            **direct,
        },
    }


def finds_its_way(
    folder: Path,
    pair: tuple[str, str],
    direct: Settings,
    folders: tuple[Path, Path] = (BIN, BIN),
    said: str = "",
) -> None:
    """Assert that ssh logs in by the xtcp visitor.

    Args:
        folder: for the files of the scenario.
        pair: kinds of NAT of the owner and of the visitor.
        direct: of the xtcp visitor.
        folders: of the owner's frpc and of the visitor's.
        said: a pattern of what is then in the visitor's log, or soon will be.
    """
    with NatLab(*pair) as lab:
        stage = LabStage(folder, lab)
        try:
            cast = Cast(stage, direct, folders)
            wait_until(lambda: cast.logs_in(BY_HOLE), "ssh gets through", PUNCHED_SECONDS)
            if said:
                cast.visitor.wait_for(said, PUNCHED_SECONDS)
        finally:
            stage.close()
