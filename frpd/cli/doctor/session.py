"""What frpc that runs says of its session, and of its proxies and visitors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from frpd.admin.frpc.reasons import remedy_for
from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Finding, fault, ok, warning

RUNNING: Final = "running"
CHECK_FAILED: Final = "check failed"
ASK_SERVER: Final = "ask the server's operator, or look into its log"


def check_session(case: Case) -> Iterable[Finding]:
    """Look at the session with the server, as it is by now."""
    if case.program == "frpc":
        case.look_again()
    server = case.status.get("server")
    return [judge_session(server)] if isinstance(server, Mapping) else []


def judge_session(server: Mapping[str, Any]) -> Finding:
    """Judge the session of a client that runs."""
    address = server.get("address", "the server")
    if server.get("is_connected"):
        return ok(f"frpc is connected to {address} ({server.get('speaks', '')})")
    error = server.get("last_error")
    if not error:
        return warning(
            f"frpc is about to log in to {address}",
            "ask again in some seconds; if it stays so, see what is said of reach and login here",
        )
    return fault(
        f"frpc has no session with {address}: {error}",
        "do what is said of dns, reach and login here; frpc tries again by itself",
    )


def check_proxies(case: Case) -> Iterable[Finding]:
    """Look at the proxies and the visitors."""
    proxies, visitors = case.status.get("proxies"), case.status.get("visitors")
    server = case.status.get("server", {})
    if not isinstance(proxies, Sequence) or not server.get("is_connected"):
        return []
    return [*judge_proxies(proxies), *judge_visitors(visitors or ())]


def judge_proxies(rows: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Judge the proxies of a client that has a session."""
    running = sum(row["status"] == RUNNING for row in rows)
    for row in rows:
        if row["status"] != RUNNING:
            yield _judge_proxy(row)
    if rows and running:
        yield ok(f"{running} of {len(rows)} proxies are registered with the server")


def _judge_proxy(row: Mapping[str, Any]) -> Finding:
    name, error = row["name"], row.get("err", "")
    if row["status"] == CHECK_FAILED:
        return fault(
            f"proxy {name} is withdrawn: the health check of its local service fails"
            f" ({error or row.get('local_addr', '')})",
            "start the local service, or correct the health_check_ keys",
        )
    if error:
        remedy = remedy_for(error) or ASK_SERVER
        return fault(f"the server refuses proxy {name}: {error}", remedy)
    return warning(
        f"proxy {name} is not registered yet ({row['status']})",
        "ask again in some seconds; if it stays so, look into the log of frps",
    )


def judge_visitors(rows: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Judge the visitors."""
    for row in rows:
        name, error = row["name"], row.get("err", "")
        if error and "address already in use" in error:
            yield fault(
                f"visitor {name} cannot listen: the port of {row.get('bind_addr')} is taken"
                f" ({error})",
                "stop who has that port, or choose another bind_port",
            )
        elif error:
            yield fault(
                f"visitor {name} does not work: {error}",
                "check its bind_addr, server_name and sk against the other client's",
            )
