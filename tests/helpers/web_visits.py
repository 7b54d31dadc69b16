"""Visitors of web services: one that keeps its connection, curl, TLS by hand, and wrk."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import socket
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.helpers.programs import SECONDS, need_tool, wait_until
from tests.helpers.visitors import CHUNK, visit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.helpers.web_site import Authority

CURL_SECONDS = 60
# Exit codes of curl: TLS failed, one way or the other; the certificate is not trusted.
CURL_TLS_FAILED, CURL_NOT_TRUSTED = (35, 52, 56), 60


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whole."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def first(self, name: str) -> str:
        """Return the first value of a header field, or nothing."""
        return next((value for key, value in self.fields if key.lower() == name.lower()), "")

    def all(self, name: str) -> list[str]:
        """Return all values of a header field."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    @property
    def facts(self) -> dict[str, Any]:
        """What the mirror says."""
        facts: dict[str, Any] = json.loads(self.body)
        return facts

    def heard(self, name: str) -> list[str]:
        """Return the values of a header field that the mirror was sent."""
        return [value for key, value in self.facts["fields"] if key.lower() == name.lower()]


class Caller:
    """A visitor whose requests share one connection, whatever host they are for.

    Args:
        port: of the http proxies.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        self._connection.connect()
        # Never a second connection behind our back.
        self._connection.auto_open = 0

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(
        self,
        host: str,
        target: str = "/",
        method: str = "GET",
        body: bytes | Iterable[bytes] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask, and read the whole answer; a body of parts goes in chunks."""
        answer = self.open(host, target, method, body, fields)
        return Answer(answer.status, tuple(answer.getheaders()), answer.read())

    def open(
        self,
        host: str,
        target: str = "/",
        method: str = "GET",
        body: bytes | Iterable[bytes] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> http.client.HTTPResponse:
        """Ask, and read the head of the answer."""
        self._connection.request(method, target, body, {"Host": host, **(fields or {})})
        return self._connection.getresponse()


def ask(port: int, host: str, target: str = "/", **rest: Any) -> Answer:
    """Ask once on a new connection; ``rest`` as in Caller.ask."""
    with Caller(port) as caller:
        return caller.ask(host, target, **rest)


def say(port: int, request: bytes) -> bytes:
    """Send a request as it stands; return all that comes until the end."""
    with visit(port) as visitor:
        visitor.sendall(request)
        parts = []
        while part := visitor.recv(CHUNK):
            parts.append(part)
        return b"".join(parts)


def curl(port: int, url: str, *options: str, codes: tuple[int, ...] = (0,)) -> Answer:
    """Fetch with curl, from this port whatever the address says; return the last answer."""
    with tempfile.TemporaryDirectory() as folder:
        head, body = Path(folder, "head"), Path(folder, "body")
        done = subprocess.run(
            [
                *(need_tool("curl"), "-sS", "--max-time", str(CURL_SECONDS), "--noproxy", "*"),
                *("--connect-to", f"::127.0.0.1:{port}", "-D", str(head), "-o", str(body)),
                *(*options, url),
            ],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode in codes, (done.returncode, done.stderr)
        heads = head.read_text() if head.exists() else ""
        return _parse(heads, body.read_bytes() if body.exists() else b"")


def _parse(heads: str, body: bytes) -> Answer:
    if not heads:
        return Answer(0, (), body)
    lines = heads.split("\n\n" if "\r\n" not in heads else "\r\n\r\n")[-2].splitlines()
    pairs = (line.partition(":")[::2] for line in lines[1:])
    fields = tuple((name, value.strip()) for name, value in pairs)
    return Answer(int(lines[0].split()[1]), fields, body)


def tls_by_pieces(port: int, host: str, authority: Authority, piece: int) -> Answer:
    """Fetch /hello.txt by HTTPS with a ClientHello that comes in pieces of this size."""
    context = ssl.create_default_context(cafile=str(authority.ca))
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(inward, outward, server_hostname=host)
    with visit(port) as visitor:
        visitor.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def flush(size: int) -> None:
            data = outward.read()
            for start in range(0, len(data), size):
                visitor.sendall(data[start : start + size])

        done = False
        while not done:
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                flush(piece)
                inward.write(visitor.recv(CHUNK))
        tls.write(f"GET /hello.txt HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        flush(CHUNK)
        raw = b""
        while True:
            try:
                part = tls.read(CHUNK)
            except ssl.SSLWantReadError:
                data = visitor.recv(CHUNK)
                inward.write(data) if data else inward.write_eof()
                continue
            except ssl.SSLEOFError:
                break
            if not part:
                break
            raw += part
    head, _, body = raw.partition(b"\r\n\r\n")
    return _parse(head.decode() + "\r\n\r\n", body)


def digest_of(answer: http.client.HTTPResponse) -> tuple[int, str]:
    """Read the rest of an answer; return its length and checksum."""
    size, digest = 0, hashlib.sha256()
    while part := answer.read(CHUNK):
        size += len(part)
        digest.update(part)
    return size, digest.hexdigest()


def wait_for_web(port: int, host: str) -> None:
    """Wait until a proxy answers."""

    def answers() -> bool:
        try:
            return ask(port, host).status == 200
        except (OSError, http.client.HTTPException):
            return False

    wait_until(answers, f"{host} answers")


def wrk_host(port: int, host: str, target: str, seconds: int, *fields: str) -> tuple[int, float]:
    """Load a virtual host with wrk; return requests and their rate; none may have failed."""
    command = [need_tool("wrk"), "-t1", "-c32", f"-d{seconds}s", "-H", f"Host: {host}"]
    for field in fields:
        command += ["-H", field]
    command.append(f"http://127.0.0.1:{port}{target}")
    said = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + 30, check=True
    ).stdout
    assert "Socket errors" not in said, said
    assert "Non-2xx" not in said, said
    requests = re.search(r"(\d+) requests in", said)
    rate = re.search(r"Requests/sec: +([\d.]+)", said)
    assert requests is not None
    assert rate is not None
    return int(requests[1]), float(rate[1])
