"""Users: a Go frpc is one as any other, and a Go frps passes over their sections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import BIN
from tests.helpers.stage import READY, WRAPPERS, Stage, tcp
from tests.helpers.visitors import echoes

if TYPE_CHECKING:
    from tests.helpers.peers_go import GoPeer
    from tests.helpers.programs import Program, Settings

SCOPES_SINCE = (0, 32)


class Tenants:
    """A frps of ours with two users, and frpc of one version."""

    def __init__(self, stage: Stage, peer: GoPeer, *, mux: bool) -> None:
        self.stage = stage
        self.port = free_port()
        self.peer = peer
        self.mux = mux
        proves = {"authenticate_new_work_conns": True} if peer.number >= SCOPES_SINCE else {}
        common = {
            "bind_addr": "127.0.0.1",
            "bind_port": self.port,
            "vhost_http_port": free_port(),
            "token": "of nobody",
            **proves,
        }
        users: dict[str, Settings] = {
            "user.ann": {"token": "of ann", "allow_domains": "*.ann.example"},
            "user.bob": {"token": "of bob", "max_clients": 1},
        }
        path = stage.write({"common": common, **users})
        self.frps = stage.start("frps", str(BIN / "frps"), "-c", str(path))
        self.frps.wait_for(READY)
        self._client = {
            "server_addr": "127.0.0.1",
            "server_port": self.port,
            "tcp_mux": mux,
            **peer.client_settings("frpc"),
            **proves,
        }

    def frpc(self, user: str, token: str, proxies: dict[str, Settings]) -> Program:
        """Start one that need not come in."""
        common = {**self._client, "user": user, "token": token}
        return self.stage.frpc(common, proxies, folder=self.peer.folder, wait_for=())


def up(frpc: Program, name: str) -> None:
    frpc.wait_for(rf"\[([a-z]+\.)?{name}\] start proxy success")


@pytest.mark.parametrize("mux", [True, False], ids=["mux", "direct"])
def test_each_user_has_its_token_and_what_is_its_own(
    stage: Stage, peer: GoPeer, echo_port: int, mux: bool
) -> None:
    tenants = Tenants(stage, peer, mux=mux)
    ports = {name: free_port() for name in WRAPPERS}
    web = {"type": "http", "local_ip": "127.0.0.1", "local_port": echo_port}
    ann = tenants.frpc(
        "ann",
        "of ann",
        {
            **{name: tcp(echo_port, ports[name]) | own for name, own in WRAPPERS.items()},
            "site": {**web, "custom_domains": "www.ann.example"},
            "alien": {**web, "custom_domains": "www.bob.example"},
        },
    )
    for name in (*WRAPPERS, "site"):
        up(ann, name)
    ann.wait_for(r"domain \[www.bob.example\] is none of those of user \[ann\]")
    port = free_port()
    bob = tenants.frpc(
        "bob",
        "of bob",
        {"ssh": tcp(echo_port, port), "thief": {**web, "custom_domains": "x.ann.example"}},
    )
    up(bob, "ssh")
    bob.wait_for(r"domain \[x.ann.example\] belongs to another user")
    for number in (*ports.values(), port):
        assert echoes(number)
    tenants.frpc("bob", "of bob", {}).wait_for(r"user \[bob\] has 1 clients already")


def test_a_wrong_token_and_a_name_of_another_are_refused(
    stage: Stage, peer: GoPeer, echo_port: int
) -> None:
    tenants = Tenants(stage, peer, mux=True)
    for token in ("of nobody", "of bob"):
        tenants.frpc("ann", token, {}).wait_for("authorization failed")
    nobody = tenants.frpc(
        "", "of nobody", {"ann.ssh": tcp(echo_port, free_port()), "x": tcp(echo_port, free_port())}
    )
    nobody.wait_for(r"proxy name \[ann.ssh\] belongs to another user")
    up(nobody, "x")


def test_go_frps_passes_over_the_sections(stage: Stage, peer: GoPeer, echo_port: int) -> None:
    bind_port, port = free_port(), free_port()
    common = {"bind_addr": "127.0.0.1", "bind_port": bind_port, "token": "all"}
    user = {"token": "own", "allow_names": "ann.*", "allow_domains": "*.x", "max_clients": 1}
    path = stage.write({"common": common, "user.ann": user})
    stage.start("frps", str(peer.folder / "frps"), "-c", str(path)).wait_for(READY)
    client = {"server_addr": "127.0.0.1", "server_port": bind_port, "user": "ann", "token": "all"}
    up(stage.frpc(client, {"ssh": tcp(echo_port, port)}, wait_for=()), "ssh")
    assert echoes(port)
