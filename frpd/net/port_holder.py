"""Which process holds a port: for the message that says it is taken."""

from __future__ import annotations

import os
from typing import Final

# Absent in a sandbox that shows processes only (ProcSubset=pid): psutil prints a traceback then,
# and could not see whose the sockets are.
NEEDED: Final = "/proc/stat"


def port_holder(port: int) -> str:
    """Return ``name (pid N)`` of who listens on a TCP port, or "" if it cannot be seen.

    Slow (it reads all of /proc) and for error messages only; on a worker once
    the loop runs.
    """
    if not os.access(NEEDED, os.R_OK):
        return ""
    import psutil  # noqa: PLC0415 - slow to import, and only errors need it

    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status != psutil.CONN_LISTEN or connection.pid is None:
                continue
            if tuple(connection.laddr)[1:2] == (port,):
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.Error, OSError):
        return ""
    return ""
