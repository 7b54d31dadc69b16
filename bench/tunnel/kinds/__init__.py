"""The kinds of tunnels that can be compared, a file and a line here each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.tunnel.kinds.chisel import CHISEL
from bench.tunnel.kinds.frp import FRP
from bench.tunnel.kinds.haproxy import HAPROXY
from bench.tunnel.kinds.rathole import RATHOLE
from bench.tunnel.kinds.ssh import SSH

if TYPE_CHECKING:
    from bench.tunnel.kinds.kind import Kind

KINDS: Final[dict[str, Kind]] = {
    "frp": FRP,
    "rathole": RATHOLE,
    "chisel": CHISEL,
    "ssh": SSH,
    "haproxy": HAPROXY,
}
"""By the word before the colon in ``--impl NAME=KIND:PROGRAMS``."""
