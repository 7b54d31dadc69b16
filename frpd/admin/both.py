"""Endpoints that frps and frpc have in common, and what their answers are made of."""

from __future__ import annotations

import os
from typing import Final

from frpd import __version__, log
from frpd.admin.web_app import AdminApp, Reply, flag, number
from frpd.clock import unix_now
from frpd.net.stream import SocketEnds
from frpd.proto import native
from frpd.selector_loop import SelectorLoop

MAX_CONNS: Final = 10_000
DEFAULT_CONNS: Final = 1000
MAX_TCP_CONNS: Final = 200
"""With round trips."""

Object = dict[str, object]


def health(app: AdminApp) -> None:
    """Register ``/healthz``."""
    app.free("/healthz", Reply)


def conns_asked_for() -> tuple[int, bool]:
    """Return how many connections the request at hand wants, and whether with round trips.

    Raises:
        ApiError: it makes no sense.
    """
    limit, tcp = number("limit", DEFAULT_CONNS, low=0, high=MAX_CONNS), flag("tcp")
    return (min(limit, MAX_TCP_CONNS) if tcp else limit), tcp


def about(program: str, started_at: float, config_file: str) -> Object:
    """Return what says which program this is, of which file, and since when it runs."""
    return {
        "program": program,
        "version": __version__,
        "pid": os.getpid(),
        "config_file": config_file,
        "started_at": started_at,
        "uptime_seconds": max(0.0, unix_now() - started_at),
        "log_level": log.level(),
    }


def loop_figures(loop: SelectorLoop) -> Object:
    """Return how the loop does. Loop thread only."""
    return {
        "turns": loop.turns,
        "lag_seconds": loop.lag_seconds,
        "worst_lag_seconds": loop.worst_lag_seconds,
        "watches": loop.watch_count,
        "timers": loop.timer_count,
    }


def socket_object(ends: SocketEnds | None) -> Object | None:
    """Return both addresses of a socket; None if there is none."""
    return None if ends is None else {"local": ends.local, "remote": ends.remote}


def tcp_figures(ends: SocketEnds | None) -> Object:
    """Return round trip and retransmissions of a socket; null where the kernel does not say."""
    tcp = None if ends is None else ends.tcp
    if tcp is None:
        return {"rtt_ms": None, "retransmits": None}
    return {"rtt_ms": tcp.rtt_ms, "retransmits": tcp.retransmits}


def speaks(features: tuple[str, ...], version: str) -> str:
    """Return in words what a peer and we speak with each other."""
    if not features:
        return f"frp {version}, legacy cipher"
    return "frpd, sealed" if native.SEAL in features else "frpd, legacy cipher"


def weaknesses(features: tuple[str, ...], *, tls: bool) -> list[str]:
    """Return what is weak about how a peer and we speak, a sentence each."""
    if tls or native.SEAL in features:
        return []
    return [
        "the control connection uses frp's legacy cipher, which does not notice changes",
        "payload of proxies without use_encryption can be read on the way",
    ]
