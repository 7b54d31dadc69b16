from __future__ import annotations

from tests.unit.net.conftest import clock, loop, make_tcp, no_fd_leaks

__all__ = ["clock", "loop", "make_tcp", "no_fd_leaks"]
