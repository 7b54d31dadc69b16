"""A real OpenSSH server behind the tunnel: log in, and copy files with equal checksums."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.helpers.loads import checksum, make_file, scp, ssh
from tests.helpers.modes import MODES
from tests.helpers.services import Sshd, start_sshd
from tests.helpers.stage import WRAPPERS, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    stage = Stage(tmp_path_factory.mktemp("sshd"))
    try:
        yield start_sshd(stage)
    finally:
        stage.close()


def test_ssh_logs_in_and_scp_copies_both_ways(sshd: Sshd, stage: Stage) -> None:
    tunnel = stage.tunnel({"ssh": sshd.port}, proxy=WRAPPERS["both"])
    port = tunnel.ports["ssh"]
    assert ssh(sshd, port, "echo logged in as $(id -un)") == f"logged in as {sshd.user}\n"
    source = make_file(stage.folder / "source", 8)
    there, back = stage.folder / "there", stage.folder / "back"
    scp(sshd, port, str(source), f"{sshd.user}@127.0.0.1:{there}")
    scp(sshd, port, f"{sshd.user}@127.0.0.1:{there}", str(back))
    assert checksum(source) == checksum(there) == checksum(back)


@pytest.fixture(scope="module")
def gibibyte(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    path = make_file(tmp_path_factory.mktemp("gibibyte") / "source", 1024)
    yield path, checksum(path)
    path.unlink()


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("wrapper", WRAPPERS)
@MODES
def test_scp_moves_a_gibibyte(  # noqa: PLR0917 - fixtures come by name
    sshd: Sshd,
    stage: Stage,
    gibibyte: tuple[Path, str],
    mux: bool,
    wrapper: str,
    record_property: Record,
) -> None:
    source, digest = gibibyte
    tunnel = stage.tunnel({"ssh": sshd.port}, mux=mux, proxy=WRAPPERS[wrapper])
    port, copy = tunnel.ports["ssh"], stage.folder / "copy"
    assert ssh(sshd, port, "echo hello") == "hello\n"
    begun = time.monotonic()
    scp(sshd, port, f"{sshd.user}@127.0.0.1:{source}", str(copy))
    record_property("seconds", round(time.monotonic() - begun, 1))
    assert checksum(copy) == digest
    copy.unlink()
