"""frpd.cli.frpc_admin: what status, reload and stop print, and how they exit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frpd.admin import control_socket
from frpd.cli import frpc, frpc_admin
from frpd.cli.admin_client import Answer, Target
from frpd.cli.frpc_admin import duration, table
from frpd.errors import TransportError

ROW = {"name": "web", "type": "tcp", "status": "running", "err": "", "local_addr": "a:1"}


class FakeCall:
    """Stands in for admin_client.call."""

    def __init__(self) -> None:
        self.answer = Answer(200, b"")
        self.error = ""
        self.asked: list[tuple[Target, str, str, float]] = []

    def __call__(self, target: Target, method: str, path: str, *, seconds: float) -> Answer:
        self.asked.append((target, method, path, seconds))
        if self.error:
            raise TransportError(self.error)
        return self.answer


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCall:
    fake = FakeCall()
    monkeypatch.setattr(frpc_admin, "call", fake)
    monkeypatch.setattr(control_socket, "RUN_FOLDER", str(tmp_path / "missing"))
    return fake


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "frpc.ini"
    path.write_text("[common]\nadmin_port = 7400\n[broken]\ntype = tcp\n")
    return str(path)


def test_the_status_is_frp_s_table(
    api: FakeCall, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = ROW | {"name": "bad", "status": "start error", "err": "port not allowed"}
    rows = {"stcp": [], "udp": None, "tcp": [ROW | {"remote_addr": "s:6000"}, refused]}
    api.answer = Answer(200, json.dumps(rows).encode())
    assert frpc.main(["status", "-c", file]) == 0
    assert capsys.readouterr().out.split("\n") == [
        "Proxy Status...",
        "TCP",
        "Name  Status       LocalAddr  Plugin  RemoteAddr  Error             ",
        "bad   start error  a:1                            port not allowed  ",
        "web   running      a:1                s:6000                        ",
        "",
        "",
    ]
    assert [one[1:] for one in api.asked] == [("GET", "/api/status", 30.0)]


def test_blocks_come_in_frp_s_order() -> None:
    rows = {kind: [ROW] for kind in ("xtcp", "stcp", "https", "tcpmux", "udp", "tcp", "new")}
    heads = [line for line in table(rows) if line and line == line.upper()]
    assert heads == ["TCP", "UDP", "TCPMUX", "HTTPS", "STCP", "XTCP"]


def test_no_proxies_is_only_the_title(
    api: FakeCall, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answer = Answer(200, b"{}")
    assert frpc.main(["-c", file, "status", "--api-timeout", "1m30s"]) == 0
    assert capsys.readouterr().out == "Proxy Status...\n"
    assert api.asked[0][3] == 90.0


def test_a_broken_proxy_section_is_the_daemon_s_affair(
    api: FakeCall, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert frpc.main(["reload", "-c", file]) == 0
    assert capsys.readouterr().out == "reload success\n"
    assert api.asked[0][1:3] == ("GET", "/api/reload")
    frpc.main(["reload", "-c", file, "--strict"])
    assert api.asked[1][2] == "/api/reload?strictConfig=true"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(200, b'{"code":0,"msg":""}'), "reload success"),
        (Answer(200, b'{"code":3,"msg":"no"}'), "frpc reload error: no"),
        (Answer(400, b"no\n"), "frpc reload error: no"),
        (Answer(400, b'{"Code":400,"Msg":"no"}'), "frpc reload error: no"),
        (Answer(401, b"Unauthorized\n"), "frpc reload error: admin api status code [401]"),
        (Answer(500, b""), "frpc reload error: admin api status code [500]"),
    ],
)
def test_answers_of_every_era_are_understood(
    api: FakeCall, file: str, capsys: pytest.CaptureFixture[str], answer: Answer, text: str
) -> None:
    api.answer = answer
    assert frpc.main(["reload", "-c", file]) == (0 if "success" in text else 1)
    assert capsys.readouterr().out == f"{text}\n"


def test_stop(api: FakeCall, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert frpc.main(["stop", "-c", file]) == 0
    assert capsys.readouterr().out == "stop success\n"
    assert api.asked[0][1:3] == ("POST", "/api/stop")


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("reload", "frpc reload error: admin_port shoud be set if you want to use reload feature"),
        (
            "status",
            "frpc get status error: admin_port shoud be set if you want to get proxy status",
        ),
        ("stop", "frpc stop error: admin_port shoud be set if you want to use stop feature"),
    ],
)
def test_without_an_admin_port_frp_s_words(
    api: FakeCall, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, text: str
) -> None:
    path = tmp_path / "bare.ini"
    path.write_text("[common]\n")
    assert frpc.main([command, "-c", str(path)]) == 1
    assert capsys.readouterr().out == f"{text}\n"
    assert api.asked == []


def test_who_is_not_there_is_told(
    api: FakeCall, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    api.error = 'Get "http://x": refused'
    assert frpc.main(["status", "-c", file]) == 1
    assert capsys.readouterr().out == 'frpc get status error: Get "http://x": refused\n'


@pytest.mark.parametrize("body", [b"[]", b"text", b'{"tcp": 1}', b'{"tcp": [1]}'])
def test_what_is_no_status_is_an_error(
    api: FakeCall, file: str, capsys: pytest.CaptureFixture[str], body: bytes
) -> None:
    api.answer = Answer(200, body)
    assert frpc.main(["status", "-c", file]) == 1
    assert "unmarshal http response error" in capsys.readouterr().out


def test_a_wrong_password_is_told_by_the_status(
    api: FakeCall, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answer = Answer(401, b"Unauthorized\n")
    assert frpc.main(["status", "-c", file]) == 1
    expected = "frpc get status error: admin api status code [401]\n"
    assert capsys.readouterr().out == expected


def test_a_missing_file_is_the_bare_message(
    api: FakeCall, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert frpc.main(["status", "-c", str(tmp_path / "none")]) == 1
    expected = f"open {tmp_path}/none: no such file or directory\n"
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30.0), ("1m30s", 90.0), ("500ms", 0.5), ("1.5h", 5400.0)]
)
def test_durations_as_go_writes_them(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "s", "1s ", "-1s", "1d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        duration(text)
