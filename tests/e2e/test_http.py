"""Virtual hosts between our own ends: hostile requests, exact bodies, shared ports, and ends."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import wait_until
from tests.helpers.services import Service
from tests.helpers.stage import TOKEN, WRAPPERS, Stage
from tests.helpers.visitors import read_to_end, reset, visit
from tests.helpers.web import answer, read_asked, read_body
from tests.unit.proto.http.corpus import CASES, Case

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from tests.helpers.programs import Program

HOST = "site.example.com"
MIB = 1024 * 1024
GET = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
BULK = os.urandom(2 * MIB + 4099)


@dataclass
class Site:
    """A web service that remembers what it was asked, and answers with as much as it is told."""

    asked: list[tuple[str, str, int, str]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        while True:
            head = await read_asked(reader)
            if head.first("upgrade") == "echo":
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n")
                writer.write(b"Connection: Upgrade\r\n\r\n")
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
                return
            size, digest = await read_body(head, reader, writer)
            self.asked.append((head.method, head.target, size, digest))
            if head.target == "/silent":
                await reader.read(1)
                return
            # Exactly so much of BULK as the path says.
            wanted = head.target.removeprefix("/bulk/")
            body = BULK[: int(wanted)] if wanted.isdecimal() else digest.encode()
            writer.write(answer(body))
            await writer.drain()


class Visitor:
    """A connection on which answers are read one by one."""

    def __init__(self, port: int, data: bytes = b"") -> None:
        self.sock = visit(port)
        self._buffer = b""
        self.say(data)

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def _more(self) -> None:
        data = self.sock.recv(MIB)
        if not data:
            raise EOFError(f"the end came behind {self._buffer[:200]!r}")
        self._buffer += data

    def head(self) -> tuple[int, bytes]:
        """Read the head of an answer that counts."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        return self.head() if status == 100 else (status, head)

    def hear(self) -> tuple[int, bytes]:
        """Read an answer that tells its length; return status and body."""
        status, head = self.head()
        length = int(head.lower().partition(b"\r\ncontent-length: ")[2].split(b"\r\n")[0])
        return status, self.take(length)

    def take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def is_ended(self) -> bool:
        """Whether nothing but the end comes; waits for it."""
        return not self._buffer and not self.sock.recv(1)


@dataclass
class Pair:
    """frps and frpc with one site."""

    site: Site
    port: int
    frps: Program
    frpc: Program
    service: Service

    def sockets(self) -> int:
        """Count the sockets of frps."""
        return sum(name.startswith("socket:") for name in self.frps.open_files())

    def until_asked(self, times: int) -> None:
        """Wait until the site has been asked so often in all."""
        wait_until(lambda: len(self.site.asked) >= times, "a request at the service")


def open_pair(
    stage: Stage,
    stack: ExitStack,
    *,
    mux: bool = True,
    shared: bool = False,
    server: dict[str, object] | None = None,
    proxy: dict[str, object] | None = None,
) -> Pair:
    """Start both ends; with ``shared`` visitors come to the port that clients come to."""
    site = Site()
    service = stack.enter_context(Service(site.serve))
    bind_port = free_port()
    port = bind_port if shared else free_port()
    both = {"token": TOKEN, "tcp_mux": mux}
    listens = {"bind_addr": "127.0.0.1", "bind_port": bind_port, "vhost_http_port": port}
    frps = stage.frps({**listens, **both, **(server or {})})
    web = {"type": "http", "local_port": service.port, "custom_domains": HOST, **(proxy or {})}
    frpc = stage.frpc({"server_addr": "127.0.0.1", "server_port": bind_port, **both}, {"web": web})
    return Pair(site, port, frps, frpc, service)


WAYS: dict[str, tuple[bool, str]] = {
    "plain": (True, "plain"),
    "direct": (False, "plain"),
    "wrapped": (True, "both"),
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Pair]]:
    """A pair for each way."""
    with ExitStack() as stack:
        stage = Stage(tmp_path_factory.mktemp("http"))
        stack.callback(stage.close)
        yield {
            way: open_pair(stage, stack, mux=mux, proxy=WRAPPERS[wrapper])
            for way, (mux, wrapper) in WAYS.items()
        }


@pytest.fixture
def plain(pairs: dict[str, Pair]) -> Pair:
    """The pair for all requests of the corpus."""
    return pairs["plain"]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_request_of_the_corpus_gets_its_answer(plain: Pair, case: Case) -> None:
    before = len(plain.site.asked)
    with Visitor(plain.port, case.request) as visitor:
        status, _ = visitor.hear()
        assert status == case.status
        if case.facts.get("rest"):
            assert visitor.hear()[0] == 200
        if case.closes:
            assert visitor.is_ended()
        else:
            visitor.say(GET)
            assert visitor.hear()[0] == 200
    asked = plain.site.asked[before:]
    if case.status != 200:
        assert asked == []
        return
    body = case.facts["body"].encode("latin-1")
    method, target, size, digest = asked[0]
    assert (method, size, digest) == (
        case.facts["method"],
        len(body),
        hashlib.sha256(body).hexdigest(),
    )
    if case.facts["target"].startswith("/"):
        assert target == case.facts["target"]
    assert len(asked) == 1 + bool(case.facts.get("rest")) + (not case.closes)


# Bodies


@pytest.mark.parametrize("way", WAYS)
def test_bodies_arrive_exactly_on_one_connection(pairs: dict[str, Pair], way: str) -> None:
    pair = pairs[way]
    with Visitor(pair.port) as visitor:
        for size in (len(BULK), 0, MIB - 1, MIB, MIB + 1, 262_144):
            head = f"PUT /bulk/{size} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {size}\r\n\r\n"
            visitor.say(head.encode() + BULK[:size] + GET)
            status, body = visitor.hear()
            assert (status, body == BULK[:size]) == (200, True)
            assert visitor.hear()[0] == 200
            digest = hashlib.sha256(BULK[:size]).hexdigest()
            assert pair.site.asked[-2][1:] == (f"/bulk/{size}", size, digest)


@pytest.mark.parametrize("way", WAYS)
def test_chunks_of_all_sizes_arrive_exactly(pairs: dict[str, Pair], way: str) -> None:
    sizes = (1, MIB + 77, 5, 300_000, 262_144, 17)
    body = b"".join(BULK[:size] for size in sizes)
    chunks = b"".join(b"%x\r\n%b\r\n" % (size, BULK[:size]) for size in sizes)
    head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with Visitor(pairs[way].port) as visitor:
        for _ in range(2):
            visitor.say(head + chunks + b"0\r\n\r\n")
            assert visitor.hear() == (200, hashlib.sha256(body).hexdigest().encode())


@pytest.mark.parametrize("way", WAYS)
def test_another_protocol_passes_through(pairs: dict[str, Pair], way: str) -> None:
    upgrade = f"GET / HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n"
    with Visitor(pairs[way].port, upgrade.encode() + b"early") as visitor:
        assert visitor.head()[0] == 101
        assert visitor.take(5) == b"early"
        for _ in range(3):
            visitor.say(BULK[:100_000])
            assert visitor.take(100_000) == BULK[:100_000]
        visitor.sock.shutdown(socket.SHUT_WR)
        assert visitor.is_ended()


def test_nothing_is_left_of_visitors_who_went(plain: Pair) -> None:
    for path in ("/", "/silent", "/bulk/2000000") * 5:
        wanted = len(plain.site.asked) + 1
        visitor = Visitor(plain.port, GET.replace(b" / ", f" {path} ".encode()))
        plain.until_asked(wanted)
        reset(visitor.sock)
    # Two listeners, the client, and the pair that signals wake the loop by.
    wait_until(lambda: plain.sockets() == 5, "all visitors are forgotten")


# Ports and ends


def test_visitors_may_come_where_clients_come(stage: Stage) -> None:
    with ExitStack() as stack:
        pair = open_pair(stage, stack, mux=False, shared=True)
        visitor = stack.enter_context(Visitor(pair.port))
        for byte in GET:
            visitor.say(bytes([byte]))
        assert visitor.hear()[0] == 200
        visitor.say(GET)
        assert visitor.hear()[0] == 200
        port = pair.service.port
        pair.service.close()
        visitor.say(GET)
        assert visitor.hear()[0] == 404
        stack.enter_context(Service(pair.site.serve, port))  # which comes up again
        visitor.say(GET)
        assert visitor.hear()[0] == 200


def test_what_runs_at_the_end_of_the_server_may_finish(stage: Stage) -> None:
    with ExitStack() as stack:
        pair = open_pair(stage, stack, server={"shutdown_drain_seconds": 20})
        idle = stack.enter_context(Visitor(pair.port, GET))
        assert idle.hear()[0] == 200
        head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\n\r\n"
        busy = stack.enter_context(Visitor(pair.port, head.encode() + b"he"))
        wait_until(lambda: pair.service.connections == 2, "the upload at the service")
        pair.frps.signal(signal.SIGTERM)
        assert idle.is_ended()
        busy.say(b"llo")
        status, answered = busy.head()
        assert (status, b"\r\nConnection: close" in answered) == (200, True)
        assert read_to_end(busy.sock) == b""
        assert pair.frps.wait() == 0
