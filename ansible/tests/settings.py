"""Print as JSON how frpd reads the frps.ini and frpc.ini of a folder: texts by key, by section."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from frpd.config.ini import ROOT, Dialect, parse
from frpd.config.problems import Problems
from frpd.config.template import render


def settings(path: Path) -> dict[str, dict[str, str]]:
    """Return what stands in a file."""
    tree = parse(render(path.read_text("utf-8"), str(path), {}, Problems()), Dialect.NEW)
    return {
        name: {key: tree.expanded(name, key).value for key in section}
        for name, section in tree.sections.items()
        if name != ROOT
    }


folder = Path(sys.argv[1])
json.dump({name: settings(folder / f"{name}.ini") for name in ("frps", "frpc")}, sys.stdout)
