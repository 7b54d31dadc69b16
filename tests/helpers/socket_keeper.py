"""A service manager, as far as it keeps sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from frpd.net.socket_store import MAX_NAME_CHARACTERS


class SocketKeeper:
    """Holds copies of what it is given, under their names, as systemd does."""

    def __init__(self) -> None:
        self.stored: list[tuple[str, socket.socket]] = []
        self.said: list[str] = []

    def tell(self, *assignments: str, fds: Sequence[int] = ()) -> None:
        self.said.append(" ".join(assignments))
        fields = dict(one.split("=", 1) for one in assignments)
        name = fields["FDNAME"]
        assert len(name) <= MAX_NAME_CHARACTERS
        assert name.isascii()
        assert name.isprintable()
        assert ":" not in name
        if "FDSTORE" in fields:
            (fd,) = fds
            same = [sock for _, sock in self.stored if os.path.samestat(os.fstat(fd), _stat(sock))]
            if not same:
                self.stored.append((name, socket.socket(fileno=os.dup(fd))))
        else:
            assert fields["FDSTOREREMOVE"] == "1"
            for entry in [entry for entry in self.stored if entry[0] == name]:
                self.stored.remove(entry)
                entry[1].close()

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.stored]

    def pass_on(self) -> list[tuple[socket.socket, str]]:
        """Return what the next process inherits."""
        return [(sock.dup(), name) for name, sock in self.stored]

    def close(self) -> None:
        for _, sock in self.stored:
            sock.close()


def _stat(sock: socket.socket) -> os.stat_result:
    return os.fstat(sock.fileno())
