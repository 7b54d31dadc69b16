"""xtcp as Go frp up to 0.48 has it: Go's server, owner or visitor, and ours as the rest.

Two Go ends at our server are in test_xtcp_server.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, SECONDS, wait_until
from tests.helpers.services import Service, flood
from tests.helpers.visitors import echoes, exchange, is_over, visit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers.peers_go import GoPeer
    from tests.helpers.stage import Stage

SK = "interop sk"
DATA = os.urandom(200_000) + b"a" * 100_000
BY_STUN_SINCE = (0, 49)
WRAPPERS: dict[str, dict[str, object]] = {
    "plain": {},
    "both": {"use_encryption": True, "use_compression": True},
}
GREETING = b"SSH-2.0-greeting\r\n"
# Which of the three programs is Go's.
CASTS: list[tuple[str, ...]] = [
    ("frps",),
    ("frps", "visitor"),
    ("frps", "owner"),
    ("owner",),
    ("visitor",),
]
SETTLED = pytest.mark.parametrize("go", CASTS, ids="_".join)


@pytest.fixture(scope="module")
def greeting_port() -> Iterator[int]:
    """A local service that speaks first, and stays: Go loses what was said right before an end."""
    with Service(flood(GREETING)) as service:
        yield service.port


class Cast:
    """Three programs, some of them Go's, with a proxy and a visitor for each wrapper."""

    def __init__(
        self, stage: Stage, peer: GoPeer, go: tuple[str, ...], echo_port: int, greeting_port: int
    ) -> None:
        def folder(role: str) -> Path:
            return peer.folder if role in go else BIN

        def client(role: str) -> dict[str, object]:
            return {**to_server, **(peer.client_settings("frpc") if role in go else {})}

        bind_port, common = free_port(), {"token": "interop"}
        server = {"bind_addr": "127.0.0.1", "bind_port": bind_port, "bind_udp_port": free_port()}
        self.frps = stage.frps({**server, **common}, folder=folder("frps"))
        to_server = {"server_addr": "127.0.0.1", "server_port": bind_port, **common}
        proxy = {"type": "xtcp", "sk": SK, "local_ip": "127.0.0.1"}
        proxies = {name: {**proxy, "local_port": echo_port, **WRAPPERS[name]} for name in WRAPPERS}
        proxies["greeting"] = {**proxy, "local_port": greeting_port}
        self.owner = stage.frpc(client("owner"), proxies, folder=folder("owner"))
        names = [*proxies, "wrong"]
        self.ports = {name: free_port() for name in names}
        visitors = {f"{name}_v": self._visitor(name) for name in names}
        self.visitor = stage.frpc(
            client("visitor"), visitors, folder=folder("visitor"), wait_for=()
        )
        done = "start visitor success"
        wait_until(lambda: self.visitor.count(done) == len(visitors), done)

    def _visitor(self, name: str) -> dict[str, object]:
        return {
            "type": "xtcp",
            "role": "visitor",
            "server_name": "plain" if name == "wrong" else name,
            "sk": "no" if name == "wrong" else SK,
            "bind_addr": "127.0.0.1",
            "bind_port": self.ports[name],
            **WRAPPERS.get(name, {}),
        }

    def carries(self, wrapper: str) -> None:
        # Go's ends give a user up whose hole is not there at once, and send each datagram once.
        wait_until(lambda: echoes(self.ports[wrapper]), "a hole", 4 * SECONDS)
        with visit(self.ports[wrapper]) as user:
            assert exchange(user, DATA) == DATA

    def greets(self) -> None:
        with visit(self.ports["greeting"], seconds=2 * SECONDS) as user:
            assert user.recv(100) == GREETING

    def refuses_a_wrong_sk(self) -> None:
        with visit(self.ports["wrong"]) as user:
            wait_until(lambda: is_over(user), "the user is sent away")
        self.visitor.wait_for(r"xtcp connection of \[plain\] auth failed")


@SETTLED
def test_users_come_through_with_every_end_played_by_go(
    stage: Stage, peer: GoPeer, go: tuple[str, ...], echo_port: int, greeting_port: int
) -> None:
    if peer.number >= BY_STUN_SINCE:
        pytest.skip("it punches the new way")
    cast = Cast(stage, peer, go, echo_port, greeting_port)
    for wrapper in WRAPPERS:
        cast.carries(wrapper)
    cast.greets()
    cast.refuses_a_wrong_sk()
