"""The tools that measure and the services behind the tunnel: iperf3, wrk, nginx, and our load.c."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.tunnel.processes import MeasurementError, listens, running, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.tunnel.settings import Ports

PACKAGES: Final = {
    "cc": "gcc libc6-dev",
    "iperf3": "iperf3",
    "nginx": "nginx-light",
    "wrk": "wrk",
}
"""Debian's name of what brings each tool."""
_LOAD_SOURCE: Final = Path(__file__).with_name("load.c")
_START_SECONDS: Final = 5.0

# Debian keeps daemons where a plain user's PATH does not look.
PATH: Final = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"

_NGINX_CONF: Final = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ return 200 "hello\\n"; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Tools:
    """Where each tool is; ``load`` is our own program, built for this run."""

    found: dict[str, str]
    load: str

    def __getitem__(self, name: str) -> str:
        return self.found[name]


def find_tools(names: Iterable[str], folder: Path) -> Tools:
    """Look for the tools, and build load.c in ``folder``.

    Raises:
        MeasurementError: some are missing; it names them and their Debian packages.
    """
    found = {name: shutil.which(name, path=PATH) for name in {"cc", *names}}
    missing = sorted(name for name, path in found.items() if path is None)
    if missing:
        packages = " ".join(PACKAGES[name] for name in missing)
        raise MeasurementError(
            f"not installed: {', '.join(missing)}; on Debian: apt-get install {packages}"
            " (or leave out the scenarios that need them: --list, --only)"
        )
    paths = {name: path for name, path in found.items() if path is not None}
    return Tools(paths, build_load(paths["cc"], folder))


def build_load(compiler: str, folder: Path) -> str:
    """Compile load.c into ``folder``; return the program's path."""
    program = folder / "load"
    command = [compiler, "-O2", "-o", str(program), str(_LOAD_SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise MeasurementError(f"load.c does not compile: {done.stderr.strip()}")
    return str(program)


@contextlib.contextmanager
def services(names: Iterable[str], tools: Tools, ports: Ports, folder: Path) -> Iterator[None]:
    """Run the echo service and those of ``names`` (Ports attributes), all of them fresh."""
    commands = {"echo": ([tools.load, "serve", str(ports.echo), str(ports.sink)], ports.echo)}
    if "iperf" in names:
        commands["iperf"] = ([tools["iperf3"], "-s", "-p", str(ports.iperf)], ports.iperf)
    if "web" in names:
        conf = folder / "nginx.conf"
        conf.write_text(_NGINX_CONF.format(folder=folder, port=ports.web), encoding="utf-8")
        errors = folder / "nginx.log"
        command = [tools["nginx"], "-c", str(conf), "-e", str(errors)]
        commands["web"] = (command, ports.web)
    with contextlib.ExitStack() as stack:
        for name, (command, port) in commands.items():
            child = stack.enter_context(running(command, folder / f"{name}.log"))
            what = f"a listening {child.name}"
            wait_until(lambda port=port: listens(port), what, _START_SECONDS, [child])  # type: ignore[misc]
        yield
