"""xtcp proxies: visitors who know the secret (sk) come to the owner itself, past the server.

What is needed for that is arranged in frpd.server.nathole; here is who may ask, and how the
owner hears of it: by a work stream that carries one message, and maybe its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from frpd.errors import FrpError, ProxyError
from frpd.net.endpoint import Endpoint
from frpd.proto.message.types import (
    EARLY_A,
    EARLY_B,
    Message,
    NatHoleClientDetectOK,
    NatHoleSid,
    NewProxy,
    StartWorkConn,
)
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.stcp import EVERYONE, default_users, signs, version_numbers
from frpd.server.proxies.work_call import WorkCall, call_for_work
from frpd.transports.messages import MessageStream

NO_UDP_PORT: Final = "xtcp is not supported in frps"
# Clients punch holes in other ways since these versions.
B_SINCE: Final = (0, 25)
C_SINCE: Final = (0, 49)


class XtcpProxy:
    """One xtcp proxy. Loop thread only.

    Args:
        context: of the owner's session.
        request: what the owner asked for.

    Raises:
        ProxyError: the owner can punch by way of a UDP port only, and there is none.
    """

    proxy_type = "xtcp"
    ports_used = 0
    remote_addr = ""

    def __init__(self, context: ProxyContext, request: NewProxy) -> None:
        self.name = request.proxy_name
        self.counters = context.counters
        self.log = context.log
        self.is_open = True
        self.is_ours = bool(context.features)
        self.early = early_generation(context.peer_version, context.features)
        if self.early and not context.nat_hole_port:
            raise ProxyError(NO_UDP_PORT)
        self._context = context
        self._sk = request.sk
        self._users = frozenset(request.allow_users or default_users(context))

    def is_signed(self, sign_key: str, timestamp: int) -> bool:
        """Return whether a visitor knows the sk. As in frp the time may be any."""
        return signs(self._sk, sign_key, timestamp)

    def admits(self, user: str) -> bool:
        """Return whether visitors of this user may come, by ``allow_users``."""
        return user in self._users or EVERYONE in self._users

    def check_gate(self, visitor: str, *addresses: str) -> None:
        """Let a visitor who knows the sk in, or not. How many users there are the owner counts.

        Args:
            visitor: its name for logs.
            addresses: that it has.

        Raises:
            ProxyError: it may not enter.
        """
        gate = self._context.gate
        if gate is None:
            return
        for address in addresses:
            refusal = gate.refusal(address)
            if refusal is not None:
                gate.turned_away(refusal, visitor)
                raise ProxyError(f"xtcp visitor of [{self.name}] refused: {refusal.reason}")
        gate.enter()

    def tell_owner(
        self,
        notice: NatHoleSid,
        on_failed: Callable[[FrpError], None],
        on_detected: Callable[[], None] | None = None,
    ) -> OwnerCall:
        """Tell the owner of a visitor.

        Args:
            notice: names the hole that is to be punched.
            on_failed: called once if the owner cannot be told.
            on_detected: called when it has sent something on its way; None not to wait.
        """
        return OwnerCall(self._context, self.name, notice, on_failed, on_detected)

    def close(self) -> None:
        """Let nobody in any more; visitors that have reached the owner stay. Idempotent."""
        self.is_open = False


class OwnerCall:
    """One notice on its way to an owner; see XtcpProxy.tell_owner."""

    def __init__(
        self,
        context: ProxyContext,
        name: str,
        notice: NatHoleSid,
        on_failed: Callable[[FrpError], None],
        on_detected: Callable[[], None] | None,
    ) -> None:
        self._loop = context.loop
        self._notice = notice
        self._on_failed = on_failed
        self._on_detected = on_detected
        self._stream: MessageStream | None = None
        self._is_over = False
        self._call: WorkCall = call_for_work(
            context,
            StartWorkConn(proxy_name=name),
            self._ready,
            self._failed,
            use_encryption=False,
            use_compression=False,
        )

    def close(self) -> None:
        """Call nothing any more, and let go of the stream. Idempotent."""
        if self._is_over:
            return
        self._is_over = True
        if self._stream is None:
            self._call.cancel()
        else:
            self._stream.close()

    def _ready(self, endpoint: Endpoint) -> None:
        stream = self._stream = MessageStream(self._loop, endpoint, self._on_message, self._ended)
        stream.send(self._notice)
        if self._on_detected is None:
            self.close()

    def _on_message(self, message: Message) -> None:
        if isinstance(message, NatHoleClientDetectOK) and self._on_detected is not None:
            on_detected = self._on_detected
            self.close()
            on_detected()

    def _ended(self, _error: FrpError | None) -> None:
        """It has nothing to say, or says it by datagrams; the visitor's time goes on."""
        self._is_over = True

    def _failed(self, error: FrpError) -> None:
        if not self._is_over:
            self._is_over = True
            self._on_failed(error)


def early_generation(version: str, features: Collection[str]) -> str:
    """Return EARLY_A or EARLY_B for a client that knows only that way; "" for any other.

    Args:
        version: that it told at login.
        features: of its session; an end of ours, which has some, knows all ways.
    """
    numbers = version_numbers(version)
    if features or numbers >= C_SINCE:
        return ""
    return EARLY_A if numbers < B_SINCE else EARLY_B
