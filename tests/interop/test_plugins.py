"""Our frpc's plugins behind Go's frps, which knows nothing of them; and Go's behind ours."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.helpers.loads import checksum
from tests.helpers.modes import MODES
from tests.helpers.outside import (
    PASSWORD,
    SITE_DOMAIN,
    USER,
    Outside,
    open_outside,
    plugin_ports,
    plugins,
)
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, SECONDS, need_tool
from tests.helpers.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers.peers_go import GoPeer

LOGIN = f"{quote(USER)}:{quote(PASSWORD)}@"
CURL_SOCKS = 97


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    stage = Stage(tmp_path_factory.mktemp("outside"))
    try:
        made = open_outside(stage)
        yield made
        made.close()
    finally:
        stage.close()


def curl(target: Path, url: str, *options: str) -> tuple[int, str]:
    """Fetch an address into a file; return curl's status and that of HTTP."""
    command = [need_tool("curl"), "-sS", "--max-time", str(4 * SECONDS), "--noproxy", ""]
    command += ["-o", str(target), "-w", "%{http_code}", *options, url]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout


@MODES
@pytest.mark.parametrize("go_end", ["frps", "frpc"])
def test_plugins_do_the_same_beside_go(
    stage: Stage, world: Outside, end_peer: GoPeer, go_end: str, mux: bool
) -> None:
    frps, frpc = end_peer.folders(go_end)
    bind_port, http_port, ports = free_port(), free_port(), plugin_ports()
    both = {"token": "plugins", "tcp_mux": mux}
    listen = {"bind_addr": "127.0.0.1", "bind_port": bind_port, "vhost_http_port": http_port}
    stage.frps({**listen, **both}, folder=frps)
    to_server = {"server_addr": "127.0.0.1", "server_port": bind_port}
    settings = end_peer.client_settings("frpc") if frpc != BIN else {}
    stage.frpc({**to_server, **both, **settings}, plugins(world, ports), folder=frpc)

    got, site = stage.folder / "got", f"http://localhost:{world.port}/large"

    def fetches(url: str, *options: str) -> None:
        got.unlink(missing_ok=True)
        assert curl(got, url, *options) == (0, "200")
        assert checksum(got) == checksum(world.large)

    def through(scheme: str, name: str, login: str = "") -> tuple[str, str]:
        return "-x", f"{scheme}://{login}127.0.0.1:{ports[name]}"

    fetches(f"http://127.0.0.1:{ports['unix']}/large")
    fetches(f"http://127.0.0.1:{http_port}/large", "-H", f"Host: {SITE_DOMAIN}")
    for way, name in (("http", "http"), ("socks5h", "socks")):
        fetches(site, *through(way, name, LOGIN))
        fetches(site, *through(way, f"{name}-open"))
    fetches(site, *through("http", "http", LOGIN), "-p")
    # What is wrong is told alike.
    assert curl(got, site, *through("http", "http")) == (0, "407")
    assert curl(got, site, *through("socks5h", "socks", "ann:wrong@"))[0] == CURL_SOCKS
    nobody = f"http://localhost:{free_port()}/"
    assert curl(got, nobody, *through("socks5h", "socks-open"))[0] == CURL_SOCKS
