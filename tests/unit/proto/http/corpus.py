"""The corpus of requests in tests/data/http/smuggling.json, and a reader as the server has one.

The live server's tests use ``CASES`` as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frpd.proto.http.body import ChunkedBody, Dechunker, Framing
from frpd.proto.http.head import DEFAULT_LIMITS, Limits, RequestHead, head_end, parse_request

FOLDER = Path(__file__).parents[3] / "data" / "http"
_REPEAT = re.compile(r"\{\{(\d+)\*((?:(?!\{\{|\}\}).)*)\}\}", re.DOTALL)


def expanded(text: str) -> bytes:
    """Return the bytes that a text of the corpus stands for."""
    while True:
        text, found = _REPEAT.subn(lambda match: match[2] * int(match[1]), text)
        if not found:
            return text.encode("latin-1")


@dataclass(frozen=True)
class Case:
    """One request and what must become of it."""

    name: str
    request: bytes
    status: int
    closes: bool
    at: str
    facts: dict[str, str]

    def __str__(self) -> str:
        return self.name


def _case(entry: dict[str, Any]) -> Case:
    facts = {key: expanded(entry[key]).decode("latin-1") for key in FACTS if key in entry}
    request = expanded(entry["request"])
    at = entry.get("at", "")
    return Case(entry["name"], request, entry["status"], entry["closes"], at, facts)


FACTS = ("method", "target", "host", "path", "body", "rest")
CASES = [
    _case(entry)
    for entry in json.loads((FOLDER / "smuggling.json").read_text(encoding="utf-8"))["cases"]
]


@dataclass
class Message:
    """A request that was read to its end."""

    head: RequestHead
    raw_body: bytes
    payload: bytes
    rest: bytes


def read_request(pieces: Iterable[bytes], limits: Limits = DEFAULT_LIMITS) -> Message | None:
    """Read one request from ``pieces`` as they come; None: it is not complete."""
    buffer, searched = bytearray(), 0
    head: RequestHead | None = None
    raw = bytearray()
    for piece in pieces:
        buffer += piece
        if head is None:
            length = head_end(buffer, searched, limits)
            searched = len(buffer)
            if not length:
                continue
            head = parse_request(buffer[:length], limits)
            del buffer[:length]
        taken = head.body.take(buffer)
        raw += buffer[:taken]
        del buffer[:taken]
    if head is None or not head.body.over:
        return None
    return Message(head, bytes(raw), payload_of(head.body, bytes(raw)), bytes(buffer))


def payload_of(framing: Framing, raw: bytes) -> bytes:
    """Return what a body carries."""
    return Dechunker().feed(raw) if isinstance(framing, ChunkedBody) else raw
