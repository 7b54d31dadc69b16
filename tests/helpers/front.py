"""nginx as a reverse proxy in front of frps: clients come by WebSocket, in TLS or without."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.helpers.ports import free_port
from tests.helpers.programs import need_tool
from tests.helpers.services import wait_for_port

if TYPE_CHECKING:
    from tests.helpers.authority import Pair
    from tests.helpers.stage import Stage

SOURCE = "127.0.0.77"
"""Where frps sees its connections come from."""


@dataclass(frozen=True, slots=True)
class Front:
    """A running nginx; all but frp's own path is 404."""

    port: int
    """For protocol = websocket."""
    tls_port: int
    """For protocol = wss."""


def start_front(stage: Stage, server_port: int, pair: Pair, *, idle_seconds: int = 60) -> Front:
    """Start nginx on loopback.

    Args:
        stage: ends it.
        server_port: of frps.
        pair: the certificate that TLS is ended with.
        idle_seconds: how long a connection may be silent; nginx' own default is 60.
    """
    program, front = need_tool("nginx"), Front(free_port(), free_port())
    folder = stage.folder / f"front-{front.port}"
    folder.mkdir()
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "conf").write_text(
        ("user root;\n" if os.geteuid() == 0 else "")
        + f"daemon off;\npid {folder}/pid;\nerror_log stderr;\nworker_processes 1;\n"
        f"events {{ worker_connections 1024; }}\nhttp {{ access_log off; {temporary}\nserver {{\n"
        f"listen 127.0.0.1:{front.port};\nlisten 127.0.0.1:{front.tls_port} ssl;\n"
        f'ssl_certificate "{pair.cert}"; ssl_certificate_key "{pair.key}";\n'
        "location / { return 404; }\nlocation /~!frp {\n"
        f"proxy_pass http://127.0.0.1:{server_port}; proxy_bind {SOURCE};\n"
        "proxy_http_version 1.1; proxy_set_header Host $host;\n"
        'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";\n'
        f"proxy_read_timeout {idle_seconds}s; }} }} }}\n"
    )
    command = (program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "conf"))
    nginx = stage.start("nginx", *command)
    for port in (front.port, front.tls_port):
        wait_for_port(nginx, port)
    return front
