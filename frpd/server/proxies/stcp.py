"""stcp proxies: no port at all; only visitors who know the secret (sk) get in.

A visitor comes as a stream of another client, or of the same. Who is let in is
decided here, how it asks is frpd.server.visitor_desk's.
"""

from __future__ import annotations

import hmac

from frpd.auth.token import privilege_key
from frpd.net.endpoint import Endpoint
from frpd.proto import native
from frpd.proto.ciphers import derive_key
from frpd.proto.message.types import NewProxy, StartWorkConn
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.visit import Visit
from frpd.transports.stretched import StretchedSecret
from frpd.workers import WorkerPool

EVERYONE = "*"
# Clients know allow_users, and tell as a visitor who they are, since this version.
USERS_SINCE = (0, 50)


class StcpProxy:
    """One stcp proxy. Loop thread only.

    Args:
        context: of the owner's session.
        request: what the owner asked for.
    """

    proxy_type = "stcp"
    ports_used = 0
    remote_addr = ""

    def __init__(self, context: ProxyContext, request: NewProxy) -> None:
        self.name = request.proxy_name
        self.counters = context.counters
        self.is_open = True
        self.cipher_key = derive_key(request.sk)
        self._context = context
        self._request = request
        self._stretched: StretchedSecret | None = None
        self._users = frozenset(request.allow_users or default_users(context))

    @property
    def has_secret(self) -> bool:
        """Whether there is an sk at all."""
        return bool(self._request.sk)

    @property
    def half_closes(self) -> bool:
        """Whether the end of one direction travels alone between us and the service."""
        return native.HALF_CLOSE in self._context.features

    def is_signed(self, sign_key: str, timestamp: int) -> bool:
        """Return whether a visitor knows the sk. As in frp the time may be any."""
        return signs(self._request.sk, sign_key, timestamp)

    def admits(self, user: str) -> bool:
        """Return whether visitors of this user may come, by ``allow_users``."""
        return user in self._users or EVERYONE in self._users

    def refuses(self, visitor: str, address: str) -> str:
        """Return why a visitor who knows the sk may not enter, and count it; "" if it may.

        Args:
            visitor: its name for logs.
            address: of the visiting client.
        """
        gate = self._context.gate
        refusal = None if gate is None else gate.refusal(address)
        if gate is None or refusal is None:
            return ""
        gate.turned_away(refusal, visitor)
        access, reason = self._context.access, refusal.reason
        if access is not None:
            access.tell(visitor=visitor, ended="refused", by="server", reason=reason)
        return reason

    def stretched(self, pool: WorkerPool) -> StretchedSecret:
        """Return what scrypt makes of the sk: worked out when it is first asked for."""
        made = self._stretched
        if made is None or not (made.is_pending or made.value):
            made = self._stretched = StretchedSecret(pool, self._request.sk)
        return made

    def on_visitor(self, visitor: Endpoint, start: StartWorkConn, *, half_closes: bool) -> None:
        """Take a visitor who was let in and told so.

        Args:
            visitor: plain bytes; owned from now on.
            start: introduces it.
            half_closes: its end is the end of one direction only.
        """
        Visit(
            self._context,
            self.counters,
            visitor,
            start,
            use_encryption=self._request.use_encryption,
            use_compression=self._request.use_compression,
            visitor_half_closes=half_closes,
        )

    def close(self) -> None:
        """Let nobody in any more; visitors that are connected stay. Idempotent."""
        self.is_open = False


def signs(sk: str, sign_key: str, timestamp: int) -> bool:
    """Return whether a visitor's key was made with this sk; in constant time."""
    expected = privilege_key(sk, timestamp)
    return hmac.compare_digest(expected.encode(), sign_key.encode("utf-8", "surrogateescape"))


def default_users(context: ProxyContext) -> tuple[str, ...]:
    """Return who may visit where the owner does not say: its own user.

    To an owner that is older than the rule the sk alone decides, as in its day.
    """
    is_old = version_numbers(context.peer_version) < USERS_SINCE
    return (EVERYONE,) if is_old else (context.peer_user,)


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the first two numbers of frp's version; what is none counts as new."""
    numbers = version.split(".")[:2]
    return tuple(int(part) if part.isdecimal() else 1 for part in numbers)
