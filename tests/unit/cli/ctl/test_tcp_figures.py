"""frpd.cli.ctl.tcp_figures: the kernel's figures of real sockets, where it gives any."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack
from typing import Any

import pytest

from frpd.cli.ctl.tcp_figures import TcpFigures, tcp_figures, with_figures
from frpd.net.address import format_address

NOTHING = {"rtt_ms": None, "rtt_var_ms": None, "retransmits": None}


def row_of(sock: socket.socket) -> dict[str, Any]:
    ends = (format_address(address) for address in (sock.getsockname(), sock.getpeername()))
    return {"socket": dict(zip(("local", "remote"), ends, strict=True))}


def connected(stack: ExitStack, host: str) -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = stack.enter_context(socket.socket(family))
    listener.bind((host, 0))
    listener.listen()
    near = stack.enter_context(socket.socket(family))
    near.connect(listener.getsockname())
    return near, stack.enter_context(listener.accept()[0])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_a_connection_has_a_round_trip_at_both_ends(host: str) -> None:
    pytest.importorskip("pyroute2")
    with ExitStack() as stack:
        ends = connected(stack, host)
        ends[0].sendall(b"x")
        ends[1].recv(1)
        rows = with_figures([row_of(sock) for sock in ends])
    if rows[0]["rtt_ms"] is None:
        pytest.skip("this kernel has no inet_diag")
    for row in rows:
        assert 0 < row["rtt_ms"] < 10_000
        assert row["rtt_var_ms"] >= 0
        assert row["retransmits"] == 0


def test_the_zone_of_an_address_is_no_part_of_what_the_kernel_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row: dict[str, Any] = {"socket": {"local": "[fe80::1%lo]:1", "remote": "[fe80::2%lo]:2"}}
    known = TcpFigures(1.5, 0.5, 7)
    found = {("[fe80::1]:1", "[fe80::2]:2"): known}
    monkeypatch.setattr("frpd.cli.ctl.tcp_figures.tcp_figures", lambda _ends: found)
    assert with_figures([row]) == [{**row, **known._asdict()}]


def test_rows_without_a_socket_have_no_figures_and_nobody_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("frpd.cli.ctl.tcp_figures.tcp_figures", None)
    assert with_figures([{"socket": None}, {}]) == [{"socket": None, **NOTHING}, NOTHING]


def test_without_pyroute2_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyroute2.netlink.diag", None)
    assert tcp_figures([("127.0.0.1:1", "127.0.0.1:2")]) == {}


def test_without_inet_diag_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    diag = pytest.importorskip("pyroute2.netlink.diag")

    def refuse(*_arguments: object, **_more: object) -> None:
        raise OSError(93, "Protocol not supported")

    monkeypatch.setattr(diag.DiagSocket, "get_sock_stats", refuse)
    assert tcp_figures([("127.0.0.1:1", "127.0.0.1:2")]) == {}
