"""OpenSSH: ``ssh -R`` to an sshd of its own, with keys that live as long as the run."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Final

from bench.tunnel.backends import PATH
from bench.tunnel.kinds.kind import Kind, Task
from bench.tunnel.processes import MeasurementError

_SSHD: Final = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {host_key}
AuthorizedKeysFile {user_key}.pub
PidFile none
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitTTY no
LogLevel ERROR
"""
_OPTIONS: Final = (
    "BatchMode=yes",
    "ExitOnForwardFailure=yes",
    "GlobalKnownHostsFile=none",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "LogLevel=ERROR",
    "StrictHostKeyChecking=yes",
)


def _commands(task: Task) -> tuple[list[str], list[str]]:
    host_key, user_key = _key(task, "host"), _key(task, "user")
    values = {"port": task.ports.bind, "host_key": host_key, "user_key": user_key}
    config = task.write("sshd.conf", _SSHD.format(**values))
    public = Path(f"{host_key}.pub").read_text(encoding="ascii")
    known = task.write("known", f"[127.0.0.1]:{task.ports.bind} {public}")
    # sshd starts itself anew for each connection and wants a full path for that
    server = [_found(task.server[0]), *task.server[1:], "-D", "-e", "-f", config]
    client = [*task.client, "-F", "none", "-N", "-T", "-i", user_key]
    for option in (*_OPTIONS, f"UserKnownHostsFile={known}"):
        client += ["-o", option]
    for _, entrance, service in task.services():
        client += ["-R", f"127.0.0.1:{entrance}:127.0.0.1:{service}"]
    user = pwd.getpwuid(os.getuid()).pw_name
    return server, [*client, "-p", str(task.ports.bind), f"{user}@127.0.0.1"]


def _key(task: Task, whose: str) -> str:
    """Return the path of a key without a passphrase, made once a run."""
    path = task.path(f"{whose}-key")
    if not path.exists():
        command = [_found("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    return str(path)


def _found(program: str) -> str:
    path = shutil.which(program, path=PATH)
    if path is None:
        raise MeasurementError(f"{program} is not installed: openssh-server, openssh-client")
    return os.path.abspath(path)


SSH: Final = Kind(
    about="ssh -R with an sshd of its own: SSHD|SSH, or nothing for those installed",
    programs=("sshd", "ssh"),
    commands=_commands,
    lacks={
        "http": "ssh -R knows no virtual hosts",
        "udp": "ssh -R carries no datagrams",
        "kcp": "ssh does not speak KCP",
        "quic": "ssh does not speak QUIC",
        "use_compression": "ssh compresses a whole session, not a proxy",
        "no mux": "ssh has one connection for all visitors, always",
    },
    note="always encrypts everything",
)
