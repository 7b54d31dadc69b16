"""Programs that speak the PROXY protocol: nginx as a service, HAProxy at both ends."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import need_tool
from tests.helpers.services import wait_for_port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.helpers.stage import Stage

SOURCE = "127.0.0.78"
"""Where balancers come from."""
GET = b"GET / HTTP/1.1\r\nHost: real.example.test\r\nConnection: close\r\n\r\n"


def start_mirror(stage: Stage) -> int:
    """Start nginx that takes the PROXY protocol only, and answers with what it said.

    The answer's body is ``ADDRESS:PORT [X-Forwarded-For]``.
    """
    program, port = need_tool("nginx"), free_port()
    folder = stage.folder / f"mirror-{port}"
    folder.mkdir()
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "conf").write_text(
        ("user root;\n" if os.geteuid() == 0 else "")
        + f"daemon off;\npid {folder}/pid;\nerror_log stderr;\nworker_processes 1;\n"
        f"events {{ worker_connections 256; }}\nhttp {{ access_log off; {temporary}\n"
        f"server {{ listen 127.0.0.1:{port} proxy_protocol;\nlocation / {{ return 200 "
        '"$proxy_protocol_addr:$proxy_protocol_port [$http_x_forwarded_for]"; } } }\n'
    )
    command = (program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "conf"))
    wait_for_port(stage.start("nginx", *command), port)
    return port


def start_haproxy(stage: Stage, forwards: Mapping[int, str]) -> None:
    """Start HAProxy.

    Args:
        stage: ends it.
        forwards: by port, what follows it: ``accept-proxy`` or nothing, a blank, and what
            follows ``server x`` in its configuration.
    """
    program = shutil.which("haproxy")
    if program is None:  # an extra: nginx and the tests' own balancer are always there
        pytest.skip("haproxy is not installed")
    lines = ["defaults", "mode tcp", *(f"timeout {one} 60s" for one in TIMEOUTS)]
    for port, rest in forwards.items():
        accepts, _, server = rest.partition(" ")
        lines += [f"listen l{port}", f"bind 127.0.0.1:{port} {accepts}", f"server x {server}"]
    path = stage.write("\n".join(lines) + "\n", f"haproxy-{min(forwards)}.cfg")
    haproxy = stage.start("haproxy", program, "-db", "-f", str(path))
    for port in forwards:
        wait_for_port(haproxy, port)


TIMEOUTS = ("connect", "client", "server")
