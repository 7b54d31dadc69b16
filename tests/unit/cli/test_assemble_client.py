"""frpd.cli.assemble_client: what stops a start of frpc, what it says, what comes of a run."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from frpd import log
from frpd.cli import assemble_client
from frpd.cli.assemble_client import run_client
from frpd.config.client import ClientConfig, ClientSetup
from tests.helpers.ports import free_port

LOOPBACK = "127.0.0.1"
STATUS = 23


@pytest.fixture(autouse=True)
def _leave_the_process_as_it_is(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(assemble_client, "raise_descriptor_limit", lambda: None)
    monkeypatch.setattr(assemble_client, "forbid_core_dumps", lambda _environ: None)
    yield
    log.close()


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0)) as holder:
        yield int(holder.getsockname()[1])


@pytest.fixture(name="free_port")
def _free_port() -> int:
    return free_port()


def test_frpc_does_not_start_without_its_log_file(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "missing" / "frpc.log"
    assert run_client(ClientSetup(common=ClientConfig(log_file=str(file))), []) == 1
    assert capfd.readouterr().out.startswith(f"log_file: cannot open log file {file}: ")


def test_frpc_gives_up_with_status_1_and_the_bare_reason_last(
    capfd: pytest.CaptureFixture[str], free_port: int
) -> None:
    common = ClientConfig(server_addr=LOOPBACK, server_port=free_port)
    assert run_client(ClientSetup(common=common), []) == 1
    logged, bare = capfd.readouterr().out.splitlines()
    reason = f"dial tcp {LOOPBACK}:{free_port}: connect: connection refused"
    assert logged.endswith(f"login to server failed: {reason}")
    assert bare == reason


def test_frpc_logs_to_the_file_and_prints_only_the_reason(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, free_port: int
) -> None:
    file = tmp_path / "frpc.log"
    common = ClientConfig(server_addr=LOOPBACK, server_port=free_port, log_file=str(file))
    assert run_client(ClientSetup(common=common), ["what a file said"]) == 1
    lines = file.read_text().splitlines()
    assert lines[0].endswith("what a file said")
    assert "[W]" in lines[1]
    assert capfd.readouterr().out.startswith("dial tcp ")
