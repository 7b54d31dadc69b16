"""The corpus of ini files: Go frp understands each as we do, or the tables say where not and why.

What a file means to us stands in tests/data/corpus/expected (see tests/helpers/corpus.py). Here
Go's frpc tells a recording server, Go's frps its API, and both say whether a file is good.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.corpus import (
    CORPUS,
    ENVIRON,
    LAST_OLD,
    MILDER,
    OTHERWISE,
    PROGRAMS,
    STRICTER,
    corpus_files,
    first_version,
    golden,
    meant,
    name_of,
    names_in,
)
from tests.helpers.frp_listeners import Peer
from tests.helpers.peers_go import GoPeer, go_peers
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, Program, wait_until
from tests.helpers.recorder import Recorder
from tests.helpers.services import wait_for_port
from tests.helpers.visitors import visit

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers.stage import Stage

VERIFIES_SINCE = (0, 37)
BARE_NAMES_SINCE = (0, 68)  # in frpc's API
OURS = GoPeer("ours", BIN)
PEERS = go_peers(os.environ.get("FRPD_GO_FRP", ""))
ADMIN = "admin"
# Not what is compared here, or not to be had on a test's machine.
OUT_OF_THE_WAY = {
    "protocol": "tcp",
    "http_proxy": "",
    "dns_server": "",
    "connect_server_local_ip": "127.0.0.1",
    "authentication_method": "token",
    "log_file": "console",
    "log_level": "info",
    "assets_dir": "",
}
# [common] is added to each file that is run, which makes another file of these.
NOT_RUN = ("frpc/no_common", "frpc/padded_common")
LOGS_IN = r"login to server success"


def dialect_of(peer: GoPeer) -> str:
    return "old" if peer is not OURS and peer.number < (0, LAST_OLD + 1) else "new"


def asked_for(end: GoPeer, path: Path, expected: dict[str, Any]) -> set[str]:
    """Return the names of the proxies that an end asks for."""
    kind = "ours" if end is OURS else dialect_of(end)
    names = set(expected.get("proxies", {}))
    return OTHERWISE.get(name_of(path), {}).get(kind, names)


def cases(peers: list[GoPeer]) -> list[Any]:
    """Return each peer with each file of frpc that is not for later versions."""
    return [
        pytest.param(peer, path, id=f"{peer.version}-{path.stem}")
        for peer in peers
        for path in corpus_files("frpc")
        if peer is OURS or first_version(path) <= peer.number
        if name_of(path) not in NOT_RUN
    ]


@pytest.fixture(scope="module")
def service_port() -> Iterator[int]:
    """Something that is healthy."""

    def talk(sock: socket.socket) -> None:
        if sock.recv(4096):
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with Peer(talk) as peer:
        yield peer.port


class Meeting:
    """A frpc with one file of the corpus, and who writes down what it says."""

    def __init__(
        self, stage: Stage, end: GoPeer, path: Path, expected: dict[str, Any], environ: Any
    ) -> None:
        self.recorder = Recorder(expected.get("common", {}).get("token", ""))
        self.admin_port = free_port()
        self.ports: dict[int, int] = {}
        self._asked_for = asked_for(end, path, expected)
        self._is_bad = "problems" in expected
        folder = stage.folder / "corpus"
        shutil.copytree(CORPUS / "frpc", folder)
        with Peer(self.recorder.talk) as server:
            file = folder / path.name
            file.write_bytes(self._moved(path.read_bytes()) + self._common(server.port))
            command = (str(end.folder / "frpc"), "-c", f"./{path.name}")
            env = {**ENVIRON, **environ}
            self.frpc = stage.start("frpc", *command, env=env, cwd=folder)
            wait_until(lambda: self.has_said() or self.has_ended(), "all has been said")
            if not self.has_ended():
                wait_for_port(self.frpc, self.admin_port)
                self.statuses = self._statuses()
                self._visit_all(expected.get("visitors", {}))
            self.frpc.kill()

    def _common(self, port: int) -> bytes:
        settings = {
            "server_addr": "127.0.0.1",
            "server_port": port,
            "tcp_mux": "false",
            "tls_enable": "false",
            "admin_addr": "127.0.0.1",
            "admin_port": self.admin_port,
            "admin_user": ADMIN,
            "admin_pwd": ADMIN,
            **({} if self._is_bad else OUT_OF_THE_WAY),
        }
        lines = ["", "[common]", *(f"{key} = {value}" for key, value in settings.items()), ""]
        return "\n".join(lines).encode()

    def _moved(self, text: bytes) -> bytes:
        """Put free ports in the place of those that visitors listen on."""

        def other(found: re.Match[bytes]) -> bytes:
            port = self.ports.setdefault(int(found[2]), free_port())
            return found[1] + str(port).encode()

        return re.sub(rb"(?m)^(bind_port = )(\d+)$", other, text)

    def has_said(self) -> bool:
        return bool(self.recorder.logins) and self._asked_for <= set(self.recorder.proxies)

    def has_ended(self) -> bool:
        return self.frpc.process.poll() is not None

    def _statuses(self) -> dict[str, Any]:
        """Return what the API says, by name; it lists what was not asked for, too."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.admin_port}/api/status")
        request.add_header("Authorization", "Basic YWRtaW46YWRtaW4=")
        with urllib.request.urlopen(request, timeout=10) as answer:
            by_type = json.load(answer)
        return {row["name"]: row for rows in by_type.values() if rows for row in rows}

    def _visit_all(self, visitors: dict[str, Any]) -> None:
        """Have each stcp visitor say whom it visits."""
        listening = [
            self.ports[visitor["bind_port"]]
            for visitor in visitors.values()
            if visitor["type"] == "stcp" and visitor["bind_port"] > 0
        ]
        with contextlib.ExitStack() as open_visits:
            for port in listening:
                open_visits.enter_context(visit(port))
            wait_until(lambda: len(self.recorder.visits) >= len(listening), "the visits")


def check_login(meeting: Meeting, common: dict[str, Any]) -> None:
    login = meeting.recorder.logins[0]
    assert meeting.recorder.knows(login), "another token"
    assert (login.get("user") or "") == common.get("user", "")
    assert login["pool_count"] == common.get("pool_count", 1)
    assert (login.get("metas") or {}) == common.get("metas", {})


def check_proxies(meeting: Meeting, proxies: dict[str, Any], prefix: str) -> None:
    """Compare what was asked for, and what it leads to."""
    sent = {name: meant(message) for name, message in meeting.recorder.proxies.items()}
    assert sent == {
        name: {key: value for key, value in proxy.items() if key != "local"}
        for name, proxy in proxies.items()
    }
    assert {prefix + name for name in meeting.statuses} == set(proxies)
    for name, row in meeting.statuses.items():
        local = proxies[prefix + name]["local"]
        if isinstance(local, str):
            assert row["local_addr"] == local
        else:
            assert row["plugin"] == local["plugin"]


def check_visits(meeting: Meeting, visitors: dict[str, Any]) -> None:
    told = sorted(
        (
            message["proxy_name"],
            message.get("use_encryption", False),
            message.get("use_compression", False),
        )
        for message in meeting.recorder.visits
    )
    assert told == sorted(
        (
            visitor["server_name"],
            visitor.get("use_encryption", False),
            visitor.get("use_compression", False),
        )
        for visitor in visitors.values()
        if visitor["type"] == "stcp" and visitor["bind_port"] > 0
    )


@pytest.mark.parametrize(("end", "path"), cases([OURS, *PEERS]))
def test_frpc_says_what_the_file_means(
    stage: Stage, end: GoPeer, path: Path, service_port: int
) -> None:
    name = name_of(path)
    expected = golden(path, dialect_of(end))
    environ = {"CORPUS_SERVICE": str(service_port)}
    expected = json.loads(
        json.dumps(expected).replace(ENVIRON["CORPUS_SERVICE"], str(service_port))
    )
    meeting = Meeting(stage, end, path, expected, environ)
    if meeting.recorder.logins:
        if "problems" in expected:
            assert name in names_in(STRICTER)
            return
    else:
        assert "problems" in expected or name in names_in(MILDER)
        return
    user = expected["common"].get("user", "")
    is_bare = end is not OURS and end.number >= BARE_NAMES_SINCE
    check_login(meeting, expected["common"])
    names = asked_for(end, path, expected)
    if names != set(expected["proxies"]):
        assert set(meeting.recorder.proxies) == names
        return
    check_proxies(meeting, expected["proxies"], f"{user}." if user and is_bare else "")
    check_visits(meeting, expected["visitors"])


@functools.cache
def verified(program: Path, path: Path) -> bool:
    """Return whether a program finds a file of the corpus good."""
    command = (str(program), "verify", "-c", path.name)
    process = Program(program.name, command, env=ENVIRON, cwd=path.parent)
    return process.wait() == 0


VERIFYING = [peer for peer in PEERS if peer.number >= VERIFIES_SINCE]
FILES = [path for program in PROGRAMS for path in corpus_files(program)]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_verify_agrees_or_a_table_says_why_not(path: Path) -> None:
    program, name = path.parent.name, name_of(path)
    theirs = {verified(peer.folder / program, path) for peer in VERIFYING}
    if verified(BIN / program, path):
        assert name in names_in(MILDER) or False not in theirs
        assert name not in names_in(STRICTER)
    else:
        assert name not in names_in(MILDER)
        # What older ones took, which cannot verify, is seen where they run.
        assert name in names_in(STRICTER) or True not in theirs
