"""Access log: what is told of each visit that is over, and its two forms of a line.

Sans-IO: times are arguments. A line is one line whatever a peer has sent: in JSON all but ASCII
is written as an escape, in text a value with anything unusual in it is quoted and escaped. What
could be a secret is not here at all: no query, no header, no password.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from frpd.clock import unix_time
from frpd.log import escape
from frpd.log_json import timestamp, to_json

MAX_VALUE: Final = 2048
"""Characters of one value; what is longer is cut, and ends with CUT."""
CUT: Final = "..."
SIDES: Final = {"a": "visitor", "b": "service"}
"""Of a relay between the two."""
_PLAIN: Final = re.compile(r"[!#-<>-\[\]-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A connection, a udp session, or a request that is over.

    Attributes:
        when: of its end, Unix time.
        type: of the proxy; http for requests that led to none.
        proxy: its name, "" for none.
        run_id: of the client that has it.
        visitor: its address.
        local: the address that it came to; "" where there is none.
        bytes_in: payload from the visitor.
        bytes_out: payload to the visitor.
        seconds: how long it lasted.
        ended: closed, reset, aborted, refused or silent; of a request answered, refused or lost.
        by: who ended it: visitor, service, server, or "" if nobody knows.
        reason: in words.
        method: of a request, as all that follow; "" for other visits.
        host: that was asked for.
        path: without a query, which may hold secrets.
        status: of the answer; 0 for none.
        user: that has proved itself to us; "" where nobody had to.
    """

    when: float
    type: str
    proxy: str = ""
    run_id: str = ""
    visitor: str
    local: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    ended: str
    by: str = ""
    reason: str = ""
    method: str = ""
    host: str = ""
    path: str = ""
    status: int = 0
    user: str = ""


Sink = Callable[[Visit], None]


@dataclass(frozen=True, slots=True)
class ProxyAccess:
    """Where the visits of one proxy are told.

    Attributes:
        sink: takes them.
        proxy: name of the proxy.
        type: of the proxy.
        run_id: of its client.
    """

    sink: Sink
    proxy: str
    type: str
    run_id: str

    def tell(self, **facts: Any) -> None:
        """Tell of a visit; ``facts`` are attributes of Visit."""
        self.sink(
            Visit(when=unix_time(), proxy=self.proxy, type=self.type, run_id=self.run_id, **facts)
        )


def fields(visit: Visit) -> dict[str, str | int | float]:
    """Return what a line says, in its order; a request has fields of its own."""
    found: dict[str, str | int | float] = {
        "time": timestamp(visit.when),
        "type": visit.type,
        "proxy": _short(visit.proxy),
        "run_id": _short(visit.run_id),
        "visitor": visit.visitor,
        "local": visit.local,
        "bytes_in": visit.bytes_in,
        "bytes_out": visit.bytes_out,
        "seconds": round(visit.seconds, 3),
        "ended": visit.ended,
        "by": visit.by,
        "reason": _short(visit.reason),
    }
    if visit.type == "http":
        found |= {
            "method": _short(visit.method),
            "host": _short(visit.host),
            "path": _short(visit.path),
            "status": visit.status,
            "user": _short(visit.user),
        }
    return found


def as_json(visit: Visit) -> str:
    """Return an object, without a line's end."""
    return to_json(fields(visit))


def as_text(visit: Visit) -> str:
    """Return ``time key=value ...``, without a line's end; empty values are left out."""
    rest = fields(visit)
    return f"{rest.pop('time')} {_pairs(rest)}"


def as_remark(visit: Visit) -> str:
    """Return the same without the time, for a line that has one."""
    rest = fields(visit)
    del rest["time"]
    return _pairs(rest)


def _pairs(found: dict[str, str | int | float]) -> str:
    return " ".join(f"{key}={_text(value)}" for key, value in found.items() if value != "")


def _text(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    return escape(json.dumps(text, ensure_ascii=False))


def _short(value: str) -> str:
    return value if len(value) <= MAX_VALUE else value[:MAX_VALUE] + CUT
