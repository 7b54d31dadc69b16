"""What one request for a file comes to."""

from __future__ import annotations

import errno
import os
import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from frpd.client.plugins import static_site
from frpd.client.plugins.login import Login
from frpd.client.plugins.static_answers import Answer
from frpd.client.plugins.static_site import (
    FIRST_BYTES,
    FRESH_SECONDS,
    KEPT_LISTINGS,
    StaticSite,
)
from frpd.client.plugins.static_tree import Opened, StaticTree
from frpd.config.params import Params
from frpd.proto.http.head import RequestHead, ResponseHead, parse_request, parse_response
from tests.helpers.clock import MockClock
from tests.helpers.world import FixedEntropy

OLD = 784111777
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


class Reply:
    """An answer as its visitor gets it."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        text = b""
        for part in answer.parts:
            if isinstance(part, bytes):
                text += part
            else:
                assert answer.file is not None
                text += os.pread(answer.file.fd, part[1] - part[0], part[0])
        end = text.index(b"\r\n\r\n") + 4
        self.head: ResponseHead = parse_response(text[:end])
        self.body = text[end:]
        self.status = self.head.status

    def __getitem__(self, name: str) -> str | None:
        return self.head.get(name)


class Site:
    """A site over a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = MockClock()
        self.login = Params()
        self.prefix = ""
        self.tree = StaticTree(str(root))
        self._site: StaticSite | None = None

    @property
    def site(self) -> StaticSite:
        if self._site is None:
            login = Login(self.login, "user", "password")
            self._site = StaticSite(self.tree, self.clock, FixedEntropy(), login, self.prefix)
        return self._site

    def add(self, name: str, content: bytes = b"content") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (OLD, OLD))
        return path

    def ask(self, target: str = "/", *fields: str, method: str = "GET") -> Reply:
        head = asked(target, *fields, method=method)
        answer = self.site.refusal(head, keep=True) or self.site.answer(head, keep=True)
        return Reply(answer)


def asked(target: str, *fields: str, method: str = "GET") -> RequestHead:
    lines = "".join(f"{field}\r\n" for field in fields)
    return parse_request(f"{method} {target} HTTP/1.1\r\nHost: h\r\n{lines}\r\n".encode())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    root = tmp_path / "root"
    root.mkdir()
    return Site(root)


def test_a_file_is_sent_with_all_that_tells_its_state(site: Site) -> None:
    site.add("a.html", b"<p>")
    reply = site.ask("/a.html")
    assert (reply.status, reply.body) == (200, b"<p>")
    assert reply["content-length"] == "3"
    assert reply["content-type"] == "text/html; charset=utf-8"
    assert reply["last-modified"] == DATE
    assert reply["accept-ranges"] == "bytes"
    assert re.fullmatch(r'"[0-9a-f]+-3-[0-9a-f]+"', reply["etag"] or "")
    assert reply["x-content-type-options"] == "nosniff"
    assert reply.answer.file is None  # small: nothing stays open


def test_head_is_get_without_the_body(site: Site) -> None:
    site.add("a")
    get, head = site.ask("/a"), site.ask("/a", method="HEAD")
    assert (head.body, head.answer.file) == (b"", None)
    assert [f for f in head.head.fields if f[0] != "Date"] == [
        f for f in get.head.fields if f[0] != "Date"
    ]


def test_only_the_beginning_of_a_large_file_is_held_in_memory(site: Site) -> None:
    content = os.urandom(FIRST_BYTES + 5)
    site.add("a", content)
    reply = site.ask("/a")
    assert reply.body == content
    assert list(reply.answer.parts)[1:] == [(FIRST_BYTES, FIRST_BYTES + 5)]
    assert site.ask("/a", "Range: bytes=4-").answer.file is not None


def test_an_empty_file_is_sent(site: Site) -> None:
    site.add("a", b"")
    assert (site.ask("/a").status, site.ask("/a").body) == (200, b"")
    assert site.ask("/a", "Range: bytes=0-").status == 416


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"])
def test_files_can_only_be_read(site: Site, method: str) -> None:
    site.add("a")
    reply = site.ask("/a", method=method)
    assert (reply.status, reply["allow"]) == (405, "GET, HEAD")


def test_a_connection_to_elsewhere_is_refused(site: Site) -> None:
    assert site.ask("h:443", method="CONNECT").status == 405


# Folders.


def test_a_folder_shows_its_index(site: Site) -> None:
    site.add("sub/index.html", b"<i>")
    reply = site.ask("/sub/")
    assert (reply.status, reply.body) == (200, b"<i>")
    assert reply["content-type"] == "text/html; charset=utf-8"
    assert site.ask("/sub/index.html").body == b"<i>"


def test_a_folder_without_one_is_listed(site: Site) -> None:
    site.add("sub/a b.txt")
    reply = site.ask("/sub/")
    assert reply.status == 200
    assert b'<a href="./a%20b.txt">a b.txt</a>' in reply.body
    assert b'<a href="../">' in reply.body
    assert reply["content-length"] == str(len(reply.body))
    assert site.ask("/sub/", method="HEAD").body == b""
    assert b'<a href="../">' not in site.ask("/").body


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/sub", "./sub/"),
        ("/sub/deep", "./deep/"),
        ("/sub/deep?a=b&c", "./deep/?a=b&c"),
        ("//sub", "./sub/"),
        ("/a%3Ab", "./a%3Ab/"),
        ("/%0d%0aX:y", "./%0D%0AX%3Ay/"),
        ("http://h/sub", "./sub/"),
        ("/sub/deep?x/../y", "./deep/?x/../y"),
    ],
)
def test_a_folder_without_its_slash_is_sent_there(site: Site, target: str, location: str) -> None:
    for folder in ("sub/deep", "a:b", "\r\nX:y"):
        (site.root / folder).mkdir(parents=True)
    reply = site.ask(target)
    assert (reply.status, reply["location"]) == (301, location)
    assert reply["x"] is None


def test_a_file_is_no_folder(site: Site) -> None:
    site.add("a")
    assert site.ask("/a/").status == 404
    assert site.ask("/a/b").status == 404


def test_an_index_that_is_no_file_is_not_shown(site: Site) -> None:
    (site.root / "one" / "index.html").mkdir(parents=True)
    (site.root / "two").mkdir()
    (site.root / "two" / "index.html").symlink_to("/etc/passwd")
    assert site.ask("/one/").status == 403
    assert site.ask("/two/").status == 403


def test_a_listing_is_shown_again_for_a_while(site: Site) -> None:
    path = site.add("a", b"1")
    first = site.ask("/").body
    path.write_bytes(b"12")
    assert site.ask("/").body == first
    site.clock.advance(FRESH_SECONDS)
    assert b"2 B" in site.ask("/").body


def test_a_listing_is_new_when_an_entry_comes(site: Site) -> None:
    site.ask("/")
    site.add("new")
    os.utime(site.root, ns=(0, 1))  # the file system's clock may tick slowly
    assert b"new" in site.ask("/").body


def test_few_listings_are_kept(site: Site) -> None:
    for index in range(KEPT_LISTINGS + 2):
        (site.root / str(index)).mkdir()
        site.ask(f"/{index}/")
    assert len(site.site._listings.kept) == KEPT_LISTINGS


# What is asked for.


@pytest.mark.parametrize(
    ("field", "status", "told", "body"),
    [
        ("bytes=0-2", 206, "bytes 0-2/7", b"con"),
        ("bytes=4-", 206, "bytes 4-6/7", b"ent"),
        ("bytes=-2", 206, "bytes 5-6/7", b"nt"),
        ("bytes=0-6", 206, "bytes 0-6/7", b"content"),
        ("bytes=9-,1-1", 206, "bytes 1-1/7", b"o"),
        ("bytes=2-1", 200, None, b"content"),
        ("bytes=0-,0-", 200, None, b"content"),
        ("lines=1-2", 200, None, b"content"),
    ],
)
def test_a_range_is_sent(
    site: Site, field: str, status: int, told: str | None, body: bytes
) -> None:
    site.add("a")
    reply = site.ask("/a", f"Range: {field}")
    assert (reply.status, reply["content-range"], reply.body) == (status, told, body)
    assert reply["content-length"] == str(len(body))


def test_a_range_beyond_the_end_is_not_satisfied(site: Site) -> None:
    site.add("a")
    reply = site.ask("/a", "Range: bytes=7-")
    assert (reply.status, reply["content-range"]) == (416, "bytes */7")


def test_ranges_are_for_get_and_come_once(site: Site) -> None:
    site.add("a")
    assert site.ask("/a", "Range: bytes=0-1", method="HEAD").status == 200
    assert site.ask("/a", "Range: bytes=0-1", "Range: bytes=2-3").status == 200


def test_several_ranges_are_sent_in_parts(site: Site) -> None:
    site.add("a.css")
    reply = site.ask("/a.css", "Range: bytes=5-6,0-1")
    boundary = (1).to_bytes(16, "big").hex()
    assert reply["content-type"] == f"multipart/byteranges; boundary={boundary}"
    part = (
        "--{}\r\nContent-Type: text/css; charset=utf-8\r\nContent-Range: bytes {}/7\r\n\r\n{}\r\n"
    )
    expected = part.format(boundary, "5-6", "nt") + part.format(boundary, "0-1", "co")
    assert reply.body.decode() == f"{expected}--{boundary}--\r\n"
    assert reply["content-length"] == str(len(reply.body))


def test_a_range_of_a_changed_file_is_all_of_it(site: Site) -> None:
    site.add("a")
    etag = site.ask("/a")["etag"]
    assert site.ask("/a", "Range: bytes=0-1", f"If-Range: {etag}").status == 206
    assert site.ask("/a", "Range: bytes=0-1", f"If-Range: {DATE}").status == 206
    assert site.ask("/a", "Range: bytes=0-1", 'If-Range: "other"').status == 200
    (site.root / "a").write_bytes(b"changed")  # just now: nothing is sure
    etag = site.ask("/a")["etag"] or ""
    assert etag.startswith("W/")
    assert site.ask("/a", "Range: bytes=0-1", f"If-Range: {etag}").status == 200


def test_who_has_the_file_gets_none(site: Site) -> None:
    site.add("a")
    etag = site.ask("/a")["etag"]
    for field in (f"If-None-Match: {etag}", f"If-Modified-Since: {DATE}"):
        reply = site.ask("/a", field, "Range: bytes=0-1")
        assert (reply.status, reply.body, reply["etag"]) == (304, b"", etag)
        assert reply["content-length"] is None
    assert site.ask("/a", 'If-Match: "other"').status == 412


# Who asks, and where.


def credentials(pair: str) -> str:
    return f"Authorization: Basic {b64encode(pair.encode()).decode()}"


def test_a_login_is_demanded(site: Site) -> None:
    site.add("a")
    site.login = Params({"user": "al", "password": "b=c"})
    for fields in ([], [credentials("al:b")], [credentials("x:b=c")], ["Authorization: Basic x"]):
        for target in ("/a", "/nope"):
            reply = site.ask(target, *fields)
            assert reply.status == 401
            assert reply["www-authenticate"] == 'Basic realm="Restricted"'
    assert site.ask("/a", method="POST").status == 401
    assert site.ask("/a", credentials("al:b=c")).status == 200
    assert site.ask("/a", credentials("al:b=c"), method="POST").status == 405


@pytest.mark.parametrize("prefix", ["static", "/static/", "static/"])
def test_a_prefix_is_taken_off(site: Site, prefix: str) -> None:
    site.add("a")
    site.prefix = prefix
    assert site.ask("/static/a").body == b"content"
    assert site.ask("/st%61tic/a").body == b"content"
    assert site.ask("/static/").status == 200
    assert site.ask("/static")["location"] == "./static/"
    for target in ("/a", "/", "/other/a", "/statica", "/static%2fa"):
        assert site.ask(target).status == 404


def test_a_prefix_may_have_several_parts(site: Site) -> None:
    site.add("a")
    site.prefix = "x/y z"
    assert site.ask("/x/y%20z/a").body == b"content"
    assert site.ask("/x/").status == 404


@pytest.mark.parametrize(
    "target",
    [
        "/..",
        "/../",
        "/../secret",
        "/../../../../../../etc/passwd",
        "/sub/../../secret",
        "/sub/../a",
        "/./a",
        "/%2e%2e/secret",
        "/%2E%2E/secret",
        "/.%2e/secret",
        "/%2e/a",
        "/..%2fsecret",
        "/..%2Fsecret",
        "/%2e%2e%2fsecret",
        "/%2fetc/passwd",
        "/sub%2f..%2f..%2fsecret",
        "/a%2f",
        "//etc/passwd",
        "/..\\secret",
        "/..%5csecret",
        "/%5c..%5c..%5csecret",
        "/%252e%252e/secret",
        "/%252e%252e%252fsecret",
        "/%c0%ae%c0%ae/secret",
        "/%c0%afsecret",
        "/\\\\host\\share",
        "/file:///etc/passwd",
        "/..;/secret",
        "/sub/..;/..;/secret",
        "/~root/",
        "/a/../../secret",
        "/" + "x" * 300,
        "/" + "x/" * 2500,
        "/" + "../" * 100 + "etc/passwd",
        "http://h/../secret",
        "http://h/%2e%2e/secret",
        "/link",
        "/link/secret",
        "/absolute",
        "/folder/secret",
        "/up/up/secret",
        "/proc/self/environ",
        "/dev/zero",
        "/fifo",
    ],
)
def test_no_way_leads_out(site: Site, target: str) -> None:
    secret = site.root.parent / "secret"
    secret.write_bytes(b"secret")
    (site.root / "sub").mkdir()
    site.add("a", b"harmless")
    (site.root / "link").symlink_to("../secret")
    (site.root / "absolute").symlink_to(secret)
    (site.root / "folder").symlink_to("..")
    (site.root / "up").symlink_to("sub/../..")
    (site.root / "proc").symlink_to("/proc")
    (site.root / "dev").symlink_to("/dev")
    os.mkfifo(site.root / "fifo")
    reply = site.ask(target)
    assert reply.status in (403, 404)
    assert b"secret" not in reply.body


# What may go wrong.


def fails_with(number: int) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("number", "status", "is_noted"),
    [
        (errno.EACCES, 403, False),
        (errno.EMFILE, 503, True),
        (errno.EIO, 500, True),
        (errno.EAGAIN, 500, True),
    ],
)
def test_what_the_system_says_becomes_a_status(
    site: Site, number: int, status: int, is_noted: bool
) -> None:
    site.tree = StaticTree(str(site.root), fails_with(number))
    reply = site.ask("/a")
    assert reply.status == status
    assert bool(reply.answer.note) is is_noted


def test_an_operator_hears_of_a_folder_that_is_missing(site: Site) -> None:
    site.tree = StaticTree(str(site.root / "nope"))
    reply = site.ask("/a")
    assert reply.status == 404
    assert reply.answer.note == "cannot open the folder to serve: No such file or directory"


class ShrinkingTree(StaticTree):
    """Every file is longer when it is opened than when it is read."""

    times = 1

    def open(self, path: tuple[bytes, ...]) -> Opened:
        opened = super().open(path)
        if self.times:
            self.times -= 1
            fields = list(opened.stat)
            fields[6] += 100
            opened.stat = os.stat_result(fields, {"st_mtime_ns": opened.stat.st_mtime_ns})
        return opened


def test_a_file_that_shrinks_before_it_is_read_has_its_new_size(site: Site) -> None:
    site.add("a")
    site.tree = ShrinkingTree(str(site.root))
    reply = site.ask("/a")
    assert (reply.status, reply.body, reply["content-length"]) == (200, b"content", "7")


def test_a_file_that_shrinks_all_the_time_is_not_sent(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("a")
    site.tree = ShrinkingTree(str(site.root))
    stat = os.stat_result((0o100644, 1, 1, 1, 0, 0, 99, 0, 0, 0), {"st_mtime_ns": 0})
    monkeypatch.setattr(static_site.os, "fstat", lambda _: stat)  # type: ignore[attr-defined]
    assert site.ask("/a").status == 503
