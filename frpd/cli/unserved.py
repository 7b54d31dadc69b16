"""What a configuration asks for that cannot be served as it stands, for its operator at start."""

from __future__ import annotations

from collections.abc import Iterator

from frpd.config.client import ClientSetup
from frpd.config.visitors import StcpVisitorConfig, XtcpVisitorConfig
from frpd.transports.over_udp import NO_QUIC, has_quic


def client_warnings(setup: ClientSetup) -> Iterator[str]:
    """Yield a line for each setting of frpc.ini that will have no effect."""
    ways = {one.section for one in setup.visitors if isinstance(one, StcpVisitorConfig)}
    for visitor in setup.visitors:
        if isinstance(visitor, XtcpVisitorConfig) and visitor.fallback_to not in ("", *ways):
            key = f"fallback_to = {visitor.fallback_to}"
            yield f"[{visitor.section}] {key} has no effect: there is no such stcp visitor here"


def client_refusals(setup: ClientSetup) -> Iterator[str]:
    """Yield what frpc cannot run without."""
    if setup.common.protocol == "quic" and not has_quic():
        yield f"[common] protocol: {NO_QUIC}"
