"""OpenSSH's client, which has no files of this machine's user in its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.helpers.programs import Program, need_tool, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.stage import Stage

READY = "RemoteAddress: "
OPTIONS = (
    *("-F", "none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "IdentityAgent=none"),
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
    *("-o", "ConnectTimeout=15", "-o", "IdentitiesOnly=yes"),
)


class SshUser:
    """Somebody with OpenSSH in front of a gateway.

    Args:
        stage: ends what is started.
        gateway: its port.
        key: to show; None for none.
    """

    def __init__(self, stage: Stage, gateway: int, key: Path | None = None) -> None:
        self._stage = stage
        self._begin = [need_tool("ssh"), *OPTIONS, "-p", str(gateway)]
        self._begin += ["-i", "/dev/null" if key is None else str(key)]

    def expose(self, port: int, command: str) -> Program:
        """Run ``ssh -R`` for a service at a port of this machine; wait until it is exposed."""
        program = self.start(port, command)
        program.wait_for(READY)
        return program

    def start(self, port: int, command: str) -> Program:
        """Run ``ssh -R`` for a service at a port of this machine."""
        return self._stage.start("ssh", *self._command(port, command))

    def try_to(self, port: int, command: str) -> tuple[int, str]:
        """Run ``ssh -R`` to its end; return the exit status and all that was said."""
        done = run(*self._command(port, command))
        return done.returncode, done.stdout + done.stderr

    def _command(self, port: int, command: str) -> list[str]:
        return [*self._begin, "-R", f":80:127.0.0.1:{port}", "v0@127.0.0.1", *command.split()]


def make_key(folder: Path, comment: str) -> Path:
    """Make a key pair; return the path of the private one."""
    path = folder / f"key_of_{comment or 'nobody'}"
    keygen = need_tool("ssh-keygen")
    done = run(keygen, "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
    assert done.returncode == 0, done.stderr
    return path
