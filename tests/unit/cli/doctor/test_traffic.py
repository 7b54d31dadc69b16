"""Which connection of the kernel's is which of the daemon's."""

from __future__ import annotations

from typing import Any

from frpd.cli.admin_client import Target
from frpd.cli.ctl.daemons import Daemon
from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Verdict
from frpd.cli.doctor.flows import Link
from frpd.cli.doctor.sockets import Pair, SocketFacts
from frpd.cli.doctor.traffic import check_traffic, flows_of_client, flows_of_server, split

VISITOR: Pair = (("192.0.2.1", 6000), ("198.51.100.7", 40000))
TRUNK: Pair = (("192.0.2.1", 7000), ("203.0.113.9", 50000))
SERVICE: Pair = (("127.0.0.1", 40001), ("127.0.0.1", 80))
TO_SERVER: Pair = (("203.0.113.9", 50000), ("192.0.2.1", 7000))


def links(*pairs: Pair) -> dict[Pair, Link]:
    return {pair: Link(SocketFacts(*pair), SocketFacts(*pair)) for pair in pairs}


def row(pair: Pair, **fields: Any) -> dict[str, Any]:
    (local, local_port), (remote, remote_port) = pair
    return {
        "socket": {"local": f"{local}:{local_port}", "remote": f"{remote}:{remote_port}"},
        **fields,
    }


def test_a_server_knows_the_visitor_and_the_client_s_trunk() -> None:
    known = links(VISITOR, TRUNK)
    rows = [
        row(VISITOR, proxy="web", client="abc"),
        row(SERVICE, proxy="gone", client="abc"),
        {"proxy": "unix", "client": "abc", "socket": None},
    ]
    (flow,) = flows_of_server(known, rows, [row(TRUNK, runID="abc")])
    assert (flow.proxy, flow.near, flow.trunk) == ("web", known[VISITOR], known[TRUNK])


def test_a_client_knows_the_service_and_its_way_to_the_server() -> None:
    known = links(SERVICE, TO_SERVER)
    status = {"server": {"address": "frps.example:7000"}}
    (flow,) = flows_of_client(known, [row(SERVICE, proxy="web")], status)
    assert (flow.near, flow.trunk) == (known[SERVICE], known[TO_SERVER])


def test_without_tcp_mux_nobody_knows_which_way_is_whose() -> None:
    second: Pair = (("203.0.113.9", 50001), ("192.0.2.1", 7000))
    status = {"server": {"address": "192.0.2.1:7000"}}
    (flow,) = flows_of_client(
        links(SERVICE, TO_SERVER, second), [row(SERVICE, proxy="web")], status
    )
    assert flow.trunk is None


def test_addresses_are_taken_apart() -> None:
    assert split("[fe80::1%eth0]:80") == ("fe80::1", 80)
    assert split("host:80") == ("host", 80)
    assert split("") == ("", 0)


def test_without_a_daemon_nothing_is_measured_and_a_silent_one_is_a_warning() -> None:
    assert list(check_traffic(Case("frps"))) == []
    daemon = Daemon(Target("/no/such/socket"), {"program": "frps", "pid": 1})
    assert [one.verdict for one in check_traffic(Case("frps", daemon=daemon))] == [Verdict.WARNING]
