from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.tunnel.backends import PATH
from bench.tunnel.kinds.ssh import SSH
from bench.tunnel.processes import MeasurementError
from tests.unit.bench.tunnel.kinds.tasks import task

HERE = all(shutil.which(name, path=PATH) for name in ("sshd", "ssh-keygen"))


@pytest.mark.skipif(not HERE, reason="needs OpenSSH's server")
def test_keys_and_known_hosts_are_its_own(tmp_path: Path) -> None:
    server, client = SSH.commands(task("it=ssh:", tmp_path))
    assert Path(server[0]).is_absolute()
    config = Path(server[-1]).read_text()
    assert f"HostKey {tmp_path}/it-host-key\n" in config
    assert f"AuthorizedKeysFile {tmp_path}/it-user-key.pub\n" in config
    assert client[:3] == ["ssh", "-F", "none"]
    assert f"UserKnownHostsFile={tmp_path}/it-known" in client
    assert (tmp_path / "it-known").read_text().startswith("[127.0.0.1]:1 ssh-ed25519 ")
    assert [word for word in client if word.endswith(":127.0.0.1:3")] == [
        "127.0.0.1:7:127.0.0.1:3",
        "127.0.0.1:8:127.0.0.1:3",
    ]


def test_a_missing_program_is_named_with_its_package(tmp_path: Path) -> None:
    (tmp_path / "it-host-key").touch()
    (tmp_path / "it-host-key.pub").touch()
    (tmp_path / "it-user-key").touch()
    with pytest.raises(MeasurementError, match="no-such-sshd is not installed: openssh-server"):
        SSH.commands(task("it=ssh:no-such-sshd|ssh", tmp_path))
