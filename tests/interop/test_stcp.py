"""stcp with Go frp as the server, as the owner, as the visitor, and as any two of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, wait_until
from tests.helpers.stage import WRAPPERS, Stage
from tests.helpers.visitors import echoes, exchange, is_over, visit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers.peers_go import GoPeer

SK = "interop sk"
DATA = os.urandom(300_000) + b"a" * 300_000
# Which of the three programs is Go's; ours alone are for tests/e2e.
ONE_OF_THEM: list[tuple[str, ...]] = [("visitor",), ("owner",), ("frps",)]
TWO_OF_THEM: list[tuple[str, ...]] = [("owner", "visitor"), ("frps", "visitor"), ("frps", "owner")]
USERS_SINCE = (0, 50)


class Cast:
    """Three programs, some of them Go's, with a proxy and a visitor for each wrapper."""

    def __init__(
        self, stage: Stage, peer: GoPeer, go: tuple[str, ...], *, mux: bool, echo_port: int
    ) -> None:
        def folder(role: str) -> Path:
            return peer.folder if role in go else BIN

        bind_port = free_port()
        self.ports = {name: free_port() for name in (*WRAPPERS, "wrong")}
        common = {"token": "interop", "tcp_mux": mux}
        self.frps = stage.frps(
            {"bind_addr": "127.0.0.1", "bind_port": bind_port, **common}, folder=folder("frps")
        )
        to_server = {"server_addr": "127.0.0.1", "server_port": bind_port, "user": "ann", **common}
        proxy = {"type": "stcp", "sk": SK, "local_ip": "127.0.0.1", "local_port": echo_port}
        if "visitor" in go and peer.number < USERS_SINCE and not mux:
            proxy["allow_users"] = "*"  # such a visitor cannot say who it is
        self.owner = stage.frpc(
            {**to_server, **(peer.client_settings("frpc") if "owner" in go else {})},
            {name: {**proxy, **flags} for name, flags in WRAPPERS.items()},
            folder=folder("owner"),
            wait_for=(),
        )
        for name in WRAPPERS:
            self.owner.wait_for(rf"\[(ann\.)?{name}\] start proxy success")
        visitors = {f"{name}_v": {**self._visitor(name), **WRAPPERS[name]} for name in WRAPPERS}
        visitors["wrong_v"] = {
            **self._visitor("plain"),
            "sk": "no",
            "bind_port": self.ports["wrong"],
        }
        self.visitor = stage.frpc(
            {**to_server, **(peer.client_settings("frpc") if "visitor" in go else {})},
            visitors,
            folder=folder("visitor"),
            wait_for=(),
        )
        # Not by a look at the ports: two streams at once, one of them with a wrong key, can
        # crash frps up to 0.31 (its streams share one variable for their errors).
        done, count = "start visitor success", len(visitors)
        wait_until(lambda: self.visitor.count(done) == count, f"{count} times: {done}")

    def _visitor(self, name: str) -> dict[str, object]:
        bind = {"bind_addr": "127.0.0.1", "bind_port": self.ports[name]}
        return {"type": "stcp", "role": "visitor", "server_name": name, "sk": SK, **bind}


@pytest.fixture(scope="session", params=[True, False], ids=["mux", "direct"])
def mux(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="session", params=ONE_OF_THEM, ids=lambda go: f"go_{go[0]}")
def cast(
    request: pytest.FixtureRequest,
    end_peer: GoPeer,
    mux: bool,
    echo_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cast]:
    stage = Stage(tmp_path_factory.mktemp("cast"))
    try:
        yield Cast(stage, end_peer, request.param, mux=mux, echo_port=echo_port)
    finally:
        stage.close()


def carries_data(cast: Cast, wrapper: str) -> None:
    with visit(cast.ports[wrapper]) as user:
        assert exchange(user, DATA) == DATA


def refuses_a_wrong_sk(cast: Cast) -> None:
    with visit(cast.ports["wrong"]) as user:
        wait_until(lambda: is_over(user), "the user is sent away")
    cast.visitor.wait_for(r"visitor connection of \[ann.plain\] auth failed")
    assert echoes(cast.ports["plain"])


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_data_comes_back_as_it_was(cast: Cast, wrapper: str) -> None:
    carries_data(cast, wrapper)


def test_a_wrong_sk_is_refused_in_frp_s_words(cast: Cast) -> None:
    refuses_a_wrong_sk(cast)


@pytest.mark.full
@pytest.mark.parametrize("go", ONE_OF_THEM + TWO_OF_THEM, ids=lambda go: "go_" + "_".join(go))
def test_every_version_plays_every_part(
    stage: Stage, peer: GoPeer, go: tuple[str, ...], mux: bool, echo_port: int
) -> None:
    cast = Cast(stage, peer, go, mux=mux, echo_port=echo_port)
    for wrapper in WRAPPERS:
        carries_data(cast, wrapper)
    refuses_a_wrong_sk(cast)
