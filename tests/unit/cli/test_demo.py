"""frpd.cli.demo: what it reads, what it refuses, and that it leaves nothing running."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from frpd.cli import demo
from frpd.cli.demo import Child, DemoError, Stage, check_ports, make_plan, status_table
from frpd.config.load_server import load_server
from frpd.errors import ConfigError

SLEEPER = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)"]
IGNORE = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
STUBBORN = [sys.executable, "-c", IGNORE + SLEEPER[2]]


def write_etc(
    folder: Path, *, bind: int = 7000, client: str = "", server: int = 7000, proxies: str = ""
) -> Path:
    (folder / "frps.ini").write_text(f"[common]\nbind_port = {bind}\n")
    common = f"[common]\nserver_port = {server}\n{client}\n"
    (folder / "frpc.ini").write_text(common + (proxies or WEB.format(remote=6001, local=8000)))
    return folder


WEB = "[web]\ntype = tcp\nlocal_port = {local}\nremote_port = {remote}\n"
SSH = "[ssh]\ntype = tcp\nlocal_port = 22\nremote_port = {remote}\n"


def said(child: Child, text: str) -> bool:
    return text in child.output.read_text()


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_the_plan_comes_from_the_two_files(tmp_path: Path) -> None:
    proxies = SSH.format(remote=6000) + WEB.format(remote=6001, local=8000)
    plan = make_plan(write_etc(tmp_path, proxies=proxies))
    assert plan.server_port == 7000
    assert (plan.page.local_port, plan.page.remote_port) == (8000, 6001)
    assert [proxy.name for proxy in plan.others] == ["ssh"]
    assert plan.url == "http://127.0.0.1:6001/"


def test_a_user_prefix_does_not_hide_the_web_section(tmp_path: Path) -> None:
    plan = make_plan(write_etc(tmp_path, client="user = me"))
    assert plan.page.name == "me.web"


@pytest.mark.parametrize(
    ("etc", "reason"),
    [
        ({"proxies": SSH.format(remote=6000)}, r"frpc\.ini has no section \[web\]"),
        ({"proxies": WEB.replace("tcp", "udp").format(remote=1, local=2)}, "of type tcp"),
        ({"bind": 7001}, r"says server_port = 7000, but .*frps\.ini says bind_port = 7001"),
        ({"client": "server_addr = 192.0.2.1"}, "names the server 192.0.2.1"),
    ],
)
def test_files_that_make_no_demo_are_refused_with_the_reason(
    tmp_path: Path, etc: dict[str, str], reason: str
) -> None:
    with pytest.raises(DemoError, match=reason):
        make_plan(write_etc(tmp_path, **etc))  # type: ignore[arg-type]  # ports among them


@pytest.mark.parametrize(
    ("lines", "exposed"),
    [
        ("", True),
        ("bind_addr = 127.0.0.1\nproxy_bind_addr = 127.0.0.1\n", False),
        ("bind_addr = 127.0.0.1\nproxy_bind_addr = 0.0.0.0\n", True),
        ("bind_addr = ::\n", True),
    ],
)
def test_a_server_that_listens_beyond_loopback_is_moved_there(
    tmp_path: Path, lines: str, exposed: bool
) -> None:
    etc = write_etc(tmp_path)
    server_ini = etc / "frps.ini"
    server_ini.write_text(f"# sample\n[common]\nbind_port = 7000\ntoken = a=b\n{lines}")
    plan = make_plan(etc)
    assert plan.exposed is exposed
    server_ini.write_text(demo.on_loopback(server_ini.read_text()))
    moved = load_server(str(server_ini)).value
    assert (moved.bind_addr, moved.proxy_bind_addr) == ("127.0.0.1", "127.0.0.1")
    assert (moved.bind_port, moved.token.reveal()) == (7000, "a=b")


def test_a_section_head_at_the_end_of_the_file_is_found_too() -> None:
    text = demo.on_loopback("[common]")
    assert text == "[common]\nbind_addr = 127.0.0.1\nproxy_bind_addr = 127.0.0.1\n"


def test_missing_files_are_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"frps\.ini"):
        make_plan(tmp_path)


def test_taken_ports_are_all_named_with_what_they_are_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("", 0)) as two:
        bind, remote = one.getsockname()[1], two.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as free:
            local = free.getsockname()[1]
        proxies = WEB.format(remote=remote, local=local)
        plan = make_plan(write_etc(tmp_path, bind=bind, server=bind, proxies=proxies))
        with pytest.raises(DemoError) as caught:
            check_ports(plan)
    text = str(caught.value)
    assert f"port {bind} (bind_port in {plan.server_ini}) is taken by " in text
    assert f"(pid {os.getpid()})" in text
    assert f"port {remote} (remote_port of [web] in {plan.client_ini}) is taken" in text
    assert str(local) not in text


def test_the_stage_stops_all_in_the_opposite_order_and_removes_its_files() -> None:
    with Stage() as stage:
        children = [stage.start(name, SLEEPER) for name in ("one", "two")]
        stage.wait_until("both", lambda: all(said(child, "ready") for child in children))
    assert [gone(child.process.pid) for child in children] == [True, True]
    assert not children[0].output.parent.exists()


def test_a_process_that_ignores_the_polite_signal_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo, "STOP_SECONDS", 0.05)
    with Stage() as stage:
        child = stage.start("stubborn", STUBBORN)
        stage.wait_until("it", lambda: said(child, "ready"))
    assert child.process.returncode == -signal.SIGKILL


def test_a_second_interrupt_does_not_cut_the_stopping_short() -> None:
    class Impatient(Child):
        def stop(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            super().stop()

    with Stage() as stage:
        child = stage.start("one", SLEEPER)
        stage.children[0] = Impatient(child.name, child.process, child.output)
    assert gone(child.process.pid)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_process_that_ends_early_is_reported_with_what_it_said() -> None:
    code = "print('no such port'); raise SystemExit(3)"
    with Stage() as stage:
        stage.start("frps", [sys.executable, "-c", code])
        with pytest.raises(DemoError, match=r"(?s)frps ended with status 3.*    no such port"):
            stage.wait_until("the start", lambda: False)


def test_what_does_not_happen_in_time_is_reported_with_what_was_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo, "START_SECONDS", 0.0)
    with Stage() as stage:
        stage.start("frpc", SLEEPER)
        with pytest.raises(DemoError, match=r"(?s)the answer did not happen.*frpc:\n    "):
            stage.wait_until("the answer", lambda: False)


def test_an_answer_without_our_mark_is_a_stranger_s(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    with Stage() as stage:
        child = stage.start("stranger", command)
        stage.wait_until("it", lambda: said(child, " port "))
        port = int(child.output.read_text().partition(" port ")[2].split()[0])
        assert demo.listens(port)
        assert not demo.answers(port, "mark")
    assert not demo.answers(port, "mark")
    assert not demo.listens(port)


def test_the_status_table_shows_programs_and_tunnels(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        remote = free.getsockname()[1]
    proxies = SSH.format(remote=remote) + WEB.format(remote=6001, local=8000)
    plan = make_plan(write_etc(tmp_path, proxies=proxies))
    with Stage() as stage:
        child = stage.start("frps", SLEEPER)
        lines = status_table(plan, stage.children, 0.0123).splitlines()
    assert lines[0].split() == ["PROGRAM", "PID", "LISTENS", "ON"]
    assert lines[1].split() == ["frps", str(child.process.pid), "127.0.0.1:7000"]
    assert lines[0].index("LISTENS") == lines[1].index("127.0.0.1")
    assert lines[2:] == [
        "",
        "  PROXY  VISITORS CONNECT TO  LOCAL SERVICE   STATE",
        "  web    127.0.0.1:6001       127.0.0.1:8000  answers, in 12.3 ms",
        f"  ssh    {f'127.0.0.1:{remote}':<19}  127.0.0.1:22    not checked",
    ]


def test_a_bad_folder_is_one_message_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.main(["--etc", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("\nquickstart: ")
    assert "frps.ini" in captured.err
