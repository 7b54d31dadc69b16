"""stcp with Go frp as the server, as the owner, as the visitor, and as any two of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.helpers.programs import BIN, free_port, wait_until
from tests.helpers.stage import WRAPPERS, Stage
from tests.helpers.visitors import echoes, exchange, is_over, visit, wait_for_echo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers.peers_go import GoPeer
    from tests.helpers.programs import Program

SK = "interop sk"
DATA = os.urandom(300_000) + b"a" * 300_000
ROLES = ("frps", "owner", "visitor")
# Which of the three is Go; ours alone is for tests/e2e.
CASTS = [
    ("visitor",),
    ("owner",),
    ("frps",),
    ("owner", "visitor"),
    ("frps", "visitor"),
    ("frps", "owner"),
]


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
        self.owner = self._frpc(
            stage,
            {**to_server, **(peer.client_settings("frpc") if "owner" in go else {})},
            {name: {**self._proxy(echo_port), **flags} for name, flags in WRAPPERS.items()},
            folder("owner"),
            "start proxy success",
        )
        visitors = {f"{name}_v": {**self._visitor(name), **WRAPPERS[name]} for name in WRAPPERS}
        visitors["wrong_v"] = {
            **self._visitor("plain"),
            "sk": "no",
            "bind_port": self.ports["wrong"],
        }
        self.visitor = self._frpc(
            stage,
            {**to_server, **(peer.client_settings("frpc") if "visitor" in go else {})},
            visitors,
            folder("visitor"),
            "start visitor success",
        )

    @staticmethod
    def _frpc(
        stage: Stage,
        common: dict[str, object],
        sections: dict[str, dict[str, object]],
        folder: Path,
        success: str,
    ) -> Program:
        program = stage.frpc(common, sections, folder=folder, wait_for=())
        for name in sections:
            program.wait_for(rf"\[(ann\.)?{name}\] {success}")
        return program

    @staticmethod
    def _proxy(echo_port: int) -> dict[str, object]:
        return {"type": "stcp", "sk": SK, "local_ip": "127.0.0.1", "local_port": echo_port}

    def _visitor(self, name: str) -> dict[str, object]:
        bind = {"bind_addr": "127.0.0.1", "bind_port": self.ports[name]}
        return {"type": "stcp", "role": "visitor", "server_name": name, "sk": SK, **bind}


@pytest.fixture(scope="session", params=[True, False], ids=["mux", "direct"])
def mux(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="session", params=CASTS, ids=lambda go: "go_" + "_".join(go))
def cast(
    request: pytest.FixtureRequest,
    peer: GoPeer,
    mux: bool,
    echo_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cast]:
    stage = Stage(tmp_path_factory.mktemp("cast"))
    try:
        yield Cast(stage, peer, request.param, mux=mux, echo_port=echo_port)
    finally:
        stage.close()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_data_comes_back_as_it_was(cast: Cast, wrapper: str) -> None:
    wait_for_echo(cast.ports[wrapper])
    with visit(cast.ports[wrapper]) as user:
        assert exchange(user, DATA) == DATA


def test_a_wrong_sk_is_refused_in_frp_s_words(cast: Cast) -> None:
    with visit(cast.ports["wrong"]) as user:
        wait_until(lambda: is_over(user), "the user is sent away")
    cast.visitor.wait_for(r"\[(ann\.)?wrong_v\].*visitor connection of \[ann.plain\] auth failed")
    assert echoes(cast.ports["plain"])
