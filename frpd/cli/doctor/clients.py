"""Which protocol the clients of frps speak, and what is weak about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from frpd.cli.ctl.daemons import CtlError
from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Finding, ok, warning

ONLINE: Final = "/api/clients?status=online"


def check_clients(case: Case) -> Iterator[Finding]:
    """Look at the clients that are connected."""
    if not case.pid or case.program != "frps":
        return
    try:
        rows = case.get(ONLINE)
    except CtlError as error:
        yield warning(f"the clients cannot be seen: {error}", "ask the doctor again later")
    else:
        yield from judge_clients(rows)


def judge_clients(rows: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Judge the clients that are connected."""
    if not rows:
        yield ok("no client is connected")
        return
    kinds = Counter(row.get("speaks", "") for row in rows)
    said = "; ".join(f"{count} by {kind}" for kind, count in kinds.most_common())
    yield ok(f"clients are connected: {said}")
    weak = sum(bool(row.get("weak")) for row in rows)
    if weak:
        yield warning(
            f"{weak} of them by frp's legacy cipher without TLS, which does not notice changes",
            "set tls_enable = true at those clients, or use frpd there",
        )
