"""Plugin static_file on the real programs: whole trees, huge files, attacks, and slow visitors."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import socket
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import SECONDS, Program, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.helpers.stage import Stage

MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE
FILES = 10_000
CONTENTS = 100  # what the files hold
LARGE = os.urandom(6 * MEBIBYTE)
LARGE_DIGEST = hashlib.sha256(LARGE).hexdigest()
SPARSE_BYTES = 4 * GIBIBYTE + 7
MARKS = {0: b"first", 2 * GIBIBYTE - 2: b"half", SPARSE_BYTES - 4: b"last"}
HOST = "files.example.test"
SECRET = b"what nobody may see"
SPAN_BYTES = 256 * MEBIBYTE
MAX_GROWTH_BYTES = 24 * MEBIBYTE


class Tree:
    """The folder that is served, and what lies beside it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        many = self.root / "many"
        many.mkdir(parents=True)
        for number in range(FILES):  # by links: making so many files can take a disk long
            path = many / f"file-{number:05}"
            if number < CONTENTS:
                path.write_text(f"{number}\n")
            else:
                path.hardlink_to(many / f"file-{number % CONTENTS:05}")
        (self.root / "large").write_bytes(LARGE)
        self.sparse("sparse", SPARSE_BYTES)
        with (self.root / "sparse").open("r+b") as file:
            for offset, mark in MARKS.items():
                file.seek(offset)
                file.write(mark)
        (self.root / "page").mkdir()
        (self.root / "page" / "index.html").write_text("<p>hello")
        self._plant(folder)

    def sparse(self, name: str, size: int) -> Path:
        path = self.root / name
        path.touch()
        os.truncate(path, size)
        return path

    def _plant(self, folder: Path) -> None:
        """Lay out ways that must not lead anywhere."""
        (folder / "secret").write_bytes(SECRET)
        for name, target in [
            ("link", "../secret"),
            ("absolute", str(folder / "secret")),
            ("up", ".."),
            ("around", "page/../../secret"),
            ("passwd", "/etc/passwd"),
            ("dev", "/dev"),
            ("self", "/proc/self"),
            ("circle", "circle"),
        ]:
            (self.root / name).symlink_to(target)
        os.mkfifo(self.root / "fifo")
        fd = os.open(self.root, os.O_RDONLY)  # the path itself may be too long for a socket
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(f"/proc/self/fd/{fd}/socket")
        os.close(fd)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp("tree"))


class Pair:
    """Both programs, and visitors of their proxies."""

    def __init__(self, stage: Stage, tree: Tree, *, mux: bool) -> None:
        bind_port, http_port = free_port(), free_port()
        self.ports = {name: free_port() for name in ("files", "sealed", "locked")}
        self.ports["site"] = http_port
        server = {"bind_addr": "127.0.0.1", "bind_port": bind_port, "vhost_http_port": http_port}
        self.frps = stage.frps({**server, "tcp_mux": mux, "token": "t"})
        plugin = {"plugin": "static_file", "plugin_local_path": tree.root}
        self.frpc: Program = stage.frpc(
            {"server_addr": "127.0.0.1", "server_port": bind_port, "tcp_mux": mux, "token": "t"},
            {
                "files": {"type": "tcp", "remote_port": self.ports["files"], **plugin},
                "sealed": {
                    "type": "tcp",
                    "remote_port": self.ports["sealed"],
                    "use_encryption": True,
                    **plugin,
                },
                "locked": {
                    "type": "tcp",
                    "remote_port": self.ports["locked"],
                    "plugin_strip_prefix": "static",
                    "plugin_http_user": "al",
                    "plugin_http_password": "b=c",
                    **plugin,
                },
                "site": {"type": "http", "custom_domains": HOST, **plugin},
            },
        )
        # What both programs open at their first visit and keep.
        for name in self.ports:
            self.ask(name, "/page/")
        self.at_rest = self.frpc.descriptors()

    def threads(self) -> int:
        """Return how many threads frpc has."""
        return len(os.listdir(f"/proc/{self.frpc.pid}/task"))

    def ask(self, proxy: str, target: str, method: str = "GET", **fields: str) -> Answer:
        """Make one request on a connection of its own."""
        with Visitor(self.ports[proxy]) as visitor:
            return visitor.ask(target, method, Connection="close", **fields)


class Answer:
    """A whole answer."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.fields = response.headers
        self.body = response.read()

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


class Visitor:
    """A connection that stays."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def ask(self, target: str, method: str = "GET", **fields: str) -> Answer:
        return Answer(self.begin(target, method, **fields))

    def begin(self, target: str, method: str = "GET", **fields: str) -> http.client.HTTPResponse:
        """Make a request and read the head of its answer."""
        self.connection.putrequest(method, target, skip_host=True)
        self.connection.putheader("Host", HOST)
        for name, value in fields.items():
            self.connection.putheader(name.replace("_", "-"), value)
        self.connection.endheaders()
        return self.connection.getresponse()


@pytest.fixture(scope="module", params=[True, False], ids=["mux", "direct"])
def pair(request: pytest.FixtureRequest, module_stage: Stage, tree: Tree) -> Iterator[Pair]:
    made = Pair(module_stage, tree, mux=request.param)
    yield made
    made.frpc.wait_for_descriptors(made.at_rest)
    assert made.frpc.count(r"\[E\]|Traceback") == 0, made.frpc.output


@pytest.mark.parametrize("proxy", ["files", "sealed", "site"])
def test_a_file_comes_whole_and_again_on_the_same_connection(pair: Pair, proxy: str) -> None:
    with Visitor(pair.ports[proxy]) as visitor:
        answer = visitor.ask("/large")
        assert (answer.status, answer.digest) == (200, LARGE_DIGEST)
        assert visitor.ask("/large").digest == LARGE_DIGEST
        etag = answer.fields["ETag"]
        assert visitor.ask("/large", "HEAD").fields["Content-Length"] == str(len(LARGE))
        assert visitor.ask("/large", If_None_Match=etag).status == 304
        part = visitor.ask("/large", Range="bytes=3000000-")
        assert (part.status, part.body) == (206, LARGE[3_000_000:])
        assert visitor.ask("/page").fields["Location"] == "./page/"
        assert visitor.ask("/page/").body == b"<p>hello"
        assert visitor.ask("/page/", "POST").status == 405


def test_a_tree_of_ten_thousand_files_is_listed_and_read(pair: Pair) -> None:
    with Visitor(pair.ports["files"]) as visitor:
        listing = visitor.ask("/many/")
        names = re.findall(r'<a href="\./(file-\d{5})">', listing.body.decode())
        assert names == [f"file-{number:05}" for number in range(FILES)]
        for name in names[::499]:
            assert int(visitor.ask(f"/many/{name}").body) == int(name[5:]) % CONTENTS


@pytest.mark.parametrize("proxy", ["files", "sealed", "site"])
def test_parts_of_a_file_of_four_gibibytes_are_read(pair: Pair, proxy: str) -> None:
    with Visitor(pair.ports[proxy]) as visitor:
        assert visitor.ask("/sparse", "HEAD").fields["Content-Length"] == str(SPARSE_BYTES)
        for offset, mark in MARKS.items():
            answer = visitor.ask("/sparse", Range=f"bytes={offset}-{offset + len(mark) - 1}")
            assert (answer.status, answer.body) == (206, mark)
            last = offset + len(mark) - 1
            assert answer.fields["Content-Range"] == f"bytes {offset}-{last}/{SPARSE_BYTES}"
        assert visitor.ask("/sparse", Range="bytes=-4").body == b"last"
        middle = 2 * GIBIBYTE - 3 * MEBIBYTE
        answer = visitor.ask("/sparse", Range=f"bytes={middle}-{middle + 5 * MEBIBYTE - 1}")
        found = answer.body.find(b"half")
        assert (len(answer.body), found) == (5 * MEBIBYTE, 3 * MEBIBYTE - 2)
        assert answer.body.count(0) == len(answer.body) - len(b"half")
        several = visitor.ask("/sparse", Range=f"bytes=0-4,{SPARSE_BYTES - 4}-")
        assert several.status == 206
        assert several.body.count(b"first") == several.body.count(b"last") == 1
        assert visitor.ask("/sparse", Range=f"bytes={SPARSE_BYTES}-").status == 416


@pytest.mark.parametrize("proxy", ["files", "sealed", "site"])
def test_a_file_that_shrinks_breaks_only_its_own_answer(pair: Pair, tree: Tree, proxy: str) -> None:
    size = 512 * MEBIBYTE  # more than all buffers on the way
    path = tree.sparse("shrinking", size)
    with Visitor(pair.ports[proxy]) as visitor, Visitor(pair.ports[proxy]) as other:
        before = other.begin("/large")
        answer = visitor.begin("/shrinking")
        got = len(answer.read(MEBIBYTE))
        os.truncate(path, MEBIBYTE)
        with contextlib.suppress(ConnectionResetError):
            while data := answer.read1(MEBIBYTE):
                got += len(data)
        assert got < size
        assert before.read() == LARGE
        assert other.ask("/large").digest == LARGE_DIGEST
    assert pair.ask(proxy, "/shrinking").fields["Content-Length"] == str(MEBIBYTE)


ATTACKS = (
    "/../secret",
    "/..",
    "/../../../../../../../../etc/passwd",
    "/page/../../secret",
    "/page/../large",
    "/./large",
    "/%2e%2e/secret",
    "/.%2E/secret",
    "/..%2fsecret",
    "/%2e%2e%2fsecret",
    "/page%2f..%2f..%2fsecret",
    "/large%2f",
    "/%2fetc%2fpasswd",
    "//etc/passwd",
    "/..\\secret",
    "/..%5csecret",
    "/%252e%252e%252fsecret",
    "/%c0%ae%c0%ae/secret",
    "/..;/secret",
    "/" + "x" * 256,
    "/" + "x/" * 2000,
    "/" + "%2e%2e/" * 500 + "secret",
    "/link",
    "/link/",
    "/absolute",
    "/up/secret",
    "/up/root/large",
    "/around",
    "/passwd",
    "/dev/zero",
    "/dev/stdin",
    "/self/environ",
    "/self/root/etc/passwd",
    "/self/fd/0",
    "/circle",
    "/fifo",
    "/socket",
    "/nothing",
)


@pytest.mark.parametrize("proxy", ["files", "site"])
def test_no_way_leads_out_of_the_folder(pair: Pair, proxy: str) -> None:
    with Visitor(pair.ports[proxy]) as visitor:
        for target in ATTACKS:
            answer = visitor.ask(target)
            assert answer.status in (403, 404), target
            assert SECRET not in answer.body
            assert b"root:" not in answer.body
        assert visitor.ask("/large").digest == LARGE_DIGEST
    assert pair.ask(proxy, "/..%00/secret").status == 400


def test_a_prefix_and_a_login_are_demanded(pair: Pair) -> None:
    login = f"Basic {b64encode(b'al:b=c').decode()}"
    wrong = f"Basic {b64encode(b'al:b').decode()}"
    with Visitor(pair.ports["locked"]) as visitor:
        assert visitor.ask("/static/page/").status == 401
        assert visitor.ask("/static/page/", Authorization=wrong).status == 401
        assert visitor.ask("/static/page/", Authorization=login).body == b"<p>hello"
        assert visitor.ask("/page/", Authorization=login).status == 404


def test_requests_may_be_sent_ahead(pair: Pair) -> None:
    ask = "GET /many/file-{:05} HTTP/1.1\r\nHost: h\r\n\r\n"
    text = "".join(ask.format(number) for number in range(100))
    with socket.create_connection(("127.0.0.1", pair.ports["files"]), SECONDS) as sock:
        sock.sendall(text.encode() + b"GET /large HTTP/1.0\r\n\r\n")
        got = bytearray()
        while data := sock.recv(MEBIBYTE):
            got += data
    numbers = re.findall(rb"\r\n\r\n(\d+)\nHTTP", got)
    assert list(map(int, numbers)) == list(range(100))
    assert got.endswith(LARGE)


def test_slow_visitors_cost_no_thread_and_hold_nobody_up(pair: Pair) -> None:
    threads = pair.threads()
    with ExitStack() as stack:
        slow = [stack.enter_context(Visitor(pair.ports["files"])) for _ in range(30)]
        answers = [visitor.begin("/sparse") for visitor in slow]
        with Visitor(pair.ports["files"]) as quick:
            for _ in range(3):
                assert quick.ask("/large").digest == LARGE_DIGEST
        assert pair.threads() - threads < len(slow) // 2
        assert all(answer.read(5) == b"first" for answer in answers)
    wait_until(lambda: pair.frpc.descriptors() <= pair.at_rest, "all files closed")


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("proxy", ["files", "site"])
def test_all_of_ten_thousand_files_and_of_four_gibibytes_are_read(
    pair: Pair, tree: Tree, proxy: str, record_property: Callable[[str, object], None]
) -> None:
    """Four visitors at a time, each with ranges of its own; frpc holds none of it."""
    before = pair.frpc.pss()
    readers = 4
    spans = [
        range(start, min(start + SPAN_BYTES, SPARSE_BYTES))
        for start in range(0, SPARSE_BYTES, SPAN_BYTES)
    ]

    def read(reader: int) -> dict[int, str]:
        digests = {}
        with Visitor(pair.ports[proxy]) as visitor:
            for span in spans[reader::readers]:
                field = f"bytes={span.start}-{span.stop - 1}"
                answer = visitor.begin("/sparse", Range=field)
                assert answer.status == 206
                digests[span.start] = digest_of(iter(partial(answer.read, MEBIBYTE), b""))
            for number in range(reader, FILES, readers):
                answer = visitor.begin(f"/many/file-{number:05}")
                assert int(answer.read()) == number % CONTENTS
        return digests

    begun = time.monotonic()
    with ThreadPoolExecutor(readers) as pool:
        digests = {k: v for each in pool.map(read, range(readers)) for k, v in each.items()}
    seconds = time.monotonic() - begun
    grown = pair.frpc.pss() - before
    with (tree.root / "sparse").open("rb") as file:
        for span in spans:
            pieces = (file.read(MEBIBYTE) for _ in range(0, len(span), MEBIBYTE))
            assert digests[span.start] == digest_of(pieces)
    record_property("seconds", round(seconds, 1))
    record_property("grown", grown)
    assert grown < MAX_GROWTH_BYTES


def digest_of(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
