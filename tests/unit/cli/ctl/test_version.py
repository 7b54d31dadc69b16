"""frpd.cli.ctl.version."""

from __future__ import annotations

from frpd import __version__
from tests.unit.cli.ctl.scene import Scene


def test_it_needs_no_daemon(scene: Scene) -> None:
    assert scene("version") == (0, f"{__version__}\n", "")
