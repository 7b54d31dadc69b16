"""What two frpd ends have between them: all settings of native, and a man in the middle."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.helpers import stripper
from tests.helpers.modes import MUX_ELSE_FULL
from tests.helpers.ports import free_port
from tests.helpers.programs import wait_until
from tests.helpers.stage import WRAPPERS, Stage, tcp
from tests.helpers.visitors import exchange, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

MEBIBYTE = 1 << 20
TOKEN = "a token for the seal"
CHOSEN = {
    True: "deflate,direct-stream,half-close,seal,udp-binary",
    False: "deflate,half-close,seal,udp-binary",
}


class Ends:
    """frps and frpc, and the visitors' port of a proxy with each wrapper."""

    def __init__(self, stage: Stage, echo_port: int, *, mux: bool, server: str, client: str):
        bind_port = free_port()
        self.ports = {wrapper: free_port() for wrapper in WRAPPERS}
        common = {"token": TOKEN, "tcp_mux": mux}
        self.frps = stage.frps(
            {"bind_addr": "127.0.0.1", "bind_port": bind_port, "native": server, **common}
        )
        self.frpc = stage.frpc(
            {"server_addr": "127.0.0.1", "server_port": bind_port, "native": client, **common},
            {name: {**tcp(echo_port, self.ports[name]), **WRAPPERS[name]} for name in WRAPPERS},
        )


# The others say the same from the other end.
BY_DEFAULT = {("off", "off"), ("auto", "off"), ("auto", "auto"), ("require", "require")}
AGREEING = [
    pytest.param(
        (server, client, mux), marks=[] if (server, client) in BY_DEFAULT else pytest.mark.full
    )
    for server in ("off", "auto", "require")
    for client in ("off", "auto", "require")
    for mux in (True, False)
    if {server, client} != {"off", "require"}
]


@pytest.fixture(
    scope="module",
    params=AGREEING,
    ids=lambda row: f"{row[0]}-{row[1]}-{'mux' if row[2] else 'direct'}",
)
def ends(request: pytest.FixtureRequest, module_stage: Stage, echo_port: int) -> Iterator[Ends]:
    server, client, mux = request.param
    ends = Ends(module_stage, echo_port, mux=mux, server=server, client=client)
    line = ends.frps.wait_for("client login info")
    if "off" in (server, client):
        assert "frpd[" not in line
    else:
        assert f"frpd[{CHOSEN[mux]}]" in line
    yield ends
    module_stage.close()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_binary_data_comes_back_as_it_was(ends: Ends, wrapper: str) -> None:
    data = os.urandom(MEBIBYTE) + bytes(range(256)) * 2048 + b"a" * MEBIBYTE
    with visit(ends.ports[wrapper]) as visitor:
        assert exchange(visitor, data) == data


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_single_bytes_are_not_held_back(ends: Ends, wrapper: str) -> None:
    with visit(ends.ports[wrapper]) as visitor:
        for number in range(64):
            assert exchange(visitor, bytes([number])) == bytes([number])


def start_both(
    stage: Stage, *, mux: bool, server: dict[str, object], client: dict[str, object], what: str = ""
) -> Ends:
    """Start both ends, maybe with a man in the middle; nothing is waited for."""
    ends = Ends.__new__(Ends)
    bind_port = free_port()
    port = bind_port
    common: dict[str, object] = {"token": TOKEN, "tcp_mux": mux}
    ends.frps = stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind_port, **common, **server})
    if what:
        port = free_port()
        command = [sys.executable, stripper.__file__, str(port), str(bind_port), what]
        stage.start("stripper", *command).wait_for("ready")
    ends.ports = {"plain": free_port()}
    ends.frpc = stage.frpc(
        {"server_addr": "127.0.0.1", "server_port": port, **common, **client},
        {"plain": tcp(9, ends.ports["plain"])},
        wait_for=(),
    )
    return ends


STRIPPED = "the offer was stripped"


@MUX_ELSE_FULL
@pytest.mark.parametrize("what", ["login", "both"])
def test_who_takes_the_offer_away_is_found_in_auto(stage: Stage, mux: bool, what: str) -> None:
    ends = start_both(stage, mux=mux, server={}, client={}, what=what)
    # Whoever hears first of the other's mark says so; the other end only loses the session.
    wait_until(lambda: ends.frps.count(STRIPPED) or ends.frpc.count(STRIPPED), STRIPPED)


@MUX_ELSE_FULL
def test_who_takes_the_answer_away_gets_nothing(stage: Stage, mux: bool) -> None:
    ends = start_both(stage, mux=mux, server={}, client={}, what="answer")
    ends.frps.wait_for("did not prove that it knows the token")
    assert not [line for line in ends.frps.lines if "client login info" in line]


@MUX_ELSE_FULL
@pytest.mark.parametrize("what", ["login", "both"])
def test_a_server_that_requires_a_seal_refuses_a_login_without_its_offer(
    stage: Stage, mux: bool, what: str
) -> None:
    ends = start_both(stage, mux=mux, server={"native": "require"}, client={}, what=what)
    ends.frps.wait_for("login refused: this server takes sealed sessions only")
    ends.frpc.wait_for("this server takes sealed sessions only")
    assert ends.frpc.wait() == 1


@MUX_ELSE_FULL
def test_a_client_that_requires_a_seal_refuses_an_answer_without_it(
    stage: Stage, mux: bool
) -> None:
    ends = start_both(stage, mux=mux, server={}, client={"native": "require"}, what="answer")
    ends.frpc.wait_for("the server agrees to no sealed session")
    assert ends.frpc.wait() == 1


@MUX_ELSE_FULL
@pytest.mark.parametrize(("server", "client"), [("off", "require"), ("require", "off")])
def test_an_end_that_requires_what_the_other_has_switched_off_says_so(
    stage: Stage, mux: bool, server: str, client: str
) -> None:
    ends = start_both(stage, mux=mux, server={"native": server}, client={"native": client})
    ends.frpc.wait_for("native = require")
    assert ends.frpc.wait() == 1


@MUX_ELSE_FULL
@pytest.mark.parametrize("client", ["auto", "require"])
def test_another_token_is_refused(stage: Stage, mux: bool, client: str) -> None:
    settings: dict[str, object] = {"native": client, "token": "another one"}
    ends = start_both(stage, mux=mux, server={}, client=settings)
    ends.frpc.wait_for("authorization failed")
    assert ends.frpc.wait() == 1
    assert not [line for line in ends.frps.lines if "client login info" in line]


def test_without_a_token_there_is_no_seal_and_the_rest_holds(stage: Stage) -> None:
    ends = start_both(stage, mux=True, server={"token": ""}, client={"token": ""})
    line = ends.frps.wait_for("client login info")
    assert "frpd[deflate,direct-stream,half-close,udp-binary] legacy cipher" in line
    ends.frpc.wait_for("start proxy success")
