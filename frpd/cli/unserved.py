"""What a configuration asks for that this version does not serve yet.

Every key is understood; these rows tell its operator, at start, which of them
have no effect so far. A row goes when its feature comes.
"""

from __future__ import annotations

from collections.abc import Iterator

from frpd.client.visitors import VISITORS
from frpd.config.client import ClientSetup
from frpd.transports.over_udp import NO_QUIC, has_quic


def client_warnings(setup: ClientSetup) -> Iterator[str]:
    """Yield a line for each setting of frpc.ini that will have no effect."""
    for visitor in setup.visitors:
        if visitor.visitor_type not in VISITORS:
            kind = f"{visitor.visitor_type} visitors"
            yield f"[{visitor.section}] is not started: {kind} cannot be served yet"


def client_refusals(setup: ClientSetup) -> Iterator[str]:
    """Yield what frpc cannot run without."""
    if setup.common.protocol == "quic" and not has_quic():
        yield f"[common] protocol: {NO_QUIC}"
