"""Server plugins and OIDC between our own ends, whose sessions are sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from frpd.server.plugins.content import OPS
from tests.helpers.hook_server import KEEP, Answer, HookServer, Question
from tests.helpers.modes import MUX_ELSE_FULL
from tests.helpers.oidc_provider import AUDIENCE, CLIENT, SECRET, OidcProvider
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, wait_until
from tests.helpers.services import Service, says
from tests.helpers.stage import READY
from tests.helpers.visitors import read_to_end, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers.stage import Stage

TOKEN = {"token": "a token for the seal"}


@pytest.fixture
def plugin() -> Iterator[HookServer]:
    server = HookServer()
    yield server
    server.close()


@pytest.fixture
def service() -> Iterator[int]:
    with Service(says(b"hello")) as service:
        yield service.port


def hooked(stage: Stage, plugin: HookServer, **settings: Any) -> int:
    """Start a frps that asks the plugin about everything; return its port."""
    bind_port = free_port()
    common = {"bind_addr": "127.0.0.1", "bind_port": bind_port, **TOKEN, **settings}
    hook = {"addr": plugin.address, "path": "/h", "ops": ",".join(OPS)}
    file = stage.write({"common": common, "plugin.p": hook})
    stage.start("frps", str(BIN / "frps"), "-c", str(file)).wait_for(READY)
    return bind_port


@MUX_ELSE_FULL
def test_a_sealed_client_is_allowed_moved_and_told_of_its_end(
    stage: Stage, plugin: HookServer, service: int, mux: bool
) -> None:
    moved = free_port()

    def answer(question: Question) -> Answer:
        if question.op == "NewProxy":
            return {"content": question.content | {"remote_port": moved}}
        return KEEP

    plugin.answer = answer
    bind_port = hooked(stage, plugin, native="require", tcp_mux=mux)
    client = {"server_addr": "127.0.0.1", "server_port": bind_port, "tcp_mux": mux, **TOKEN}
    proxy = {"type": "tcp", "local_port": service, "remote_port": free_port()}
    frpc = stage.frpc({**client, "native": "require"}, {"web": proxy})
    with visit(moved) as visitor:
        assert read_to_end(visitor) == b"hello"
    frpc.kill()
    asked = {"Login", "NewProxy", "NewWorkConn", "NewUserConn", "CloseProxy"}
    wait_until(lambda: asked <= set(plugin.ops()), "all are asked about")


def test_a_refused_login_is_told_to_a_sealed_client(stage: Stage, plugin: HookServer) -> None:
    plugin.answer = lambda _: {"reject": True, "reject_reason": "not you"}
    bind_port = hooked(stage, plugin, native="require")
    client = {"server_addr": "127.0.0.1", "server_port": bind_port, "native": "require", **TOKEN}
    frpc = stage.frpc(client, {}, wait_for=())
    frpc.wait_for("not you")
    assert frpc.wait() == 1


def test_a_provider_s_token_lets_a_client_in_and_the_session_is_sealed(
    stage: Stage, service: int
) -> None:
    provider, bind_port, remote = OidcProvider(), free_port(), free_port()
    both = {
        **TOKEN,
        "authentication_method": "oidc",
        "authenticate_heartbeats": True,
        "authenticate_new_work_conns": True,
        "oidc_audience": AUDIENCE,
    }
    address = {"bind_addr": "127.0.0.1", "bind_port": bind_port}
    frps = stage.frps({**both, **address, "oidc_issuer": provider.issuer})
    client = {
        "server_addr": "127.0.0.1",
        "server_port": bind_port,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": SECRET,
        "oidc_token_endpoint_url": provider.token_url,
    }
    proxy = {"type": "tcp", "local_port": service, "remote_port": remote}
    stage.frpc({**both, **client}, {"web": proxy})
    assert "seal" in frps.wait_for("client login info")
    with visit(remote) as visitor:
        assert read_to_end(visitor) == b"hello"
    wrong = stage.frpc({**both, **client, "oidc_client_secret": "no"}, {}, wait_for=())
    assert wrong.wait() == 1
    provider.close()
