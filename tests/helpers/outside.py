"""What visitors reach through frpc's plugins: nginx, also on a Unix socket, and a git host."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.helpers.ports import free_port
from tests.helpers.programs import SECONDS, need_tool, without_proxies
from tests.helpers.services import Service, wait_for_port
from tests.helpers.web import answer, read_asked

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.helpers.programs import Settings
    from tests.helpers.stage import Stage

USER, PASSWORD = "ann", "s3cret, with: signs"
LARGE_BYTES = 8 << 20
SITE_DOMAIN = "unix.example.test"


@dataclass(frozen=True, slots=True)
class Outside:
    """Services on this machine, of which only frpc's plugins are to know."""

    folder: Path
    large: Path
    port: int
    socket: Path
    git_port: int
    service: Service

    def close(self) -> None:
        self.service.close()


def open_outside(stage: Stage) -> Outside:
    """Start the services."""
    folder = stage.folder / "outside"
    (folder / "www" / "up").mkdir(parents=True)
    large = folder / "www" / "large"
    large.write_bytes(os.urandom(LARGE_BYTES))
    make_repository(folder / "git")
    service = Service(GitHost(folder / "git").serve)
    made = Outside(folder, large, free_port(), folder / "app.sock", service.port, service)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "conf").write_text(
        ("user root;\n" if os.geteuid() == 0 else "")
        + f"daemon off;\npid {folder}/pid;\nerror_log stderr;\nworker_processes 1;\n"
        "events { worker_connections 512; }\n"
        f"http {{ access_log off; {temporary} client_body_temp_path {folder}/body;\n"
        "client_max_body_size 100m; large_client_header_buffers 4 16k;\n"
        f"server {{ listen 127.0.0.1:{made.port}; listen unix:{made.socket}; root {folder}/www;\n"
        "location /up/ { dav_methods PUT; } } }\n"
    )
    command = (need_tool("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(folder / "conf"))
    wait_for_port(stage.start("nginx", *command), made.port)
    return made


def plugins(outside: Outside, ports: Mapping[str, int]) -> dict[str, Settings]:
    """Return a proxy for each plugin, with and without a login, at these ports of frps."""
    http_login = {"plugin_http_user": USER, "plugin_http_passwd": PASSWORD}
    kinds: dict[str, dict[str, object]] = {
        "unix": {"plugin": "unix_domain_socket", "plugin_unix_path": outside.socket},
        "http": {"plugin": "http_proxy", **http_login},
        "http-open": {"plugin": "http_proxy", "use_encryption": True},
        "socks": {"plugin": "socks5", "plugin_user": USER, "plugin_passwd": PASSWORD},
        "socks-open": {"plugin": "socks5", "use_compression": True},
    }
    made: dict[str, Settings] = {
        name: {"type": "tcp", "remote_port": ports[name], **kind} for name, kind in kinds.items()
    }
    made["site"] = {"type": "http", "custom_domains": SITE_DOMAIN, **kinds["unix"]}
    return made


def plugin_ports() -> dict[str, int]:
    """Return a port for each of the tcp proxies."""
    return {name: free_port() for name in ("unix", "http", "http-open", "socks", "socks-open")}


class GitHost:
    """git http-backend as a service: clones and pushes by HTTP.

    Args:
        folder: holds the repositories.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = await read_asked(reader)
            body = await reader.readexactly(int(asked.first("content-length") or 0))
            path, _, query = asked.target.partition("?")
            backend = await asyncio.create_subprocess_exec(
                *(need_tool("git"), "http-backend"),
                env={
                    "GIT_PROJECT_ROOT": str(self._folder),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_CONFIG_NOSYSTEM": "1",
                    "HOME": str(self._folder),
                    "REQUEST_METHOD": asked.method,
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "CONTENT_TYPE": asked.first("content-type"),
                    "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": asked.first("content-encoding"),
                    "GIT_PROTOCOL": asked.first("git-protocol"),
                },
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            said, _ = await backend.communicate(body)
            head, _, page = said.partition(b"\r\n\r\n")
            fields = head.decode("latin-1").split("\r\n")
            status = next((f[8:] for f in fields if f.startswith("Status: ")), "200 OK")
            writer.write(answer(page, *fields, status=status))
            await writer.drain()


def git(*words: str, cwd: Path) -> str:
    """Run git with nobody's configuration; return what it printed."""
    home = {"HOME": str(cwd), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(
        [need_tool("git"), "-c", "user.name=t", "-c", "user.email=t@example.test", *words],
        cwd=cwd,
        env={**without_proxies(os.environ), **home},
        capture_output=True,
        text=True,
        timeout=4 * SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_repository(folder: Path) -> None:
    """Make ``work`` with one commit in a folder, and ``origin.git``, which takes pushes."""
    work = folder / "work"
    work.mkdir(parents=True)
    git("init", "-q", "-b", "main", cwd=work)
    (work / "noise").write_bytes(os.urandom(300_000))
    (work / "text").write_text("a line\n" * 10_000)
    git("add", ".", cwd=work)
    git("commit", "-q", "-m", "all", cwd=work)
    git("clone", "-q", "--bare", str(work), str(folder / "origin.git"), cwd=folder)
    git("config", "http.receivepack", "true", cwd=folder / "origin.git")
