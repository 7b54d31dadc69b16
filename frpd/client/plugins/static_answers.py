"""Answers of static_file as they go out: heads, pages, and spans of files behind them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from frpd.client.plugins.static_pages import HTML, POLICY, REASONS, error_page
from frpd.clock import unix_now
from frpd.net.file_source import OpenFile
from frpd.proto.http.conditional import Validators, format_date
from frpd.proto.http.head import RequestHead
from frpd.proto.http.ranges import Span

SETTLED_SECONDS: Final = 2
"""A file that changed this lately may change again within one tick of its clock."""

Part: TypeAlias = bytes | Span
HeadFields: TypeAlias = list[tuple[str, str]]


@dataclass(slots=True, eq=False)
class Answer:
    """What to send for one request."""

    status: int
    parts: deque[Part]
    """In order: bytes, the head first, and spans of ``file``."""
    keep: bool
    """Another request may follow."""
    file: OpenFile | None = None
    note: str = ""
    """What the operator should know."""

    def add(self, part: Part) -> None:
        """Send this too; bytes behind bytes go out in one piece."""
        last = self.parts[-1] if self.parts else None
        if isinstance(part, bytes) and isinstance(last, bytes):
            self.parts[-1] = last + part
        else:
            self.parts.append(part)


def bare_answer(
    status: int, fields: Iterable[tuple[str, str]], *, keep: bool, head: RequestHead | None
) -> Answer:
    """Return an answer that is a head so far.

    Args:
        status: of the answer.
        fields: those that are its own, in order.
        keep: whether the connection stays.
        head: of the request; None if that could not be read.
    """
    lines = [
        f"HTTP/1.1 {status} {REASONS[status]}",
        f"Date: {format_date(unix_now())}",
        *(f"{name}: {value}" for name, value in fields),
        "X-Content-Type-Options: nosniff",
    ]
    if not keep:
        lines.append("Connection: close")
    elif head is not None and head.version == (1, 0):
        lines.append("Connection: keep-alive")
    text = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return Answer(status, deque([text]), keep)


def html_answer(
    status: int,
    page: bytes,
    *,
    keep: bool,
    head: RequestHead | None,
    fields: Iterable[tuple[str, str]] = (),
) -> Answer:
    """Return an answer that is a page of ours, without the page if it was asked for by HEAD."""
    own = [
        ("Content-Type", HTML),
        ("Content-Length", str(len(page))),
        ("Cache-Control", "no-store" if status != 301 else "no-cache"),
        ("Content-Security-Policy", POLICY),
    ]
    answer = bare_answer(status, [*own, *fields], keep=keep, head=head)
    if head is None or head.method != "HEAD":
        answer.add(page)
    return answer


def page_answer(
    status: int,
    *,
    keep: bool,
    head: RequestHead | None = None,
    fields: Iterable[tuple[str, str]] = (),
) -> Answer:
    """Return an answer that says what is wrong."""
    return html_answer(status, error_page(status), keep=keep, head=head, fields=fields)


def redirect(head: RequestHead, location: str, *, keep: bool) -> Answer:
    """Return an answer that sends the visitor elsewhere."""
    return page_answer(301, keep=keep, head=head, fields=[("Location", location)])


def validators(status: os.stat_result, now: int) -> Validators:
    """Return what tells this state of a file from others."""
    etag = f'"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"'
    modified = status.st_mtime_ns // 1_000_000_000
    is_settled = 0 <= modified <= now - SETTLED_SECONDS
    return Validators(etag if is_settled else f"W/{etag}", max(0, modified))


def length_of(part: Part) -> int:
    """Return how many bytes a part has."""
    return len(part) if isinstance(part, bytes) else part[1] - part[0]
