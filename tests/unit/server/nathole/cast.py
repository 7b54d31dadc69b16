"""An owner and a visitor of an xtcp proxy, both scripted, and what passes between them."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from frpd.auth.token import privilege_key
from frpd.proto.message.codec import decode_message, encode_message
from frpd.proto.message.types import (
    Message,
    NatHoleClient,
    NatHoleResp,
    NatHoleSid,
    NatHoleVisitor,
)
from frpd.server.proxies.xtcp import XtcpProxy
from tests.helpers.peers import ScriptedClient, Talker
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.house import House

SK = "hole key"
EASY = ["198.51.100.11:40000", "198.51.100.11:40000"]
EASY_TOO = ["198.51.100.12:50000", "198.51.100.12:50000"]
REGULAR = ["198.51.100.12:50000", "198.51.100.12:50002"]
OURS: dict[str, Any] = {"frpd": {"v": 1, "features": ["half-close"]}}


class Cast:
    """A server, the owner of ``hole`` and a visitor."""

    def __init__(
        self,
        world: World,
        *,
        owner: dict[str, Any] | None = None,
        visitor: dict[str, Any] | None = None,
        **keys: Any,
    ) -> None:
        self.world = world
        self.udp_port = keys.setdefault("bind_udp_port", free_port())
        self.house = House(world, **keys)
        self.owner = self.house.client(**{"version": "0.51.3", **(owner or {})})
        self.visitor = self.house.client(**{"version": "0.51.3", **(visitor or {})})

    def proxy(self, **fields: Any) -> XtcpProxy:
        """Have the owner register it."""
        fields = {"sk": SK, **fields}
        assert self.owner.new_proxy("hole", 0, "xtcp", **fields).error == ""
        proxy = self.house.service.proxies["hole"]
        assert isinstance(proxy, XtcpProxy)
        return proxy

    @property
    def holes(self) -> int:
        """How many the server knows of."""
        return self.house.service._nat_holes.desk.holes

    # The newest way.

    def ask(self, who: ScriptedClient | None = None, **fields: Any) -> None:
        """Have the visitor ask for a hole."""
        (who or self.visitor).control.send(request(**fields))

    def refusal(self, who: ScriptedClient | None = None, **fields: Any) -> NatHoleResp:
        """Have the visitor ask, and return the answer."""
        who = who or self.visitor
        who.control.send(request(**fields))
        return who.control.receive(NatHoleResp)

    def told(self, work: Talker) -> NatHoleSid:
        """Return what the owner hears on a work stream."""
        self.world.until(lambda: work.payload, "a sid")
        self.world.settle()
        message = decode_message(bytes(work.payload))
        assert isinstance(message, NatHoleSid)
        return message

    def answer(self, sid: str, mapped: list[str], **fields: Any) -> None:
        """Have the owner say where it is."""
        said = {"transaction_id": "of owner", "proxy_name": "hole", "sid": sid, **fields}
        self.owner.control.send(NatHoleClient(mapped_addrs=mapped, **said))

    def meet(self, visitor: list[str], owner: list[str]) -> tuple[NatHoleResp, NatHoleResp]:
        """Go all the way; return what the visitor hears, and what the owner."""
        self.ask(mapped_addrs=visitor)
        sid = self.told(self.house.serve(self.owner)).sid
        self.answer(sid, owner)
        self.world.settle()
        self.world.advance(1.0)  # one of the two is told later
        return (
            self.visitor.control.receive(NatHoleResp),
            self.owner.control.receive(NatHoleResp),
        )


def request(sk: str = SK, timestamp: int = 7, **fields: Any) -> NatHoleVisitor:
    """Return what asks for ``hole``."""
    said = {"transaction_id": "of visitor", "proxy_name": "hole", "protocol": "kcp", **fields}
    said.setdefault("mapped_addrs", EASY)
    return NatHoleVisitor(sign_key=privilege_key(sk, timestamp), timestamp=timestamp, **said)


class Caller:
    """A UDP socket that talks to the server's port for hole punching."""

    def __init__(self, cast: Cast, host: str = "127.0.0.1") -> None:
        self._world = cast.world
        self._sock = socket.socket(type=socket.SOCK_DGRAM)
        cast.world.stack.callback(self._sock.close)
        self._sock.setblocking(False)
        self._sock.bind((host, 0))
        self._sock.connect(("127.0.0.1", cast.udp_port))
        self.inbox: list[bytes] = []
        cast.world.peers.append(self)

    @property
    def address(self) -> str:
        host, port = self._sock.getsockname()
        return f"{host}:{port}"

    def pump(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self.inbox.append(self._sock.recv(65536))

    def send(self, message: Message) -> int:
        """Send a message as a datagram; return how long that is."""
        return self.throw(encode_message(message))

    def throw(self, datagram: bytes) -> int:
        """Send a datagram."""
        return self._sock.send(datagram)

    def ask(self, **fields: Any) -> int:
        """Ask for a hole in the old way."""
        return self.send(early_request(**fields))

    def hears(self) -> NatHoleResp:
        """Return the next answer."""
        self._world.until(lambda: self.inbox, "a datagram")
        message = decode_message(self.inbox.pop(0))
        assert isinstance(message, NatHoleResp)
        return message

    def hears_nothing(self) -> bool:
        """Whether there is no answer to anything so far."""
        self._world.settle()
        return not self.inbox


def early_request(sk: str = SK, timestamp: int = 7, name: str = "hole") -> NatHoleVisitor:
    """Return what asks for a proxy in the old way."""
    key = privilege_key(sk, timestamp)
    return NatHoleVisitor(proxy_name=name, sign_key=key, timestamp=timestamp)
