"""Files that are made from the table of keys: written, or checked to be up to date."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path


def derive(rendered: Callable[[Path], Mapping[Path, str]], arguments: list[str]) -> int:
    """Write or check files; return 1 when a check finds a difference.

    Args:
        rendered: returns files below a folder, each with the text that it should have.
        arguments: ``--check`` writes nothing; the folder, by default this one.
    """
    check = "--check" in arguments
    places = [argument for argument in arguments if argument != "--check"]
    stale = 0
    for path, text in rendered(Path(places[0] if places else ".")).items():
        if path.exists() and path.read_text("utf-8") == text:
            continue
        stale += 1
        sys.stdout.write(f"{'differs' if check else 'written'}: {path}\n")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    return 1 if check and stale else 0
