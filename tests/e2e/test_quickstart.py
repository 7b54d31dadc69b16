"""The demo behind ./quickstart, as its users meet it: it works, stops cleanly, refuses clearly."""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "-m", "frpd.cli.demo"]
PORTS = 4


@pytest.fixture
def ports() -> list[int]:
    """Ports that were free a moment ago: bind, ssh, web, page."""
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(PORTS)
        ]
        return [sock.getsockname()[1] for sock in sockets]


@pytest.fixture
def etc(tmp_path: Path, ports: list[int]) -> Path:
    """The shipped ini files on ports of our own, in a folder with a blank in its name."""
    folder = tmp_path / "etc frp"
    folder.mkdir()
    bind, ssh, web, page = ports
    (folder / "frps.ini").write_text(f"[common]\nbind_port = {bind}\n")
    (folder / "frpc.ini").write_text(
        f"[common]\nserver_addr = 127.0.0.1\nserver_port = {bind}\n"
        f"[ssh]\ntype = tcp\nlocal_port = 22\nremote_port = {ssh}\n"
        f"[web]\ntype = tcp\nlocal_port = {page}\nremote_port = {web}\n"
    )
    return folder


@contextlib.contextmanager
def running(etc: Path) -> Iterator[subprocess.Popen[str]]:
    """The demo, past the point where it invites to open the page."""
    with subprocess.Popen(
        [*DEMO, "--etc", str(etc)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(f"{text!r} never came:\n{said}")


def refused(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


def test_once_proves_the_tunnel_and_leaves_nothing(etc: Path, ports: list[int]) -> None:
    done = subprocess.run(
        [*DEMO, "--once", "--etc", str(etc)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(rf"web +127.0.0.1:{ports[2]} +127.0.0.1:{ports[3]} +answers, in", done.stdout)
    assert re.search(rf"ssh +127.0.0.1:{ports[1]} +127.0.0.1:22 +open", done.stdout)
    assert f"Open http://127.0.0.1:{ports[2]}/" in done.stdout
    assert [port for port in ports if not refused(port)] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_page_answers_until_a_signal_stops_all_of_it(
    etc: Path, ports: list[int], number: signal.Signals
) -> None:
    with running(etc) as process:
        said = read_until(process, "Ctrl-C stops everything")
        pids = [
            int(pid) for pid in re.findall(r"^  (?:web page|frp[sc]) +(\d+)", said, re.MULTILINE)
        ]
        connection = http.client.HTTPConnection("127.0.0.1", ports[2], timeout=5)
        connection.request("GET", "/")
        assert b"It works" in connection.getresponse().read()
        connection.close()
        sockets = [sock for sock in psutil.net_connections("tcp") if sock.pid in pids]
        listening = {
            next(iter(sock.laddr)) for sock in sockets if sock.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}
        process.send_signal(number)
        read_until(process, "==> stopped")
        assert process.wait(10) == 0
    assert len(pids) == 3
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert [port for port in ports if not refused(port)] == []


def test_a_part_that_dies_is_named_and_the_rest_is_stopped(etc: Path, ports: list[int]) -> None:
    with running(etc) as process:
        said = read_until(process, "Ctrl-C stops everything")
        pid = re.search(r"^  frpc +(\d+)", said, re.MULTILINE)
        assert pid is not None
        subprocess.run(["kill", "-9", pid.group(1)], check=True)
        assert "frpc ended with status -9" in read_until(process, "frpc ended")
        assert process.wait(10) == 1
    assert [port for port in ports if not refused(port)] == []


def test_a_taken_port_is_told_before_anything_starts(etc: Path, ports: list[int]) -> None:
    with socket.create_server(("127.0.0.1", ports[0])):
        done = subprocess.run(
            [*DEMO, "--once", "--etc", str(etc)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"port {ports[0]} (bind_port in {etc}/frps.ini) is taken by " in done.stderr


def test_the_shipped_files_hold_what_the_demo_needs() -> None:
    code = (
        "from pathlib import Path; from frpd.cli.demo import make_plan;"
        "print(make_plan(Path('etc/frp')).url)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith("http://127.0.0.1:")
