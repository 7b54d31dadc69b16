"""What real frpc did with a modern server, recorded: ours has to do the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import Ping, Pong, ReqWorkConn
from frpd.proto.wrappers import CipherCodec
from tests.helpers.peers import TOKEN
from tests.helpers.world import World
from tests.unit.client.home import Home, Session

FILE = Path(__file__).parents[2] / "data" / "vectors" / "client_probes.json"
CASES = [
    case
    for case in json.loads(FILE.read_text(encoding="utf-8"))["cases"]
    if not case["options"]  # "unknown": a message type that only old clients do not know
]
names = [f"{case['frpc']}-{'mux' if case['tcp_mux'] else 'plain'}" for case in CASES]


def play(world: World, *, mux: bool) -> list[list[Any]]:
    """Be the scripted server of the recording; return what it saw."""
    proxy = {"name": "tcp1", "section": "tcp1", "remote_port": 1}
    home = Home(world, mux=mux, proxy=proxy, heartbeat_interval=1)
    session = home.session()
    glue_login_answer(session)
    [request] = session.accept_proxies()
    seen: list[list[Any]] = [["p", request.proxy_name, request.proxy_type, request.remote_port]]
    work = session.start_work("tcp1", glued=b"GLUED-PAYLOAD")
    seen.append(["w", {"run_id": "abc"}])
    service = home.local.next()
    world.until(lambda: service.received)
    service.write(bytes(service.received))
    world.until(lambda: work.payload)
    seen.append(["echo", work.payload.decode()])
    for _ in range(2):
        world.pass_time(1)
        session.control.receive(Ping)
        session.control.send(Pong())
        seen.append(["h", {}])
    return seen


def glue_login_answer(session: Session) -> None:
    """Send LoginResp, the IV and a request in one segment, and an extra field."""
    body = b'{"version":"0.70.1","run_id":"abc","something_new":{"a":[1,2]}}'
    answer = b"1" + len(body).to_bytes(8, "big") + body
    session.control.encrypt()
    session.control._cipher = CipherCodec(derive_key(TOKEN), b"\1" * IV_BYTES)
    coded = session.control._cipher.encode(encode_message(ReqWorkConn()))
    session.control.stream.write(answer + coded)


def recorded(case: dict[str, Any]) -> list[list[Any]]:
    """Return the same facts of a recording; frpc's two opening moves come in any order."""
    seen: list[list[Any]] = []
    for kind, *rest in case["seen_by_scripted_server"]:
        if kind == "p":
            fields = rest[0]
            seen.append(["p", fields["proxy_name"], fields["proxy_type"], fields["remote_port"]])
        elif kind in ("w", "echo", "h"):
            seen.append([kind, *rest])
    return sorted(seen, key=lambda item: "pwech".index(item[0][0]))


@pytest.mark.parametrize("case", CASES, ids=names)
def test_our_client_does_what_frpc_did(
    world: World, case: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert play(world, mux=case["tcp_mux"]) == recorded(case)
    said = [f"{getattr(r, 'prefix', '')}{r.getMessage()}" for r in caplog.records]
    wanted_login, wanted_start = case["frpc_log"]
    assert wanted_login in said
    assert any(wanted_start.endswith(line) or line in wanted_start for line in said)


def test_a_message_type_that_we_do_not_know_costs_the_session(world: World) -> None:
    home = Home(world)
    session = home.running()
    session.control.write(b"~" + (2).to_bytes(8, "big") + b"{}")
    world.until(lambda: session.wire.end)
