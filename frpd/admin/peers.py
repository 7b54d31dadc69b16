"""Who is at the other end of a Unix socket, as the kernel tells, and whether that will do."""

from __future__ import annotations

import os
import socket
import struct
from typing import Final, NamedTuple

_UCRED: Final = struct.Struct("iII")
# asm-generic/socket.h; socket.SO_PEERGROUPS is not in Python's socket module.
SO_PEERGROUPS: Final = 59
_GROUPS_BYTES: Final = 1024  # the most that getsockopt() of Python takes: 256 groups


class Peer(NamedTuple):
    """A process at the time when it connected."""

    pid: int
    uid: int
    groups: frozenset[int]

    @property
    def is_trusted(self) -> bool:
        """Whether it is root, runs as our user, or is in our group."""
        return self.uid in (0, os.geteuid()) or os.getegid() in self.groups


def peer_of(sock: socket.socket) -> Peer:
    """Return who has connected a Unix socket.

    Raises:
        OSError: the kernel does not say.
    """
    pid, uid, gid = _UCRED.unpack(
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    )
    return Peer(pid, uid, frozenset({gid}) | _supplementary(sock))


def _supplementary(sock: socket.socket) -> frozenset[int]:
    try:
        data = sock.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, _GROUPS_BYTES)
    except OSError:  # before Linux 4.13, or more groups than that
        return frozenset()
    return frozenset(struct.unpack(f"{len(data) // 4}I", data))
