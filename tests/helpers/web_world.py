"""A world of web services behind one pair of frps and frpc; any of the two may be Go's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, Program
from tests.helpers.services import Service
from tests.helpers.stage import WRAPPERS, Stage
from tests.helpers.web import Mirror, Mute, serve_curtly, serve_old, shut_the_door
from tests.helpers.web_site import ASSETS_OF_A_KIND, MEBIBYTE, start_site

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.helpers.programs import Settings

    Proxies = dict[str, dict[str, object]]

SUBDOMAIN_HOST = "frps.test"
LARGE_MEBIBYTES = 64
MIDDLE_MEBIBYTES = 8
USER, PASSWORD = "alice", "open sesame: yes"


class World:
    """The services; they run until ``close``.

    Args:
        stage: where nginx runs; not closed here.
    """

    def __init__(self, stage: Stage) -> None:
        self.mirror, self.mute = Mirror("mirror"), Mute()
        handlers = {
            "mirror": self.mirror.serve,
            "api": Mirror("api").serve,
            "old": serve_old,
            "mute": self.mute.serve,
            "shut": shut_the_door,
            "curt": serve_curtly,
        }
        self.services = {name: Service(handler) for name, handler in handlers.items()}
        self._dead_port = free_port()
        self.site = start_site(stage, self.services["mirror"].port)
        self.large_digest = self.site.add("large", LARGE_MEBIBYTES)
        # What /page.html says when all of its scripts, styles and images and the large file came.
        self.page_report = f"{ASSETS_OF_A_KIND}-" * 3 + str(LARGE_MEBIBYTES * MEBIBYTE)
        self.middle_digest = self.site.add("files/middle", MIDDLE_MEBIBYTES)

    def close(self) -> None:
        for service in self.services.values():
            service.close()

    def proxies(self) -> Proxies:
        """Return a proxy, or several, for each service; by domain, wildcard and subdomain."""
        mirror = self.services["mirror"].port
        plain: Proxies = {
            name: web(service.port, f"{name}.example.test")
            for name, service in self.services.items()
        }
        return {
            **plain,
            "site": {**web(self.site.port, "www.example.test, *.wild.test"), "subdomain": "shop"},
            "api": {
                **plain["api"],
                "custom_domains": "mirror.example.test",
                "locations": "/api,/v2",
            },
            "v2-beta": {
                **web(mirror, "mirror.example.test"),
                "locations": "/v2/beta",
                "header_X-Route": "beta",
            },
            "rewritten": {
                **web(mirror, "rewritten.example.test"),
                "host_header_rewrite": "inside.example.test",
                "header_X-From-Where": "frp",
                "header_X-Other": "two words",
            },
            "guarded": {
                **web(mirror, "guarded.example.test"),
                "http_user": USER,
                "http_pwd": PASSWORD,
            },
            "dead": web(self._dead_port, "dead.example.test"),
            "secure": {
                **web(self.site.secure_port, "secure.example.test"),
                "type": "https",
                "subdomain": "secure",
            },
            **_wrapped("http", web(mirror, "modes.test")),
            **_wrapped("files", {**web(self.site.port, "modes.test"), "locations": "/files"}),
            **_wrapped("https", {**web(self.site.secure_port, "secure.test"), "type": "https"}),
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The services, for all tests of a file."""
    stage = Stage(tmp_path_factory.mktemp("world"))
    try:
        made = World(stage)
        yield made
        made.close()
    finally:
        stage.close()


def web(local_port: int, domains: str) -> dict[str, object]:
    """Return the settings of an http proxy."""
    return {
        "type": "http",
        "local_ip": "127.0.0.1",
        "local_port": local_port,
        "custom_domains": domains,
    }


def _wrapped(name: str, settings: Settings) -> Proxies:
    """Return such a proxy with each wrapper, at a domain below the one given."""
    return {
        f"{name}-{wrapper}": {
            **settings,
            "custom_domains": f"{wrapper}.{settings['custom_domains']}",
            **WRAPPERS[wrapper],
        }
        for wrapper in WRAPPERS
    }


@dataclass(frozen=True, slots=True)
class Pair:
    """frps and frpc, and where visitors go."""

    frps: Program
    frpc: Program
    bind_port: int
    http_port: int
    https_port: int


def open_pair(
    stage: Stage,
    proxies: Mapping[str, Settings],
    *,
    mux: bool = True,
    one_port: bool = False,
    server: Settings | None = None,
    client: Settings | None = None,
    folders: tuple[Path, Path] = (BIN, BIN),
) -> Pair:
    """Start both ends, and wait for the proxies.

    Args:
        stage: kills them at its end.
        proxies: their settings by name.
        mux: tcp_mux of both ends.
        one_port: clients and visitors come to the same port.
        server: more settings for [common] of frps.
        client: more settings for [common] of frpc.
        folders: of frps and of frpc.
    """
    bind_port = free_port()
    http_port, https_port = (bind_port if one_port else free_port() for _ in range(2))
    both = {"token": "web", "tcp_mux": mux}
    frps = stage.frps(
        {
            "bind_addr": "127.0.0.1",
            "bind_port": bind_port,
            "vhost_http_port": http_port,
            "vhost_https_port": https_port,
            "subdomain_host": SUBDOMAIN_HOST,
            **both,
            **(server or {}),
        },
        folder=folders[0],
    )
    to_server = {"server_addr": "127.0.0.1", "server_port": bind_port}
    frpc = stage.frpc({**to_server, **both, **(client or {})}, proxies, folder=folders[1])
    return Pair(frps, frpc, bind_port, http_port, https_port)
