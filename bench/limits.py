"""How near to a bandwidth limit the rate comes: python -m bench.limits.

frps and frpc of this checkout on loopback, with one proxy that has a limit, and visitors that
take what they get for two seconds. The figure is what all of them got, in per cent of the limit;
behind it the shares of the one that got least and of the one that got most.
"""

from __future__ import annotations

import select
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.helpers.services import Service, flood
from tests.helpers.stage import Stage
from tests.helpers.visitors import visit

SECONDS: Final = 2.0
LIMITS: Final = {"10KB": 10 << 10, "1MB": 1 << 20, "20MB": 20 << 20, "200MB": 200 << 20}
DATA: Final = bytes(1 << 20) * 512


def shares(port: int, visitors: int) -> list[int]:
    """Return what each of some visitors got within the time, from its first byte on."""
    socks = [visit(port) for _ in range(visitors)]
    got = {sock.fileno(): 0 for sock in socks}
    by_number = {sock.fileno(): sock for sock in socks}
    select.select(socks, [], [])
    end = time.monotonic() + SECONDS
    while (left := end - time.monotonic()) > 0:
        for sock in select.select(socks, [], [], left)[0]:
            got[sock.fileno()] += len(by_number[sock.fileno()].recv(1 << 20))
    for sock in socks:
        sock.close()
    return sorted(got.values())


def measure(limit: str, mode: str, visitors: int) -> str:
    """Return one line of the report."""
    with tempfile.TemporaryDirectory() as folder, Service(flood(DATA)) as service:
        stage = Stage(Path(folder))
        try:
            proxy = {"bandwidth_limit": limit, "bandwidth_limit_mode": mode}
            tunnel = stage.tunnel({"bulk": service.port}, proxy=proxy)
            got = shares(tunnel.ports["bulk"], visitors)
        finally:
            for program in stage._programs:
                program.kill()
    wanted = LIMITS[limit] * SECONDS
    least, most = (100 * visitors * one / wanted for one in (got[0], got[-1]))
    total = 100 * sum(got) / wanted
    return f"{limit:>6} {mode:7} {visitors:2} visitors: {total:6.1f} % ({least:.1f} to {most:.1f})"


def main() -> None:
    """Print the figures."""
    for limit in LIMITS:
        for mode in ("client", "server"):
            for visitors in (1, 5):
                print(measure(limit, mode, visitors))


if __name__ == "__main__":
    main()
