"""SessionFacts: how things stand between a client and its server; a copy."""

from __future__ import annotations

from dataclasses import dataclass

from frpd.client.history import SessionEvent
from frpd.net.tcp_info import TcpInfo


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """Times are of the loop's clock.

    Attributes:
        is_connected: whether there is a session.
        since: when it began.
        retry_at: when the next attempt is made, if one is waited for.
        run_id: our name, once the server has given one.
        server_version: frp's number, as the server said.
        features: of the last session, see frpd.proto.native.
        is_sealed: whether everything is under the keys of the token.
        logins: sessions so far.
        last_error: why the last session or attempt ended.
        history: what happened lately, the newest first.
        tcp: of the connection to the server, as far as the kernel says.
    """

    is_connected: bool
    since: float | None
    retry_at: float | None
    run_id: str
    server_version: str
    features: frozenset[str]
    is_sealed: bool
    logins: int
    last_error: str
    tcp: TcpInfo | None
    history: tuple[SessionEvent, ...]
