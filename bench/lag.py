"""A frps that measures its loop: python -m bench.lag INI FILE.

The lag is how late a timer fires that is set every 5 ms, so it is what something that happens
at any moment has to wait. All of them are written to FILE at the end.
"""

from __future__ import annotations

import array
import sys
import time
from pathlib import Path
from typing import Any, Final

TICK_SECONDS: Final = 0.005
Lags = list[tuple[float, float]]
"""When a timer fired, on the clock that all processes share, and how late."""


def run_frps(config: str, lag_file: str) -> int:
    """Be a frps that measures its loop."""
    from frpd.cli import frps  # noqa: PLC0415 - of the child only
    from frpd.selector_loop import SelectorLoop  # noqa: PLC0415

    found = array.array("d")
    make = SelectorLoop.__init__

    def measured(loop: SelectorLoop, *args: Any, **keys: Any) -> None:
        make(loop, *args, **keys)

        def tick(due: float) -> None:
            now = time.monotonic()
            found.extend((now, max(0.0, now - due)))
            loop.call_later(TICK_SECONDS, tick, time.monotonic() + TICK_SECONDS)

        loop.call_soon(tick, time.monotonic())

    SelectorLoop.__init__ = measured  # type: ignore[assignment]
    try:
        return frps.main(["-c", config])
    finally:
        Path(lag_file).write_bytes(found.tobytes())


def read_lags(path: Path) -> Lags:
    """Return what run_frps has written."""
    values = array.array("d", path.read_bytes())
    return list(zip(values[::2], values[1::2], strict=True))


def percentile(values: list[float], part: float) -> float:
    """Return the value that so many are not above."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


if __name__ == "__main__":
    sys.exit(run_frps(*sys.argv[1:3]))
