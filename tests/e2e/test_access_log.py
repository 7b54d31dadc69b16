"""The access log of a running frps: a connection and a request, in both forms."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import wait_until
from tests.helpers.services import Service
from tests.helpers.stage import TOKEN, Stage, tcp
from tests.helpers.visitors import exchange, visit
from tests.helpers.web import answer, read_asked

if TYPE_CHECKING:
    import asyncio

HOST = "www.example.com"
GET = f"GET /a?token=s3cret HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await read_asked(reader)
        writer.write(answer(b"ok"))
        await writer.drain()


def read(line: str, line_format: str) -> dict[str, Any]:
    """Return a line's fields; numbers as numbers in both forms."""
    if line_format == "json":
        found: dict[str, Any] = json.loads(line)
        return found
    time, _, rest = line.partition(" ")
    fields: dict[str, Any] = dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', rest))
    numbers = {key: int(value) for key, value in fields.items() if value.isdecimal()}
    return {"time": time} | fields | numbers


@pytest.mark.parametrize("line_format", ["text", "json"])
def test_a_connection_and_a_request_leave_a_line_each(
    stage: Stage, echo_port: int, line_format: str
) -> None:
    bind, ssh, http = free_port(), free_port(), free_port()
    path = stage.folder / "access.log"
    common = {"bind_addr": "127.0.0.1", "bind_port": bind, "token": TOKEN, "vhost_http_port": http}
    frps = stage.frps(common | {"access_log": path, "log_format": line_format})
    with Service(web) as service:
        stage.frpc(
            {"server_addr": "127.0.0.1", "server_port": bind, "token": TOKEN},
            {
                "ssh": tcp(echo_port, ssh),
                "web": {"type": "http", "local_port": service.port, "custom_domains": HOST},
            },
        )
        with visit(ssh) as visitor:
            source = f"127.0.0.1:{visitor.getsockname()[1]}"
            exchange(visitor, b"x" * 1000)
        with visit(http) as visitor:
            visitor.sendall(GET)
            assert visitor.recv(65536).startswith(b"HTTP/1.1 200")
        wait_until(lambda: path.read_text().count("\n") >= 2, "two lines are written")
        with visit(ssh) as visitor:
            exchange(visitor, b"y")
            assert frps.terminate() == 0
    found = [read(line, line_format) for line in path.read_text().splitlines()]
    rows = {row["type"]: row for row in found[:2]}
    connection, request = rows["tcp"], rows["http"]
    assert (connection["proxy"], connection["visitor"]) == ("ssh", source)
    assert (connection["bytes_in"], connection["bytes_out"]) == (1000, 1000)
    assert (connection["ended"], connection["by"]) == ("closed", "visitor")
    assert connection["local"] == f"127.0.0.1:{ssh}"
    assert (request["method"], request["host"], request["path"]) == ("GET", HOST, "/a")
    assert (request["status"], request["ended"], request["proxy"]) == (200, "answered", "web")
    assert re.fullmatch(r"[0-9a-f]{16}", connection["run_id"])
    assert "s3cret" not in path.read_text()
    # What was under way at the end has its line too, and is the last one.
    assert (len(found), found[2]["ended"], found[2]["bytes_in"]) == (3, "aborted", 1)
