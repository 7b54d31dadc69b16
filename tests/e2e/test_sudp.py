"""sudp: a visitor's UDP port leads to a service that only those who know the secret reach."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.stage import WRAPPERS, Stage
from tests.helpers.udp import UdpService, UdpVisitor

if TYPE_CHECKING:
    from collections.abc import Iterator

SK = "a key of both ends"
SIZES = (0, 1, 512, 1472)


@pytest.fixture(scope="module", params=[True, pytest.param(False, marks=pytest.mark.full)])
def ports(request: pytest.FixtureRequest, module_stage: Stage) -> Iterator[dict[str, int]]:
    """The users' port of a proxy with each wrapper, and of one that is asked with a wrong key."""
    bind_port = free_port()
    ports = {name: free_port() for name in (*WRAPPERS, "wrong")}
    common = {"token": "s3cret", "tcp_mux": request.param}
    to_server = {"server_addr": "127.0.0.1", "server_port": bind_port, **common}
    with UdpService() as service:
        module_stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind_port, **common})
        local = {"type": "sudp", "sk": SK, "local_ip": "127.0.0.1", "local_port": service.port}
        module_stage.frpc(to_server, {name: {**local, **WRAPPERS[name]} for name in WRAPPERS})
        visit = {"type": "sudp", "role": "visitor", "bind_addr": "127.0.0.1"}
        visitors = {
            f"{name}_v": {
                **visit,
                **WRAPPERS.get(name, {}),
                "server_name": name if name in WRAPPERS else "plain",
                "sk": SK if name in WRAPPERS else "another",
                "bind_port": port,
            }
            for name, port in ports.items()
        }
        guest = module_stage.frpc(to_server, visitors, wait_for=())
        for name in visitors:
            guest.wait_for(rf"\[{name}\] start visitor success")
        yield ports
        module_stage.close()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_each_user_gets_its_own_whole(ports: dict[str, int], wrapper: str) -> None:
    with UdpVisitor(ports[wrapper]) as one, UdpVisitor(ports[wrapper]) as other:
        for visitor in (one, other):
            assert visitor.ask_until_answered(b"ready?") == b"ready?"
        for size in SIZES:
            data = os.urandom(size)
            one.send(data)
            assert other.ask(data[::-1]) == data[::-1], f"{size} bytes"
            assert one.receive() == data


def test_a_wrong_key_hears_nothing(ports: dict[str, int]) -> None:
    with UdpVisitor(ports["wrong"]) as visitor, UdpVisitor(ports["plain"]) as right:
        visitor.send(b"anybody?")
        assert right.ask_until_answered(b"ready?") == b"ready?"
        visitor.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            visitor.sock.recv(100)
