"""StaticSite: what one request for a file comes to. Knows files and HTTP, and no connection.

``refusal`` is quick and may run on the loop; ``answer`` opens, asks and lists, which
may take long: it is for workers. What it returns is complete: a head, and what to
send behind it out of memory or out of an open file.
"""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from frpd.client.plugins.login import Login
from frpd.client.plugins.static_answers import (
    Answer,
    HeadFields,
    Part,
    bare_answer,
    html_answer,
    length_of,
    page_answer,
    redirect,
    validators,
)
from frpd.client.plugins.static_pages import listing
from frpd.client.plugins.static_tree import FolderMissing, Opened, StaticTree
from frpd.client.plugins.static_types import SNIFF_BYTES, type_by_content, type_by_name
from frpd.clock import Clock, unix_now
from frpd.entropy import Entropy
from frpd.proto.http.basic import challenge, parse_basic
from frpd.proto.http.conditional import Verdict, evaluate, format_date, range_applies
from frpd.proto.http.head import RequestHead
from frpd.proto.http.ranges import Span, content_range, parse_ranges

METHODS: Final = ("GET", "HEAD")
INDEX: Final = b"index.html"
FIRST_BYTES: Final = 64 * 1024
"""What goes out of memory together with the head; many files are not longer."""
FRESH_SECONDS: Final = 2.0
"""For so long a listing is shown again, unless an entry comes or goes."""
KEPT_LISTINGS: Final = 4
_MAX_TRIES: Final = 3

# What the system says, and what a visitor is told; all else is a fault of ours.
_STATUSES: Final = {
    errno.ENOENT: 404,
    errno.ENOTDIR: 404,
    errno.ENAMETOOLONG: 404,
    errno.ELOOP: 404,
    errno.EACCES: 403,
    errno.EPERM: 403,
    errno.EXDEV: 403,
    errno.EMFILE: 503,
    errno.ENFILE: 503,
    errno.ENOMEM: 503,
}


class _Short(Exception):
    """A file became shorter between two system calls."""


@dataclass(slots=True, eq=False)
class _Listings:
    """The listings shown last: many visitors of one large folder cost one."""

    clock: Clock
    lock: threading.Lock = field(default_factory=threading.Lock)
    kept: dict[tuple[int, int, int, bytes], tuple[float, bytes]] = field(default_factory=dict)

    def show(self, folder: Opened, path: bytes, *, has_parent: bool) -> bytes:
        status = folder.stat
        key = (status.st_dev, status.st_ino, status.st_mtime_ns, path)
        with self.lock:  # and they are written one at a time
            made_at, page = self.kept.get(key, (float("-inf"), b""))
            if self.clock.now() - made_at < FRESH_SECONDS:
                return page
            page = listing(folder.file.fd, path, has_parent=has_parent)
            self.kept.pop(key, None)
            while len(self.kept) >= KEPT_LISTINGS:
                del self.kept[next(iter(self.kept))]
            self.kept[key] = (self.clock.now(), page)
            return page


class StaticSite:
    """Answers requests with the files of a tree. Any thread.

    Args:
        tree: of the files.
        clock: tells how old a listing is.
        entropy: for what parts of an answer are told apart by; from any thread.
        login: whom to let in.
        prefix: first components of all paths, see plugin_strip_prefix.
    """

    def __init__(
        self, tree: StaticTree, clock: Clock, entropy: Entropy, login: Login, prefix: str = ""
    ) -> None:
        self._tree = tree
        self._entropy = entropy
        self._login = login
        self._prefix = tuple(part for part in os.fsencode(prefix).split(b"/") if part)
        self._listings = _Listings(clock)

    def refusal(self, head: RequestHead, *, keep: bool) -> Answer | None:
        """Return the answer to a request that needs no look at the files."""
        if not self._admits(head):
            fields = [("WWW-Authenticate", challenge())]
            return page_answer(401, keep=keep, head=head, fields=fields)
        if head.method not in METHODS:
            return page_answer(405, keep=keep, head=head, fields=[("Allow", ", ".join(METHODS))])
        return None

    def answer(self, head: RequestHead, *, keep: bool) -> Answer:
        """Return the answer to a request that was not refused. Worker threads only."""
        path = _Path.of(head)
        if path is None or path.parts[: len(self._prefix)] != self._prefix:
            return page_answer(404, keep=keep, head=head)
        try:
            return self._find(head, path, keep=keep)
        except FolderMissing as error:
            answer = page_answer(404, keep=keep, head=head)
            answer.note = f"cannot open the folder to serve: {error.strerror}"
            return answer
        except _Short:
            return page_answer(503, keep=keep, head=head)
        except OSError as error:
            status = _STATUSES.get(error.errno or 0, 500)
            answer = page_answer(status, keep=keep, head=head)
            if status >= 500:
                answer.note = f"cannot read a file: {error.strerror or error}"
            return answer

    def _admits(self, head: RequestHead) -> bool:
        if not self._login.is_demanded:
            return True
        pair = parse_basic(head.get("authorization") or "")
        return pair is not None and self._login.admits(pair[0].encode(), pair[1].encode())

    def _find(self, head: RequestHead, path: _Path, *, keep: bool) -> Answer:
        parts = path.parts[len(self._prefix) :]
        opened = self._tree.open(parts)
        if not opened.is_folder:
            if path.is_folder:
                return page_answer(404, keep=keep, head=head)
            return self._file(head, parts, opened, keep=keep)
        if not path.is_folder:
            return redirect(head, path.to_folder, keep=keep)
        try:
            index = self._tree.open((*parts, INDEX))
        except FileNotFoundError:
            page = self._listings.show(opened, path.shown, has_parent=bool(parts))
            return html_answer(200, page, keep=keep, head=head)
        if index.is_folder:
            return page_answer(403, keep=keep, head=head)
        return self._file(head, (INDEX,), index, keep=keep)

    def _file(
        self, head: RequestHead, parts: tuple[bytes, ...], opened: Opened, *, keep: bool
    ) -> Answer:
        for _ in range(_MAX_TRIES):
            try:
                return _FileAnswer(head, parts[-1], opened, self._entropy, keep=keep).make()
            except _Short:
                opened.stat = os.fstat(opened.file.fd)
        raise _Short


@dataclass(frozen=True, slots=True)
class _Path:
    """The path of a request: decoded once, component by component."""

    parts: tuple[bytes, ...]
    is_folder: bool
    """It ends with a slash."""
    query: str
    """With its question mark, as sent."""

    @classmethod
    def of(cls, head: RequestHead) -> _Path | None:
        """Return the path asked for, or None: it cannot be one of a file."""
        raw, mark, query = head.target.partition("?")
        if not raw.startswith("/"):  # absolute form, checked by the parser
            raw = "/" + raw.partition("://")[2].partition("/")[2]
        parts = tuple(unquote_to_bytes(part) for part in raw.split("/") if part)
        if any(part in (b".", b"..") or b"/" in part or b"\0" in part for part in parts):
            return None
        return cls(parts, raw.endswith("/"), mark + query)

    @property
    def shown(self) -> bytes:
        return b"/" + b"".join(part + b"/" for part in self.parts)

    @property
    def to_folder(self) -> str:
        """Return the way to itself with a slash at the end, relative: so it leads nowhere else."""
        return f"./{quote_from_bytes(self.parts[-1], safe='')}/{self.query}"


class _FileAnswer:
    """The answer that is a file, or part of one."""

    def __init__(
        self, head: RequestHead, name: bytes, opened: Opened, entropy: Entropy, *, keep: bool
    ) -> None:
        self._head = head
        self._entropy = entropy
        self._file = opened.file
        self._size = opened.stat.st_size
        self._keep = keep
        self._type = type_by_name(name) or type_by_content(self._read(0, SNIFF_BYTES))
        self._own = validators(opened.stat, unix_now())

    def make(self) -> Answer:
        """Return the answer.

        Raises:
            _Short: the file has become shorter.
        """
        head, own = self._head, self._own
        fields = [
            ("ETag", own.etag),
            ("Last-Modified", format_date(own.modified)),
            ("Accept-Ranges", "bytes"),
        ]
        verdict = evaluate(head, own)
        if verdict is Verdict.NOT_MODIFIED:
            return bare_answer(304, fields, keep=self._keep, head=head)
        if verdict is Verdict.FAILED:
            return page_answer(412, keep=self._keep, head=head)
        spans = self._spans()
        if spans == []:
            unsatisfied = [("Content-Range", f"bytes */{self._size}")]
            return page_answer(416, keep=self._keep, head=head, fields=unsatisfied)
        if spans is None:
            return self._with_body(200, fields, (0, self._size))
        if len(spans) == 1:
            fields.append(("Content-Range", content_range(spans[0], self._size)))
            return self._with_body(206, fields, spans[0])
        return self._multipart(fields, spans)

    def _spans(self) -> list[Span] | None:
        """Return what is asked for; None for all of it."""
        values = self._head.get_all("range")
        if self._head.method != "GET" or len(values) != 1:
            return None
        if not range_applies(self._head, self._own):
            return None
        return parse_ranges(values[0], self._size)

    def _with_body(self, status: int, fields: HeadFields, span: Span) -> Answer:
        start, end = span
        fields = [("Content-Type", self._type), ("Content-Length", str(end - start)), *fields]
        answer = bare_answer(status, fields, keep=self._keep, head=self._head)
        if self._head.method == "HEAD" or start == end:
            return answer
        first_end = min(end, start + FIRST_BYTES)
        first = self._read(start, first_end - start)
        if len(first) < first_end - start:
            raise _Short
        answer.add(first)
        if first_end < end:
            answer.add((first_end, end))
            answer.file = self._file
        return answer

    def _multipart(self, fields: HeadFields, spans: list[Span]) -> Answer:
        boundary = self._entropy.token_bytes(16).hex()  # no file can hold it on purpose
        parts: list[Part] = []
        for span in spans:
            line_end = "\r\n" if parts else ""
            parts.append(
                f"{line_end}--{boundary}\r\nContent-Type: {self._type}\r\n"
                f"Content-Range: {content_range(span, self._size)}\r\n\r\n".encode()
            )
            parts.append(span)
        parts.append(f"\r\n--{boundary}--\r\n".encode())
        length = sum(length_of(part) for part in parts)
        fields = [
            ("Content-Type", f"multipart/byteranges; boundary={boundary}"),
            ("Content-Length", str(length)),
            *fields,
        ]
        answer = bare_answer(206, fields, keep=self._keep, head=self._head)
        for part in parts:
            answer.add(part)
        answer.file = self._file
        return answer

    def _read(self, start: int, nbytes: int) -> bytes:
        return os.pread(self._file.fd, nbytes, start)
