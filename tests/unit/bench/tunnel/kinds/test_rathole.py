from __future__ import annotations

import tomllib
from pathlib import Path

from bench.tunnel.kinds.rathole import RATHOLE
from tests.unit.bench.tunnel.kinds.tasks import UDP, task


def test_both_files_name_the_same_services(tmp_path: Path) -> None:
    server, client = RATHOLE.commands(task("it=rathole:/opt/rathole", tmp_path, UDP))
    assert (server[:2], client[:2]) == (
        ["/opt/rathole", "--server"],
        ["/opt/rathole", "--client"],
    )
    front = tomllib.loads(Path(server[2]).read_text())["server"]
    back = tomllib.loads(Path(client[2]).read_text())["client"]
    assert front["bind_addr"] == back["remote_addr"] == "127.0.0.1:1"
    assert front["default_token"] == back["default_token"]
    assert front["services"] == {
        "probe": {"bind_addr": "127.0.0.1:7", "type": "tcp"},
        "measured": {"bind_addr": "127.0.0.1:8", "type": "udp"},
    }
    assert back["services"] == {
        "probe": {"local_addr": "127.0.0.1:3", "type": "tcp"},
        "measured": {"local_addr": "127.0.0.1:3", "type": "udp"},
    }
