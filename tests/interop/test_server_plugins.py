"""Server plugins of ours asked about a client of Go's, from its login to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from frpd.server.plugins.content import OPS
from tests.helpers.hook_server import KEEP, Answer, HookServer, Question
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, wait_until
from tests.helpers.services import Service, says
from tests.helpers.stage import READY
from tests.helpers.visitors import read_to_end, visit

if TYPE_CHECKING:
    from tests.helpers.peers_go import GoPeer
    from tests.helpers.stage import Stage


@pytest.fixture
def plugin() -> HookServer:
    return HookServer()


def test_go_s_client_is_allowed_refused_and_moved(
    stage: Stage, peer: GoPeer, plugin: HookServer
) -> None:
    bind_port, moved = free_port(), free_port()

    def answer(question: Question) -> Answer:
        if question.op == "NewProxy":
            if question.content["proxy_name"] == "bad":
                return {"reject": True, "reject_reason": "not today"}
            return {"content": question.content | {"remote_port": moved}}
        return KEEP

    plugin.answer = answer
    sections = {"plugin.p": {"addr": plugin.address, "path": "/h", "ops": ",".join(OPS)}}
    file = stage.write({"common": {"bind_addr": "127.0.0.1", "bind_port": bind_port}, **sections})
    stage.start("frps", str(BIN / "frps"), "-c", str(file)).wait_for(READY)
    with Service(says(b"hello")) as service:
        client = {"server_addr": "127.0.0.1", "server_port": bind_port}
        client |= peer.client_settings("frpc")
        proxy = {"type": "tcp", "local_port": service.port, "remote_port": free_port()}
        frpc = stage.frpc(
            client, {"web": proxy, "bad": proxy}, folder=peer.folders("frpc")[1], wait_for=["web"]
        )
        frpc.wait_for("not today")
        with visit(moved) as visitor:
            assert read_to_end(visitor) == b"hello"
        frpc.kill()
    asked = {"Login", "NewProxy", "NewWorkConn", "NewUserConn", "CloseProxy"}
    wait_until(lambda: asked <= set(plugin.ops()), "all are asked about")
    plugin.close()
