"""Two Go frpc that reach each other with the help of our frps, in each of frp's ways."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import SECONDS, Program, wait_until
from tests.helpers.stage import Stage
from tests.helpers.stun_server import StunServer
from tests.helpers.visitors import echoes, exchange, is_over, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers.peers_go import GoPeer
    from tests.helpers.programs import Settings

SK = "interop sk"
DATA = os.urandom(100_000)
BY_STUN_SINCE = (0, 49)
BOTH: dict[str, object] = {"use_encryption": True, "use_compression": True}


@pytest.fixture(scope="module")
def stun() -> Iterator[StunServer]:
    with StunServer() as server:
        yield server


class Pair:
    """A Go owner and a Go visitor of some proxies, and our frps."""

    def __init__(self, stage: Stage, peer: GoPeer, stun: StunServer, echo_port: int) -> None:
        self._stage = stage
        self.is_new = peer.number >= BY_STUN_SINCE
        bind_port, common = free_port(), {"token": "interop"}
        server: dict[str, object] = {"bind_addr": "127.0.0.1", "bind_port": bind_port, **common}
        if not self.is_new:
            server["bind_udp_port"] = free_port()
        self.frps = stage.frps(server)
        self._client = {
            "server_addr": "127.0.0.1",
            "server_port": bind_port,
            **common,
            **peer.client_settings("frpc"),
            **({"nat_hole_stun_server": stun.where} if self.is_new else {}),
        }
        self._folder = peer.folder
        local = {"type": "xtcp", "sk": SK, "local_ip": "127.0.0.1", "local_port": echo_port}
        self.owner = self._frpc({"plain": local, "both": {**local, **BOTH}})
        self.owner.wait_for(r"\[plain\] start proxy success")
        self.owner.wait_for(r"\[both\] start proxy success")

    def visitor(
        self, name: str, sk: str = SK, settings: Settings | None = None
    ) -> tuple[Program, int]:
        """Start another frpc that visits a proxy; return it and the port for its users."""
        port = free_port()
        bind = {"bind_addr": "127.0.0.1", "bind_port": port}
        visitor = {"type": "xtcp", "role": "visitor", "server_name": name, "sk": sk, **bind}
        program = self._frpc({"xtv": {**visitor, **(settings or {})}})
        program.wait_for("start visitor success")
        return program, port

    def _frpc(self, sections: dict[str, dict[str, object]]) -> Program:
        return self._stage.frpc(self._client, sections, folder=self._folder, wait_for=())


@pytest.fixture
def pair(stage: Stage, peer: GoPeer, stun: StunServer, echo_port: int) -> Pair:
    return Pair(stage, peer, stun, echo_port)


@pytest.mark.parametrize("protocol", ["kcp", "quic"])
@pytest.mark.parametrize("wrapper", ["plain", pytest.param("both", marks=pytest.mark.full)])
def test_data_comes_back_as_it_was(pair: Pair, wrapper: str, protocol: str) -> None:
    if protocol == "quic" and not pair.is_new:
        pytest.skip("it knows KCP only")
    settings: dict[str, object] = {"protocol": protocol} if pair.is_new else {}
    _, port = pair.visitor(wrapper, SK, {**settings, **(BOTH if wrapper == "both" else {})})
    # Punching takes its time, and Go's ends give up a user whose hole is not there at once.
    wait_until(lambda: echoes(port), "a hole", 4 * SECONDS)
    with visit(port) as user:
        assert exchange(user, DATA) == DATA


def test_a_wrong_sk_is_refused_in_frp_s_words(pair: Pair) -> None:
    program, port = pair.visitor("plain", sk="no")
    with visit(port) as user:
        program.wait_for(r"xtcp connection of \[plain\] auth failed")
        if not pair.is_new:  # else it tries on
            wait_until(lambda: is_over(user), "the user is sent away")


def test_a_proxy_that_is_not_there_is_told_in_frp_s_words(pair: Pair) -> None:
    program, port = pair.visitor("none")
    with visit(port) as user:
        program.wait_for(r"xtcp server for \[none\] doesn't exist")
        if not pair.is_new:
            wait_until(lambda: is_over(user), "the user is sent away")
