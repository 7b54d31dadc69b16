"""--daemon: a parent that tells the truth, a daemon that has let go of everything."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port, is_free
from tests.helpers.programs import BIN, SECONDS, ini, run, wait_until
from tests.helpers.visitors import echoes, refuses

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.helpers.programs import Settings

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root")


class Daemons:
    """Starts daemons, each with an ini, a log and a pid file of its name; kills what is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: set[str] = set()

    def command(
        self, program: str, name: str, common: Settings, proxies: Mapping[str, Settings]
    ) -> list[str]:
        self._names.add(name)
        sections = {"common": {"log_file": self.file(name, "log"), **common}, **proxies}
        self.file(name, "ini").write_text(ini(sections))
        files = ["--pid_file", str(self.file(name, "pid")), "-c", str(self.file(name, "ini"))]
        return [str(BIN / program), "--daemon", *files]

    def start(
        self,
        program: str,
        common: Settings,
        proxies: Mapping[str, Settings] | None = None,
        *flags: str,
        name: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end, with an empty environment."""
        return run(*self.command(program, name or program, common, proxies or {}), *flags)

    def file(self, name: str, suffix: str) -> Path:
        return self.folder / f"{name}.{suffix}"

    def pid(self, name: str) -> int:
        return int(self.file(name, "pid").read_text())

    def log(self, name: str) -> str:
        return self.file(name, "log").read_text()

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        pid = self.pid(name)
        os.kill(pid, how)
        wait_until(lambda: not is_running(pid), f"{name} ends")

    def close(self) -> None:
        for name in self._names:
            if self.file(name, "pid").exists() and self.file(name, "pid").read_text():
                pid = self.pid(name)
                if is_running(pid) and self.folder.name in Path(f"/proc/{pid}/cmdline").read_text():
                    os.kill(pid, signal.SIGKILL)


def is_running(pid: int) -> bool:
    """Tell whether the process lives; one that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def descriptors(pid: int) -> dict[int, str]:
    folder = Path(f"/proc/{pid}/fd")
    opened = {}
    for number in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            opened[int(number)] = os.readlink(folder / number)
    return opened


def kinds(pid: int) -> list[str]:
    return sorted(target.split(":")[0] for target in descriptors(pid).values())


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    daemons = Daemons(tmp_path)
    yield daemons
    daemons.close()


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that other users can reach, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="frpd-e2e-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def server(port: int) -> dict[str, object]:
    return {"bind_addr": "127.0.0.1", "bind_port": port, "token": "secret"}


def client(port: int, **more: object) -> dict[str, object]:
    return {"server_addr": "127.0.0.1", "server_port": port, "token": "secret", **more}


def test_both_ends_serve_when_their_command_has_returned(daemons: Daemons, echo_port: int) -> None:
    port, visitors = free_port(), free_port()
    started = daemons.start("frps", server(port))
    assert (started.returncode, started.stdout, started.stderr) == (0, "", "")
    assert not is_free(port)
    proxy = {"web": {"local_port": echo_port, "remote_port": visitors}}
    assert daemons.start("frpc", client(port), proxy).returncode == 0
    assert "login to server success" in daemons.log("frpc")
    wait_until(lambda: "[web] start proxy success" in daemons.log("frpc"), "the proxy is up")
    assert echoes(visitors)
    for name in ("frpc", "frps"):
        daemons.stop(name)
        assert not daemons.file(name, "pid").exists()
        assert daemons.log(name).endswith("stopping\n")
    assert is_free(port)


def test_it_has_let_go_of_terminal_folder_streams_and_descriptors(daemons: Daemons) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    command = daemons.command("frps", "frps", server(free_port()), {})
    with subprocess.Popen(command, pass_fds=[writing], cwd=daemons.folder, env={}) as parent:
        assert parent.wait(SECONDS) == 0
    os.close(writing)
    with open(reading, "rb") as inherited:
        assert inherited.read() == b"", "the daemon still holds a pipe of its parent"
    pid = daemons.pid("frps")
    session, terminal = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[3:5]
    assert int(terminal) == 0
    assert int(session) != pid, "a session leader could get a terminal again"
    assert not is_running(int(session))
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert status(pid)["Umask"] == "0027"
    files = [str(daemons.file("frps", suffix)) for suffix in ("log", "pid")]
    # The port, the two ends of the loop's signal socket, epoll and its alarm.
    expected = sorted([*["/dev/null"] * 3, *files, *["socket"] * 3, *["anon_inode"] * 2])
    wait_until(lambda: kinds(pid) == expected, "only what it needs is open")  # a file read is over
    opened = descriptors(pid)
    assert [opened[number] for number in range(3)] == ["/dev/null"] * 3


def test_it_starts_with_its_standard_streams_closed(daemons: Daemons) -> None:
    port = free_port()
    command = daemons.command("frps", "frps", server(port), {})
    shell = ["/bin/sh", "-c", '"$@" <&- >&- 2>&-', "sh", *command]
    assert run(*shell).returncode == 0
    assert not refuses(port)
    opened = descriptors(daemons.pid("frps"))
    assert [opened[number] for number in range(3)] == ["/dev/null"] * 3


def test_a_taken_port_is_the_error_of_the_command(daemons: Daemons) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        started = daemons.start("frps", server(port))
    assert started.returncode == 1
    assert started.stdout.startswith(
        f"create server listener error, listen tcp 127.0.0.1:{port}: bind: address already in use"
    )
    assert not daemons.file("frps", "pid").exists()


def test_a_second_instance_is_refused_and_the_first_one_named(daemons: Daemons) -> None:
    port = free_port()
    assert daemons.start("frps", server(port)).returncode == 0
    first = daemons.pid("frps")
    second = daemons.start("frps", server(free_port()))
    assert second.returncode == 1
    path = daemons.file("frps", "pid")
    assert second.stdout == f"--pid_file: {path} is held by frps (pid {first}), which runs\n"
    assert daemons.pid("frps") == first
    assert not refuses(port)


def test_the_pid_file_of_a_killed_daemon_is_taken_over(daemons: Daemons) -> None:
    port = free_port()
    assert daemons.start("frps", server(port)).returncode == 0
    killed = daemons.pid("frps")
    daemons.stop("frps", signal.SIGKILL)
    assert daemons.pid("frps") == killed
    assert daemons.start("frps", server(port)).returncode == 0
    assert daemons.pid("frps") != killed


def test_a_first_login_that_is_refused_is_the_error_of_the_command(daemons: Daemons) -> None:
    port = free_port()
    assert daemons.start("frps", server(port)).returncode == 0
    refused = daemons.start("frpc", client(port, token="wrong"))
    assert (refused.returncode, refused.stdout) == (1, "authorization failed\n")
    assert not daemons.file("frpc", "pid").exists()
    nobody_there = daemons.start("frpc", client(free_port()))
    assert nobody_there.returncode == 1
    assert "connect: connection refused" in nobody_there.stdout


def test_nobody_waits_for_a_login_that_may_come_later(daemons: Daemons) -> None:
    port = free_port()
    assert daemons.start("frpc", client(port, login_fail_exit=False)).returncode == 0
    assert is_running(daemons.pid("frpc"))
    assert daemons.start("frps", server(port)).returncode == 0
    wait_until(lambda: "login to server success" in daemons.log("frpc"), "frpc logs in")


def test_a_log_on_the_console_is_refused(daemons: Daemons) -> None:
    started = daemons.start("frps", {**server(free_port()), "log_file": "console"})
    assert started.returncode == 1
    assert started.stdout.startswith("[common] log_file: --daemon has no console")


@AS_ROOT
def test_root_is_given_up_and_a_low_port_stays(public_folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(public_folder, nobody.pw_uid, nobody.pw_gid)
    daemons = Daemons(public_folder)
    port = next(port for port in range(1023, 600, -1) if is_free(port))
    try:
        started = daemons.start("frps", server(port), None, "--user", "nobody")
        assert (started.returncode, started.stdout) == (0, "")
        of_the_daemon = status(daemons.pid("frps"))
        assert of_the_daemon["Uid"].split() == [str(nobody.pw_uid)] * 4
        assert of_the_daemon["Gid"].split() == [str(nobody.pw_gid)] * 4
        assert set(of_the_daemon["Groups"].split()) <= {str(nobody.pw_gid)}
        assert int(of_the_daemon["CapEff"], 16) == int(of_the_daemon["CapPrm"], 16) == 0
        assert not refuses(port)
        assert daemons.file("frps", "log").stat().st_uid == nobody.pw_uid
        daemons.stop("frps")
        assert not daemons.file("frps", "pid").exists()
    finally:
        daemons.close()


@AS_ROOT
def test_a_log_file_that_the_new_user_may_not_write_stops_the_start(public_folder: Path) -> None:
    daemons = Daemons(public_folder)
    port = free_port()
    started = daemons.start("frps", server(port), None, "--user", "nobody")
    assert started.returncode == 1
    assert "log_file: cannot open log file" in started.stdout
    assert is_free(port)


def test_what_belongs_to_a_daemon_is_an_error_without_it() -> None:
    started = run(str(BIN / "frps"), "--user", "nobody")
    assert started.returncode == 1
    assert started.stderr.startswith("Error: --user works only with --daemon\n")
