"""frps, the owner of xtcp proxies and their visitor, on one machine with a STUN server."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, wait_until
from tests.helpers.stage import TOKEN, WRAPPERS, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.helpers.programs import Settings

SK = "xtcp sk"
PROTOCOLS = ("kcp", "quic")
KINDS = [f"{protocol}-{wrapper}" for protocol in PROTOCOLS for wrapper in ("plain", "both")]
"""Names of proxies and visitors: what carries the tunnel, and what is done to its streams."""


def need_aioquic(kind: str) -> None:
    """Skip what is carried by QUIC where ours cannot be."""
    if kind.startswith("quic") and importlib.util.find_spec("aioquic") is None:
        pytest.skip("aioquic is not installed")


class XtcpTrio:
    """The three programs, with a proxy and a visitor of each kind.

    Args:
        stage: for the programs.
        echo_port: the service.
        stun: ``host:port`` of the STUN server.
        kinds: of KINDS.
        folders: of the programs frps, owner and visitor that are not ours.
        common: more settings for [common] of each of the three.
        visitor: more settings for each visitor.
        more: further visitors,
        more_proxies: and proxies of the owner.
    """

    def __init__(
        self,
        stage: Stage,
        echo_port: int,
        stun: str,
        *,
        kinds: list[str],
        folders: Mapping[str, Path] | None = None,
        common: Mapping[str, Settings] | None = None,
        visitor: Settings | None = None,
        more: Mapping[str, Settings] | None = None,
        more_proxies: Mapping[str, Settings] | None = None,
    ) -> None:
        folders, common = folders or {}, common or {}
        self.ports = {kind: free_port() for kind in kinds}
        bind_port = free_port()
        server = {"bind_addr": "127.0.0.1", "bind_port": bind_port, "token": TOKEN}
        client = self.client = {
            "server_addr": "127.0.0.1",
            "server_port": bind_port,
            "token": TOKEN,
            "nat_hole_stun_server": stun,
        }
        self.frps = stage.frps(
            {**server, **common.get("frps", {})}, folder=folders.get("frps", BIN)
        )
        proxy = {"type": "xtcp", "sk": SK, "local_ip": "127.0.0.1", "local_port": echo_port}
        self.owner = stage.frpc(
            {**client, **common.get("owner", {})},
            {
                **{kind: {**proxy, **WRAPPERS[kind.split("-")[1]]} for kind in kinds},
                **(more_proxies or {}),
            },
            folder=folders.get("owner", BIN),
        )
        visitors = {
            f"{kind}_v": {
                "type": "xtcp",
                "role": "visitor",
                "server_name": kind,
                "sk": SK,
                "bind_addr": "127.0.0.1",
                "bind_port": port,
                "protocol": kind.split("-")[0],
                **WRAPPERS[kind.split("-")[1]],
                **(visitor or {}),
            }
            for kind, port in self.ports.items()
        }
        visitors.update({name: dict(settings) for name, settings in (more or {}).items()})
        self.visitor = stage.frpc(
            {**client, **common.get("visitor", {})},
            visitors,
            folder=folders.get("visitor", BIN),
            wait_for=(),
        )
        done, count = "start visitor success", len(visitors)
        wait_until(lambda: self.visitor.count(done) == count, f"{count} times: {done}")
