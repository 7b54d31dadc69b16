"""No secret is shown: not in logs at trace level, answers of the admin APIs, files, or errors."""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from frpd.cli.admin_client import Target, call
from frpd.cli.verify import verify_client, verify_server
from frpd.config.secret import Secret
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, SECONDS, Program, wait_until
from tests.helpers.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Each is found wherever it turns up: in clear, in base64, quoted.
TOKEN, WRONG_TOKEN = "Rtoken-Xq7", "Rwrongtoken-Xq7"
DASHBOARD, ADMIN = "Rdashboard-Xq7", "Radmin-Xq7"
SK, WRONG_SK = "Rsk-Xq7", "Rwrongsk-Xq7"
GROUP, WRONG_GROUP = "Rgroup-Xq7", "Rwronggroup-Xq7"
PAGE, PLUGIN, SOCKS = "Rpage-Xq7", "Rplugin-Xq7", "Rsocks-Xq7"
UPSTREAM, TYPED = "Rupstream-Xq7", "Rtyped-Xq7"  # of a proxy on the way; of who guesses passwords
MARK = "-Xq7"
MARKS = (MARK, *(base64.b64encode(b"x" * n + MARK.encode())[4:8].decode() for n in range(3)))

SERVER_PAGES = (
    "/api/serverinfo", "/api/proxy/tcp", "/api/proxy/http", "/api/proxy/stcp", "/api/clients",
    "/api/conns", "/api/frpd/config", "/api/frpd/logs", "/api/frpd/overview", "/api/frpd/status",
    "/api/v2/clients", "/api/v2/proxies", "/api/v2/users", "/api/frpd/proxies", "/metrics",
)  # fmt: skip
CLIENT_PAGES = ("/api/status", "/api/config", "/api/frpd/config", "/api/frpd/logs",
                "/api/frpd/status", "/api/conns")  # fmt: skip


class Scene:
    """Both programs at trace level, with a secret in each key that takes one."""

    def __init__(self, folder: Path, echo_port: int) -> None:
        self.folder = folder
        self.stage = Stage(folder)
        self.bind, self.web, self.dashboard, self.admin = (free_port() for _ in range(4))
        self.group, self.door, self.plugin, self.socks, self.closed = (
            free_port() for _ in range(5)
        )
        self.log = folder / "frps.log"
        self.frps = self.stage.frps(self.server())
        self.programs = [self.frps]
        self.frpc = self.client(
            {"token": TOKEN, "admin_port": self.admin, "admin_user": "admin", "admin_pwd": ADMIN},
            self.proxies(echo_port),
        )

    def server(self) -> dict[str, object]:
        return {
            "bind_addr": "127.0.0.1",
            "bind_port": self.bind,
            "vhost_http_port": self.web,
            "token": TOKEN,
            "log_level": "trace",
            "dashboard_port": self.dashboard,
            "dashboard_user": "ops",
            "dashboard_pwd": DASHBOARD,
            "enable_prometheus": True,
            "access_log": str(self.folder / "access.log"),
            "statistics_file": str(self.folder / "statistics.json"),
        }

    def proxies(self, echo_port: int) -> dict[str, dict[str, object]]:
        group = {"group": "g", "group_key": GROUP, "remote_port": self.group}
        page = {"custom_domains": "a.test", "http_user": "ann", "http_pwd": PAGE}
        to_proxy = {"plugin": "http_proxy", "plugin_http_user": "p", "plugin_http_passwd": PLUGIN}
        to_socks = {"plugin": "socks5", "plugin_user": "p", "plugin_passwd": SOCKS}
        return {
            "group": {"type": "tcp", "local_port": echo_port, **group},
            "page": {"type": "http", "local_port": echo_port, **page},
            "vault": {"type": "stcp", "local_port": echo_port, "sk": SK},
            "proxy": {"type": "tcp", "remote_port": self.plugin, **to_proxy},
            "socks": {"type": "tcp", "remote_port": self.socks, **to_socks},
        }

    def client(
        self,
        common: dict[str, object],
        proxies: dict[str, dict[str, object]],
        wait_for: Sequence[str] | None = None,
    ) -> Program:
        """Start a frpc at trace level; wait for its proxies."""
        both = {"server_addr": "127.0.0.1", "server_port": self.bind, "log_level": "trace"}
        program = self.stage.frpc({**both, **common}, proxies, wait_for=wait_for)
        self.programs.append(program)
        return program

    def said(self) -> Iterator[tuple[str, str]]:
        """Yield where something was said, and what."""
        for program in self.programs:
            yield f"output of {program.name}", program.output
            with contextlib.suppress(OSError):  # it may have ended
                yield "argv", Path(f"/proc/{program.pid}/cmdline").read_text()
        for name in ("access.log", "statistics.json"):
            with contextlib.suppress(FileNotFoundError):
                yield name, (self.folder / name).read_text(errors="replace")

    def close(self) -> None:
        self.stage.close()


@pytest.fixture
def scene(tmp_path: Path, echo_port: int) -> Iterator[Scene]:
    made = Scene(tmp_path, echo_port)
    yield made
    made.close()


def shown(text: str) -> list[str]:
    return [line for line in text.splitlines() if any(mark in line for mark in MARKS)]


def ask(port: int, path: str, login: str | None, host: str = "a.test") -> tuple[int, str]:
    headers = {"Host": host}
    if login is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


def talk(port: int, *said: bytes) -> bytes:
    """Say one thing after another; return the last answer."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as sock:
        for text in said:
            sock.sendall(text)
            with contextlib.suppress(ConnectionResetError):
                answer = sock.recv(4096)
    return answer


def provoke(scene: Scene) -> None:
    """Have everything refused that can be: tokens, keys, passwords, a proxy on the way."""
    stranger = scene.client({"token": WRONG_TOKEN}, {})
    assert stranger.wait() == 1
    lost = scene.client(
        {"token": TOKEN, "http_proxy": f"http://u:{UPSTREAM}@127.0.0.1:{scene.closed}"}, {}
    )
    assert lost.wait() == 1
    visitor = {"type": "stcp", "role": "visitor", "server_name": "vault", "sk": WRONG_SK}
    guest = scene.client(
        {"token": TOKEN, "native": "off"},
        {"door": {**visitor, "bind_addr": "127.0.0.1", "bind_port": scene.door}},
        wait_for=(),
    )
    guest.wait_for("start visitor success")
    assert talk(scene.door, b"knock") == b""
    assert ask(scene.web, "/", f"ann:{TYPED}")[0] == 401
    assert ask(scene.dashboard, "/api/serverinfo", f"ops:{TYPED}", "127.0.0.1")[0] == 401
    typed = TYPED.encode()
    login = base64.b64encode(b"p:" + typed)
    head = b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\nProxy-Authorization: Basic "
    assert b" 407 " in talk(scene.plugin, head + login + b"\r\n\r\n")
    talk(scene.socks, b"\x05\x01\x02", b"\x01\x01p" + bytes([len(typed)]) + typed)
    group = {
        "type": "tcp",
        "remote_port": scene.group,
        "group": "g",
        "group_key": WRONG_GROUP,
        "local_port": 1,
    }
    other = scene.client({"token": TOKEN, "user": "eve"}, {"group": group}, wait_for=())
    other.wait_for("start error")
    other.terminate()


def test_no_secret_is_shown_anywhere(scene: Scene) -> None:
    provoke(scene)
    server = Target(host="127.0.0.1", port=scene.dashboard, user="ops", password=Secret(DASHBOARD))
    client = Target(host="127.0.0.1", port=scene.admin, user="admin", password=Secret(ADMIN))
    leaks: dict[str, list[str]] = {}
    unanswered = []
    for target, pages in ((server, SERVER_PAGES), (client, CLIENT_PAGES)):
        for page in pages:
            answer = call(target, "GET", page, seconds=SECONDS)
            unanswered += [] if answer.is_ok else [(page, answer.status)]
            leaks[page] = shown(answer.body.decode("utf-8", "replace"))
    scene.frpc.terminate()
    scene.frps.terminate()
    wait_until((scene.folder / "statistics.json").exists, "statistics")
    for where, text in scene.said():
        leaks[where] = leaks.get(where, []) + shown(text)
    assert {where: lines for where, lines in leaks.items() if lines} == {}
    assert unanswered == []  # else not everything was looked at


BAD_FILES = {
    "an upstream proxy of no kind": ("frpc", "http_proxy = gopher://u:{0}@h:1"),
    "a port that is none": ("frpc", "http_proxy = http://u:{0}@h:99999"),
    "a token that is too long": ("frps", "token = {0}" + "x" * 5000),
    "a line that is none": ("frps", "token = a\n= {0}"),
    "a token that is given twice": ("frps", "token = {0}\ntoken = {0}2"),
    "an unknown key beside it": ("frpc", "tokken = {0}"),
    "a template that ends nowhere": ("frps", "token = {0}{{{{ .Envs.X"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_cannot_be_used_is_refused_without_its_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    program, text = BAD_FILES[case]
    path = tmp_path / "bad.ini"
    path.write_text("[common]\n" + text.format(TOKEN) + "\n")
    verify = verify_server if program == "frps" else verify_client
    verify(str(path), dialect=None, strict=True)
    said = capsys.readouterr().out
    assert said
    assert shown(said.replace(str(tmp_path), "")) == []


def test_a_typed_token_is_not_repeated(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    address = f"127.0.0.1:{free_port()}"
    words = ("tcp", "-s", address, "-t", TOKEN, "-l", "1", "-r", "no", "--log_level", "trace")
    done = stage.start("frpc", str(BIN / "frpc"), *words)
    assert done.wait() != 0
    assert shown(done.output) == []
    stage.close()
