"""Two chained haproxy: what relaying by splice costs when nobody has to dial in first.

The front takes frps' place and the back frpc's. The front dials the back for each visitor, so
there is no tunnel through a firewall: this is the practical limit, not a rival.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.tunnel.kinds.kind import Kind, Task

if TYPE_CHECKING:
    from bench.tunnel.settings import Ports

_HEAD: Final = """\
defaults
    mode tcp
    retries 0
    option splice-auto
    timeout connect 10s
    timeout client 1h
    timeout server 1h
"""
_LISTEN: Final = """\
listen {name}
    bind 127.0.0.1:{entrance}
    server next 127.0.0.1:{service}
"""


def _commands(task: Task) -> tuple[list[str], list[str]]:
    front = back = _HEAD
    middles = task.ports.second, task.ports.bind
    for (name, entrance, service), middle in zip(task.services(), middles, strict=True):
        front += _LISTEN.format(name=name, entrance=entrance, service=middle)
        back += _LISTEN.format(name=name, entrance=middle, service=service)
    return (
        [*task.server, "-db", "-f", task.write("front.cfg", front)],
        [*task.client, "-db", "-f", task.write("back.cfg", back)],
    )


def _door(ports: Ports) -> int:
    return ports.probe


HAPROXY: Final = Kind(
    about="two haproxy in a chain, splicing, the practical limit: PROGRAM",
    programs=("haproxy", "haproxy"),
    commands=_commands,
    lacks={
        "http": "haproxy is a plain TCP relay here",
        "udp": "haproxy carries no datagrams",
        "kcp": "haproxy does not speak KCP",
        "quic": "haproxy is a plain TCP relay here",
        "use_encryption": "haproxy is a plain TCP relay here",
        "use_compression": "haproxy is a plain TCP relay here",
    },
    note="no tunnel but two relays in a chain: the first dials the second, for each visitor",
    door=_door,
)
