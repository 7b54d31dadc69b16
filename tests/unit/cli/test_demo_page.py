"""frpd.cli.demo_page: one page, marked."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from frpd.cli.demo_page import MARK_HEADER, make_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def port() -> Iterator[int]:
    with make_server(0, "our-mark") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/", "/any/other?x=1"])
def test_every_path_gives_the_marked_page(port: int, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    for _ in range(2):
        connection.request("GET", path)
        response = connection.getresponse()
        assert (response.status, response.headers[MARK_HEADER]) == (200, "our-mark")
        assert b"<h1>It works</h1>" in response.read()
    connection.close()


def test_head_has_the_length_and_no_body(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("HEAD", "/")
    response = connection.getresponse()
    assert int(response.headers["Content-Length"]) > 500
    assert response.read() == b""
    connection.close()


def test_another_method_is_refused(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("POST", "/", body="x")
    assert connection.getresponse().status == 501
    connection.close()


def test_the_page_needs_no_environment() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import frpd.cli.demo_page"],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")
