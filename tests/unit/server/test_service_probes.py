"""The scripted probes that were recorded against real frps, replayed against our Service."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from frpd.auth.token import privilege_key
from frpd.clock import unix_now
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import (
    CloseProxy,
    LoginResp,
    NewProxyResp,
    NewVisitorConnResp,
    NewWorkConn,
    Ping,
    Pong,
    ReqWorkConn,
    UdpPacket,
)
from tests.helpers.peers import ScriptedClient, Talker, login_message
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.house import House

FILE = Path(__file__).parents[2] / "data" / "vectors" / "server_probes.json"
RECORDED = json.loads(FILE.read_text(encoding="utf-8"))

MUX_SILENCE = "tcp_mux on, heartbeat_timeout = 4, no Ping: yamux frames [type,flags,id,len,seconds]"

# By the name of a probe; it returns what our server answered, in the words of the recording.
PROBES: dict[str, Callable[[House], object]] = {}

# Where we differ on purpose, and why.
DIFFERENT = {
    "NewWorkConn for unknown run id": "closed: an unused stream must not stay open",
    "plain Login to a tcp_mux server": "ok: the first byte tells the kinds apart",
    # There only the control stream ends; ours closes the transport behind it.
    MUX_SILENCE: "closed",
}
# Rules of the older of the two recorded servers, where they differ.
OLD_RULE = {"Login timestamp now-100 with 10 s limit"}


def probe(name: str) -> Callable[[Callable[[House], object]], Callable[[House], object]]:
    def enter(function: Callable[[House], object]) -> Callable[[House], object]:
        PROBES[name] = function
        return function

    return enter


def login(house: House, **fields: object) -> str:
    client = ScriptedClient(house.world, house.port, mux=False)
    return client.login(**fields).error or "ok"


def message(answer: NewProxyResp) -> list[object]:
    fields = {"proxy_name": answer.proxy_name, "remote_addr": answer.remote_addr}
    return ["2", fields | {"error": answer.error}]


def enter_version(version: str) -> None:
    @probe(f"Login version={version!r}")
    def _(house: House) -> object:
        return login(house, version=version)


for each in ("", "0.17.9", "0.18.0", "abc", "1.0", "9.9.9"):
    enter_version(each)


@probe("Login timestamp now-100 with 10 s limit")
def _(house: House) -> object:
    return login(house, **signed(unix_now() - 100))


@probe("Login timestamp now+100000 with 10 s limit")
def _(house: House) -> object:
    return login(house, **signed(unix_now() + 100_000))


def signed(timestamp: int) -> dict[str, object]:
    return {
        "timestamp": timestamp,
        "privilege_key": privilege_key(RECORDED["token"], timestamp),
    }


@probe("Login wrong token")
def _(house: House) -> object:
    client = ScriptedClient(house.world, house.port, mux=False)
    answer = client.login(privilege_key="wrong")
    fields = {"version": "VERSION", "run_id": answer.run_id, "server_udp_port": 0}
    return ["1", fields | {"error": answer.error}]


@probe("after failed login")
def _(house: House) -> object:
    client = ScriptedClient(house.world, house.port, mux=False)
    client.login(privilege_key="wrong")
    return how_it_ends(house, client.control)


def how_it_ends(house: House, talker: Talker) -> str:
    house.world.settle()
    return "closed" if talker.stream.end else "open"


@probe("first message of unknown type, 20 bytes")
def _(house: House) -> object:
    wire = house.connect()
    wire.write(b"\xf0" * 20)
    return how_it_ends(house, Talker(house.world, wire))


@probe("first message Ping (known type, wrong place)")
def _(house: House) -> object:
    wire = house.connect()
    wire.write(encode_message(Ping()))
    return how_it_ends(house, Talker(house.world, wire))


@probe("NewWorkConn for unknown run id")
def _(house: House) -> object:
    wire = house.connect()
    wire.write(encode_message(NewWorkConn(run_id="unknown")))
    return how_it_ends(house, Talker(house.world, wire))


@probe("3 bytes then silence on the bind port")
def _(house: House) -> object:
    wire = house.connect()
    wire.write(b"o\0\0")
    house.world.advance(9.9)
    assert wire.end == ""
    house.world.advance(0.2)
    return [how_it_ends(house, Talker(house.world, wire)), "after 10 s"]


@probe("Login with self chosen run_id")
def _(house: House) -> object:
    return house.client(mux=False, run_id="my-own-id").run_id


@probe("ReqWorkConn count with pool_count=7 (max_pool_count default 5)")
def _(house: House) -> object:
    return len(house.client(mux=False, pool_count=7).control.take_all(ReqWorkConn))


@probe("NewProxy tcp")
def _(house: House) -> object:
    return message(house.client(mux=False).new_proxy("t1", recorded_port("NewProxy tcp")))


def recorded_port(name: str) -> int:
    """Return a free port for a probe, and remember that it stands for the recorded one."""
    PORTS[name] = free_port()
    return PORTS[name]


PORTS: dict[str, int] = {}


@probe("second Login with the same run_id")
def _(house: House) -> object:
    house.client(mux=False, run_id="my-own-id")
    second = ScriptedClient(house.world, house.port, mux=False)
    answer = second.login(run_id="my-own-id")
    return [answer.run_id, answer.error]


@probe("first control after that")
def _(house: House) -> object:
    first = house.client(mux=False, run_id="my-own-id")
    house.client(mux=False, run_id="my-own-id")
    return how_it_ends(house, first.control)


@probe("same proxy re-registered by the new control")
def _(house: House) -> object:
    port = recorded_port("same proxy re-registered by the new control")
    assert house.client(mux=False, run_id="me").new_proxy("t1", port).error == ""
    return message(house.client(mux=False, run_id="me").new_proxy("t1", port))


@probe("duplicate name, other port, other client")
def _(house: House) -> object:
    house.proxy(house.client(mux=False), "t1")
    return message(house.client(mux=False).new_proxy("t1", free_port()))


@probe("port of another frp proxy")
def _(house: House) -> object:
    port = house.proxy(house.client(mux=False), "t1")
    return message(house.client(mux=False).new_proxy("t2", port))


@probe("port bound by something else")
def _(house: House) -> object:
    with socket.create_server(("127.0.0.1", 0)) as other:
        return message(house.client(mux=False).new_proxy("t3", other.getsockname()[1]))


@probe("port 70000")
def _(house: House) -> object:
    return message(house.client(mux=False).new_proxy("t4", 70_000))


@probe("unknown proxy type")
def _(house: House) -> object:
    return message(house.client(mux=False).new_proxy("t5", 0, "nope"))


@probe("Ping after CloseProxy for known and unknown names")
def _(house: House) -> object:
    client = house.client(mux=False)
    house.proxy(client, "t1")
    client.control.send(CloseProxy("t1"), CloseProxy("unknown"), Ping())
    assert client.control.receive(Pong) == Pong()
    return ["4", {}]


@probe("remote_port 0 (quota 3 ports)")
def _(house: House) -> object:
    name = "remote_port 0 (quota 3 ports)"
    answer = house.client(mux=False).new_proxy("r0", 0)
    PORTS[name] = int(answer.remote_addr[1:])
    return message(answer)


@probe("one port over the quota")
def _(house: House) -> object:
    client = house.client(mux=False)
    for name in "abc":
        house.proxy(client, name)
    return message(client.new_proxy("r1", 0))


@probe("10240-byte Ping body")
def _(house: House) -> object:
    client = house.client(mux=False)
    client.control.write(ping_of(10_240))
    assert client.control.receive(Pong) == Pong()
    return ["4", {}]


def ping_of(size: int) -> bytes:
    body = b'{"x":"' + b"y" * (size - 8) + b'"}'
    return b"h" + size.to_bytes(8, "big") + body


@probe("10241-byte Ping body")
def _(house: House) -> object:
    client = house.client(mux=False)
    client.control.write(ping_of(10_241))
    return how_it_ends(house, client.control)


@probe("wrong JSON type on control")
def _(house: House) -> object:
    client = house.client(mux=False)
    body = b'{"proxy_name":5}'
    client.control.write(b"p" + len(body).to_bytes(8, "big") + body)
    return how_it_ends(house, client.control)


@probe("stcp")
def _(house: House) -> object:
    client = house.client(mux=False)
    return message(client.new_proxy("st", 0, "stcp", sk="key"))


def visit_answer(house: House, sk: str) -> tuple[Talker, object]:
    client = house.client(mux=False)
    client.new_proxy("st", 0, "stcp", sk="key")
    talker = client.visit("st", sk, run_id="")
    answer = talker.receive(NewVisitorConnResp)
    return talker, ["3", {"proxy_name": answer.proxy_name, "error": answer.error}]


@probe("visitor wrong key")
def _(house: House) -> object:
    talker, answer = visit_answer(house, "wrong")
    return [answer, how_it_ends(house, talker)]


@probe("visitor good key with timestamp 1, owner gives no work conn: answer, then")
def _(house: House) -> object:
    talker, answer = visit_answer(house, "key")
    still = "no answer within limit, still open"
    return [answer, still if how_it_ends(house, talker) == "open" else "closed"]


@probe("UDPPacket on the control stream is ignored, then Ping")
def _(house: House) -> object:
    client = house.client(mux=False)
    client.control.send(UdpPacket(c=b"x"), Ping())
    assert client.control.receive(Pong) == Pong()
    return ["4", {}]


@probe("no Ping at all, heartbeat_timeout = 5, tcp_mux off")
def _(house: House) -> object:
    client = house.client(mux=False)
    house.world.advance(4.9)
    assert client.wire.end == ""
    house.world.advance(0.2)
    return [how_it_ends(house, client.control), "after about 5 s"]


@probe(MUX_SILENCE)
def _(house: House) -> object:
    client = house.client(mux=True)
    house.world.advance(5.1)
    house.world.until(lambda: client.control.stream.end or client.wire.end)
    return "closed"


@probe("plain Login to a tcp_mux server")
def _(house: House) -> object:
    wire = house.connect()
    talker = Talker(house.world, wire)
    talker.send(login_message())
    return talker.receive(LoginResp).error or "ok"


def wanted(name: str, era: str) -> object:
    [result] = [entry["result"] for entry in RECORDED[era] if entry["probe"] == name]
    if name in DIFFERENT:
        return DIFFERENT[name].partition(":")[0]
    text = json.dumps(result).replace(f'"version": "{era}"', '"version": "VERSION"')
    if name in PORTS:
        recorded = result[1]["remote_addr"]
        text = text.replace(f'"{recorded}"', f'":{PORTS[name]}"')
    # Whether an unread rest made the kernel send a reset is not the server's word.
    answer: object = json.loads(text.replace(" (ConnectionResetError)", ""))
    return answer


@pytest.fixture
def house(world: World) -> Iterator[House]:
    yield House(
        world,
        tcp_mux=False,
        max_ports_per_client=3,
        user_conn_timeout=1,
        heartbeat_timeout=5,
        heartbeat_timeout_set=True,
        authentication_timeout=10,
    )
    PORTS.clear()


@pytest.mark.parametrize("name", sorted(PROBES))
def test_the_answer_is_the_recorded_one(house: House, name: str) -> None:
    answer = PROBES[name](house)
    eras = ["0.21.0"] if name in OLD_RULE else ["0.21.0", "0.31.0"]
    if name.startswith("ReqWorkConn count"):
        eras = ["0.31.0"]  # the clamp is younger than 0.21
    assert [answer] * len(eras) == [wanted(name, era) for era in eras]


def test_every_probe_named_here_was_recorded() -> None:
    names = {entry["probe"] for entry in RECORDED["0.31.0"]}
    assert set(PROBES) | set(DIFFERENT) <= names
