"""Why a proxy is not running and what to do about it, in words for people."""

from __future__ import annotations

import re
from typing import Final

from frpd.client.proxy_table import Phase
from frpd.client.snapshot import ProxySnapshot, SessionSnapshot

# What servers say, of all versions, and what is to be done about it.
_REMEDIES: Final = (
    ("port not allowed", "choose a remote_port that allow_ports of the server includes"),
    ("port already used", "another proxy of the server has this remote_port; choose another one"),
    ("port unavailable", "another program on the server's machine has this remote_port"),
    ("no available port", "all ports of the server's allow_ports are taken"),
    (
        "max_ports_per_client|exceed the max",
        "the server lets a client have no more ports (max_ports_per_client)",
    ),
    (
        "proxy name .* is already in use|proxy .* already exists|listener for .* is repeated",
        "another client has a proxy of this name; rename the section or set user",
    ),
    ("router config|domain .* exist", "another proxy has this domain"),
    (
        "vhost_http_port|vhost_https_port|tcpmux_httpconnect_port|not support when",
        "the server has no port for this type; its operator has to set one",
    ),
    ("subdomain", "the server needs subdomain_host for `subdomain`, or it is not a single name"),
    ("group", "group_key, or the port or domain of the group's members, differ"),
)


def reason(proxy: ProxySnapshot, session: SessionSnapshot) -> str:
    """Return why a proxy is where it is; "" for one that runs."""
    if proxy.phase == Phase.RUNNING.value:
        return ""
    if proxy.phase == Phase.START_ERROR.value:
        return _start_error(proxy)
    if not session.is_connected:
        return _no_session(session)
    ill = f"the health check of the local service fails{_colon(proxy.error)}"
    reasons = {
        Phase.WAIT_START.value: "the server has not answered yet",
        Phase.CHECK_FAILED.value: ill,
        Phase.NEW.value: "the first health check of the local service is under way",
    }
    return reasons.get(proxy.phase, "the proxy is not registered")


def remedy_for(error: str) -> str:
    """Return what to do about a server's refusal of a proxy; "" if that is not known."""
    return next((remedy for said, remedy in _REMEDIES if re.search(said, error)), "")


def _start_error(proxy: ProxySnapshot) -> str:
    remedy = remedy_for(proxy.error)
    text = f"the server refuses it{_colon(proxy.error)}"
    if proxy.retry_in_seconds is None:
        text = proxy.error or "it cannot be served"
    if remedy:
        text = f"{text}; {remedy}"
    if proxy.retry_in_seconds is not None:
        text = f"{text}; it is asked again in {proxy.retry_in_seconds:.0f} s"
    return text


def _no_session(session: SessionSnapshot) -> str:
    text = f"there is no session with the server{_colon(session.last_error)}"
    if session.retry_in_seconds is not None:
        text = f"{text}; the next attempt is made in {session.retry_in_seconds:.0f} s"
    return text


def _colon(detail: str) -> str:
    return f": {detail}" if detail else ""
