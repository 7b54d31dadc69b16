"""The corpus of ini files, frps' part: each version listens where we do, and announces the same."""

from __future__ import annotations

import contextlib
import json
import os
import re
import urllib.request
from base64 import b64encode
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from frpd.config.ports import PortSet
from frpd.config.server import ServerConfig
from tests.helpers.corpus import (
    ENVIRON,
    LAST_OLD,
    MILDER,
    corpus_files,
    first_version,
    golden,
    name_of,
    names_in,
)
from tests.helpers.peers_go import GoPeer, go_peers
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, Program, wait_until
from tests.unit.config.golden import plain

if TYPE_CHECKING:
    from tests.helpers.stage import Stage

OURS = GoPeer("ours", BIN)
PEERS = go_peers(os.environ.get("FRPD_GO_FRP", ""))
STUN_SINCE = (0, 49)  # no port for xtcp any more
DASHBOARD_FOR_ALL_SINCE = (0, 36)
MUX_WITHOUT_PINGS_SINCE = (0, 58)
LISTENERS = (
    ("bind_port", "tcp", "bind_addr"),
    ("kcp_bind_port", "udp", "bind_addr"),
    ("quic_bind_port", "udp", "bind_addr"),
    ("bind_udp_port", "udp", "bind_addr"),
    ("vhost_http_port", "tcp", "proxy_bind_addr"),
    ("vhost_https_port", "tcp", "proxy_bind_addr"),
    ("tcpmux_httpconnect_port", "tcp", "proxy_bind_addr"),
    ("dashboard_port", "tcp", "dashboard_addr"),
)
# Names in the API, in small letters and without "_", of what a file can say.
ANNOUNCED = {
    **{key.replace("_", ""): key for key, _, _ in LISTENERS if key != "dashboard_port"},
    "subdomainhost": "subdomain_host",
    "maxpoolcount": "max_pool_count",
    "maxportsperclient": "max_ports_per_client",
    "heartbeattimeout": "heartbeat_timeout",
    "authtimeout": "authentication_timeout",
    "tlsonly": "tls_only",
    "tlsforce": "tls_only",
}
# One starts only where its provider can be reached; the others have no port to be moved.
NOT_RUN = ("frps/oidc", "frps/empty", "frps/no_common")
ANY_ADDRESS = {"0.0.0.0": "any", "::": "any", "": "any"}
Place = tuple[str, str, int]


def cases(peers: list[GoPeer]) -> list[Any]:
    """Return each peer with each good file of frps that is not for later versions."""
    return [
        pytest.param(peer, path, id=f"{peer.version}-{path.stem}")
        for peer in peers
        for path in corpus_files("frps")
        if peer is OURS or first_version(path) <= peer.number
        if "problems" not in golden(path, "new") and name_of(path) not in NOT_RUN
        if not path.stem.startswith("bad_")
    ]


class Server:
    """A frps with one file of the corpus, its ports moved to free ones."""

    def __init__(self, stage: Stage, end: GoPeer, path: Path) -> None:
        is_old = end is not OURS and end.number < (0, LAST_OLD + 1)
        given = golden(path, "old" if is_old else "new")["common"]
        self._end = end
        self._text = path.read_bytes()
        self.common = {row.name: plain(row.default) for row in fields(ServerConfig)} | given
        self._move()
        file = stage.folder / path.name
        file.write_bytes(self._text)
        self.frps = stage.start("frps", str(end.folder / "frps"), "-c", str(file), env=ENVIRON)

    def _move(self) -> None:
        keys = [key for key, _, _ in LISTENERS if self.common[key]]
        ports = {number: free_port() for number in {self.common[key] for key in keys}}

        def other(found: re.Match[bytes]) -> bytes:
            return found[1] + str(ports.get(int(found[2]), 1)).encode()

        self._text = re.sub(rb"(?m)(_port[\t ]*[=:][\t ]*[\"\']?)(\d+)", other, self._text)
        for key in keys:
            self.common[key] = ports[self.common[key]]

    def info(self) -> dict[str, Any]:
        """Return what the API says, in one spelling for all versions."""
        port = self.common["dashboard_port"]
        request = urllib.request.Request(f"http://127.0.0.1:{port}/api/serverinfo")
        login = f"{self.common['dashboard_user']}:{self.common['dashboard_pwd']}"
        request.add_header("Authorization", f"Basic {b64encode(login.encode()).decode()}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            said = json.load(answer)
        return {key.replace("_", "").lower(): value for key, value in said.items()}

    def wanted(self) -> set[Place]:
        """Return where it should listen."""
        places = set()
        for key, protocol, address in LISTENERS:
            host = self.common[address] or self.common["bind_addr"]
            if key == "bind_udp_port" and self._is_go_since(STUN_SINCE):
                continue
            if key == "dashboard_port" and self._is_go_since(DASHBOARD_FOR_ALL_SINCE):
                host = host if re.search(rb"dashboard_addr *= *\S", self._text) else ""
            places.add((protocol, ANY_ADDRESS.get(host, host), self.common[key]))
        return {place for place in places if place[2]}

    def _is_go_since(self, version: tuple[int, int]) -> bool:
        return self._end is not OURS and self._end.number >= version

    def check_info(self) -> None:
        """Compare what is announced with what the file says."""
        said = self.info()
        for name, key in ANNOUNCED.items():
            if key == "heartbeat_timeout" and self._is_go_since(MUX_WITHOUT_PINGS_SINCE):
                continue  # it depends on tcp_mux there
            if name in said:
                assert _small(said[name]) == _small(self.common[key]), name
        if self._end is OURS or self._end.number > (0, LAST_OLD):
            said_ports = PortSet.parse(said.get("allowportsstr", ""))
            assert said_ports == PortSet.parse(self.common["allow_ports"])


def _small(value: object) -> object:
    """Domains have no case."""
    return value.lower() if isinstance(value, str) else value


def places_of(frps: Program) -> set[Place]:
    """Return where a process listens; nowhere, when it has ended."""
    process = Path(f"/proc/{frps.pid}")
    found: set[Place] = set()
    with contextlib.suppress(OSError):  # it has ended, or closed one meanwhile
        links = [os.readlink(link) for link in (process / "fd").iterdir()]
        for name in ("tcp", "tcp6", "udp", "udp6"):
            found |= _open_in(process / "net" / name, links)
    return found


def _open_in(table: Path, links: list[str]) -> set[Place]:
    protocol = table.name[:3]
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    is_open = "0A" if protocol == "tcp" else "07"
    return {
        (protocol, *_place(row[1]))
        for row in rows
        if row[3] == is_open and f"socket:[{row[9]}]" in links
    }


def _place(text: str) -> tuple[str, int]:
    host, port = text.split(":")
    address = ".".join(str(byte) for byte in reversed(bytes.fromhex(host[-8:])))
    return ANY_ADDRESS.get(address, address), int(port, 16)


@pytest.mark.parametrize(("end", "path"), cases([OURS, *PEERS]))
def test_frps_listens_and_announces_what_the_file_means(
    stage: Stage, end: GoPeer, path: Path
) -> None:
    server = Server(stage, end, path)
    ended = server.frps.process.poll
    wanted = server.wanted()
    wait_until(lambda: wanted <= places_of(server.frps) or ended() is not None, "a start")
    if ended() is None:
        assert places_of(server.frps) == wanted
        if server.common["dashboard_port"]:
            server.check_info()
    else:
        assert name_of(path) in names_in(MILDER)
